"""Loyalty: who buys again and after how long, cohorts month by month, and the points.

Belongs here: the layout of the page. Queries are in `dashboards/queries/loyalty`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import charts
from dashboards.blocks import ranked_bars, titles_of
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import loyalty as queries


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("loyalty.title"), anchor=False)
    st.caption(language.text("loyalty.subtitle"))
    _draw_cards(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("loyalty.buyers"), key="chart-buyers", metric="returning_rate"):
        _draw_buyers(context)
    with right, section(language, language.text("loyalty.cycles"), key="chart-cycles", metric="purchase_cycle"):
        _draw_cycles(context)
    with section(language, language.text("loyalty.cohorts"), key="chart-cohorts", metric="retention"):
        _draw_cohorts(context)
    with section(language, language.text("loyalty.expiring"), key="chart-points", metric="points_expiring"):
        _draw_expiring(context)


def _found(context: Context, statement: str, **more: Any) -> Any:
    return context.reader.table(context.filters.fill(statement), context.filters.parameters | more)


def _draw_cards(context: Context) -> None:
    formats, language = context.formats, context.language
    try:
        months = [row for row in _found(context, queries.BUYERS, period="month").to_pylist() if row["is_finished"]]
        cycles = [row for row in _found(context, queries.CYCLES).to_pylist() if row["first_channel"] is None]
        points = _found(context, queries.POINTS).to_pylist()[0]
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    newest = months[-1] if months else {}
    month = f"{newest['period_start']:%Y-%m}" if newest else ""
    days = cycles[0]["median_days"] if cycles else None
    cards(
        language,
        [
            Card("repurchase_rate", formats.percent(newest.get("repurchase_rate")), note=month),
            Card("returning_rate", formats.percent(newest.get("returning_rate")), note=month),
            Card(
                "purchase_cycle",
                formats.count(None) if days is None else language.text("customers.days", days=formats.count(days)),
            ),
            Card("earned", formats.count(points["earned"])),
            Card("green_bonus", formats.count(points["green_bonus"])),
            Card("redeemed", formats.count(points["redeemed"])),
        ],
    )


def _draw_buyers(context: Context) -> None:
    import pandas as pd

    language = context.language
    period = st.segmented_control(
        language.text("loyalty.period"), ["month", "quarter", "year"], default="month", key="loyalty_period",
        format_func=lambda value: language.text(f"loyalty.period_{value}"), label_visibility="collapsed",
    )  # fmt: skip
    found = _found(context, queries.BUYERS, period=period or "month")
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found)
    frame = frame[frame["is_finished"]]
    names = {name: language.metric(name) for name in ("repurchase_rate", "returning_rate")}
    if len(frame):
        both = pd.concat(
            [frame[["period_start"]].assign(name=names[column], percent=frame[column] * 100) for column in names]
        )
        built = charts.trend(
            both, series="name", value="percent", day="period_start", names=list(names.values()),
            formats=context.formats,
            titles={
                "period_start": language.text("columns.period_start"), "name": language.text("columns.series"),
                "percent": "%",
            },
        )  # fmt: skip
        chart(built, key="buyers", alt_text=language.text("loyalty.buyers"))
    else:
        nothing(language, "states.too_few")
    columns = ("period_start", "buyers", "repeat_buyers", "returning_buyers", *names)
    with behind(language, "buyers"):
        table(
            language, found, key="buyers", formats=context.formats, titles=titles_of(context, columns),
            shares=tuple(names),
        )  # fmt: skip


def _draw_cycles(context: Context) -> None:
    language, formats = context.language, context.formats
    ranked_bars(
        context, _found(context, queries.CYCLES), key="cycles", title=language.text("loyalty.cycles"),
        name="first_channel", value="median_days",
        name_of=lambda value: language.text("loyalty.all") if value is None else context.channel(value),
        label=lambda row: f"{language.text('customers.days', days=formats.count(row['median_days']))}"
        f" · {formats.percent(row['repeating_share'])}",
        columns=("first_channel", "customers", "repeaters", "repeating_share", "median_days"),
        shares=("repeating_share",), colour=charts.PURPLE,
    )  # fmt: skip


def _draw_cohorts(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.COHORTS)
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found)
    frame["cohort"] = [f"{month:%Y-%m}" for month in found["cohort_month"].to_pylist()]
    frame["label"] = [formats.percent(value, 0) for value in found["retention"].to_pylist()]
    frame["size"] = [formats.count(value) for value in found["cohort_size"].to_pylist()]
    # Month 0 is whole by definition.
    frame = frame[frame["retention"].notna() & (frame["month_number"] > 0)]
    titles = titles_of(context, ("cohort_month", "month_number", "cohort_size", "active", "retention", "net_amount"))
    if len(frame):
        built = charts.heat_map(
            frame, x="month_number", y="cohort", value="retention", label="label", extra=("size",),
            titles=titles | {"cohort": titles["cohort_month"], "label": titles["retention"],
                             "size": titles["cohort_size"]},
            x_order=sorted(set(frame["month_number"])), y_order=sorted(set(frame["cohort"])),
            height=max(34 * frame["cohort"].nunique() + 70, 200),
        )  # fmt: skip
        chart(built, key="cohorts", alt_text=language.text("loyalty.cohorts"))
    else:
        nothing(language, "states.too_few")
    with behind(language, "cohorts"):
        table(
            language, found, key="cohorts", formats=formats, titles=titles, shares=("retention",),
            money=("net_amount",),
        )  # fmt: skip


def _draw_expiring(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.POINTS_EXPIRING)
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found)
    frame["label"] = [
        f"{row['month']:%Y-%m}" + (f" {language.text('loyalty.overdue')}" if row["is_overdue"] else "")
        for row in found.to_pylist()
    ]
    titles = titles_of(context, ("month", "points", "members"))
    built = charts.columns(
        frame, category="label", value="points", order=list(frame["label"]), formats=formats, colour=charts.ORANGE,
        titles={"label": titles["month"], "points": titles["points"]},
    )  # fmt: skip
    chart(built, key="points", alt_text=language.text("loyalty.expiring"))
    with behind(language, "points"):
        table(language, found, key="points", formats=formats, titles=titles)
