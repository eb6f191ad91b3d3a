"""Overview: the newest business day against the same weekday, where sales come from, and how they run.

Belongs here: the layout of the page. Queries are in `dashboards/queries/overview`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import overview as queries

_LISTED_CHANNELS = 6
_LISTED_STORES = 12


def render(context: Context) -> None:
    """Draw the page."""
    language, filters, formats = context.language, context.filters, context.formats
    st.title(language.text("overview.title"), anchor=False)
    st.caption(
        language.text(
            "overview.subtitle",
            day=formats.day(filters.end),
            currency=context.basis.currency,
            weekday=formats.weekday(filters.end),
        )
    )
    _draw_cards(context)
    with section(language, language.text("overview.trend"), key="chart-trend", metric="net_amount"):
        _draw_trend(context)
    left, right = st.columns(2, gap="small")
    with (
        left,
        section(language, language.text("overview.by_channel"), key="chart-channel", metric="net_amount"),
    ):
        _draw_place(context, queries.BY_CHANNEL, "channel")
    with right, section(language, language.text("overview.by_category"), key="chart-category", metric="category"):
        _draw_category(context)
    with section(language, language.text("overview.by_store"), key="chart-store", metric="net_amount"):
        _draw_place(context, queries.BY_STORE, "store_id")


def _parameters(context: Context) -> dict[str, Any]:
    day = context.filters.end
    weeks = sum(1 for week in range(1, 5) if day - timedelta(weeks=week) >= context.first_day)
    return context.filters.parameters | {"day": day, "weeks": weeks}


def _sql(context: Context, statement: str) -> str:
    return statement.replace("{condition}", context.filters.condition())


def _draw_cards(context: Context) -> None:
    day = context.filters.end
    window = context.filters.parameters | {"start": day - timedelta(days=34), "end": day}
    try:
        rows = context.reader.rows(_sql(context, queries.DAILY), window)
    except MissingDataError as missing:
        st.info(context.language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if not rows:
        nothing(context.language)
        return
    daily = {row["business_date"]: row for row in rows}
    for row in rows:
        row["identification_rate"] = _ratio(row["identified_net_amount"], row["net_amount"])
        row["aov"] = _ratio(row["sales_net_amount"], row["paid_orders"])
    try:
        customers = {
            row["business_date"]: row for row in context.reader.rows(_sql(context, queries.DAILY_CUSTOMERS), window)
        }
    except MissingDataError:
        customers = {}
    formats = context.formats
    cards(
        context.language,
        [
            _card(context, "net_amount", daily, "net_amount", formats.money),
            _card(context, "paid_orders", daily, "paid_orders", formats.count),
            _card(context, "aov", daily, "aov", formats.money, is_ratio=True),
            _card(context, "paying_customers", customers, "paying_customers", formats.count),
            _card(context, "new_customers", daily, "new_customers", formats.count),
            _card(context, "identification_rate", daily, "identification_rate", formats.percent, is_ratio=True),
        ],
    )


def _card(
    context: Context, metric: str, found: dict[date, dict[str, Any]], column: str, read: Any, *, is_ratio: bool = False
) -> Card:
    """A day's figure against the same weekday a week before, and against the mean of the four before.

    A day without a row within the data is a day of nothing sold: zero for an amount, unknown for a ratio.
    """
    day, formats, language = context.filters.end, context.formats, context.language
    empty = None if is_ratio or not found else 0

    def figure(when: date) -> Any:
        return found.get(when, {}).get(column, empty) if when >= context.first_day else None

    now, last_week = figure(day), figure(day - timedelta(weeks=1))
    before = [value for week in range(1, 5) if (value := figure(day - timedelta(weeks=week))) is not None]
    mean = sum(before) / len(before) if before else None
    compare = formats.points if metric == "identification_rate" else formats.change
    change, delta = compare(now, mean), compare(now, last_week)
    note = language.text("overview.mean", value=read(mean)) + (f" ({change})" if change else "") if before else ""
    window = [figure(day - timedelta(days=back)) for back in range(27, -1, -1)]
    return Card(
        metric,
        read(now),
        delta=f"{delta} {language.text('overview.against_last_week', weekday=formats.weekday(day))}" if delta else None,
        note=note,
        trend=[float(value) for value in window if value is not None],
    )


def _ratio(part: Any, whole: Any) -> Any:
    return part / whole if part is not None and whole is not None and whole > 0 else None


def _draw_trend(context: Context) -> None:
    language, filters = context.language, context.filters
    left, right = st.columns(2)
    split = left.segmented_control(
        language.text("overview.split"),
        ["total", "channel"],
        default="total",
        format_func=lambda value: language.text(f"overview.split_{value}"),
        key="overview_split",
        label_visibility="collapsed",
    )
    series = right.segmented_control(
        language.text("overview.series"),
        ["net_amount", "net_amount_cohort"],
        default="net_amount",
        format_func=lambda value: language.metric(value),
        key="overview_series",
        label_visibility="collapsed",
        help=language.tooltip("net_amount_cohort"),
    )
    value = series or "net_amount"
    statement = queries.DAILY_BY_CHANNEL if split == "channel" else queries.DAILY
    found = context.reader.table(_sql(context, statement), filters.parameters)
    if not found.num_rows:
        nothing(language)
        return
    titles = {
        "business_date": language.text("columns.business_date"),
        "channel": language.text("columns.channel"),
        "name": language.text("columns.series"),
        "net_amount": language.metric("net_amount"),
        "net_amount_cohort": language.metric("net_amount_cohort"),
        "gross_amount": language.metric("gross_amount"),
        "discount_amount": language.metric("discount_amount"),
        "paid_orders": language.metric("paid_orders"),
        "quantity": language.metric("quantity"),
    }
    frame, names = _by_channel(context, found, value) if split == "channel" else _total(context, found, value)
    chart(
        charts.trend(
            frame, series="name", value=value, day="business_date", titles=titles, names=names, formats=context.formats
        ),
        key="trend",
        alt_text=language.text("overview.trend"),
    )
    with behind(language, "trend"):
        table(
            language, found, key="trend", titles=titles, formats=context.formats,
            text={"channel": context.channel_names},
            money=("net_amount", "net_amount_cohort", "gross_amount", "discount_amount"),
        )  # fmt: skip


def _total(context: Context, found: pa.Table, value: str) -> tuple[Any, Sequence[str]]:
    """Daily figures beside their mean over seven days, days without sales counted as zero."""
    import pandas as pd

    names = (context.language.metric(value), context.language.text("overview.seven_days"))
    frame = to_frame(found).set_index("business_date")
    days = pd.date_range(max(context.filters.start, context.first_day), context.filters.end, name="business_date")
    daily = frame[value].reindex(days, fill_value=0.0)
    both = pd.concat({names[0]: daily, names[1]: daily.rolling(7).mean()}, names=["name"]).rename(value).reset_index()
    return both.dropna(subset=[value]), names


def _by_channel(context: Context, found: pa.Table, value: str) -> tuple[Any, Sequence[str]]:
    """Daily figures of the channels that sell most, the rest together."""
    import pandas as pd

    frame = to_frame(found)
    volumes = frame.groupby("channel")[value].sum().sort_values(ascending=False)
    listed = list(volumes.index[:_LISTED_CHANNELS])
    others = context.language.text("common.others")
    frame["name"] = [context.channel(channel) if channel in listed else others for channel in frame["channel"]]
    names = [context.channel(channel) for channel in listed] + ([others] if len(volumes) > len(listed) else [])
    days = pd.date_range(max(context.filters.start, context.first_day), context.filters.end, name="business_date")
    wide = frame.pivot_table(index="business_date", columns="name", values=value, aggfunc="sum")
    filled = wide.reindex(days).fillna(0.0)
    return filled.melt(ignore_index=False, var_name="name", value_name=value).reset_index(), names


def _draw_place(context: Context, statement: str, place: str) -> None:
    language, formats = context.language, context.formats
    found = context.reader.table(_sql(context, statement), _parameters(context))
    if not found.num_rows:
        nothing(language)
        return
    name_of = context.channel if place == "channel" else context.store
    frame = to_frame(found)
    frame["name"] = [name_of(value) for value in found[place].to_pylist()]
    frame["label"] = [
        f"{formats.money(amount)} · {formats.percent(share)}"
        for amount, share in zip(found["net_amount"].to_pylist(), found["share"].to_pylist(), strict=True)
    ]
    # What online channels sell without a store would dwarf the stores; it is told in words and in the table.
    frame = frame[frame[place].notna() & (frame["net_amount"] != 0)]
    listed = frame.head(_LISTED_STORES)
    titles = {
        place: language.text(f"columns.{place}"),
        "name": language.text(f"columns.{place}"),
        "day_net_amount": language.text("overview.column_day"),
        "last_week_net_amount": language.text("overview.column_last_week"),
        "mean_net_amount": language.text("overview.column_mean"),
        "net_amount": language.text("overview.column_period"),
        "share": language.text("columns.share"),
        "paid_orders": language.metric("paid_orders"),
        "identification_rate": language.metric("identification_rate"),
    }
    for row in found.to_pylist():
        if row[place] is None:
            amount, share = formats.money(row["net_amount"]), formats.percent(row["share"])
            st.caption(language.text("overview.without_store", amount=amount, share=share))
    if not len(listed):
        nothing(language)
        return
    chart(
        charts.bars(
            listed, category="name", value="net_amount", label="label", titles=titles, formats=formats,
            order=list(listed["name"]),
        ),
        key=place,
        alt_text=language.text("overview.by_channel" if place == "channel" else "overview.by_store"),
    )  # fmt: skip
    if len(frame) > len(listed):
        st.caption(language.text("common.first_of", shown=len(listed), all=len(frame)))
    names = {row: name_of(row) for row in found[place].to_pylist() if row is not None}
    with behind(language, place):
        table(
            language, found, key=place, titles=titles, formats=formats, shares=("share", "identification_rate"),
            money=("day_net_amount", "last_week_net_amount", "mean_net_amount", "net_amount"), text={place: names},
        )  # fmt: skip


def _draw_category(context: Context) -> None:
    language, formats = context.language, context.formats
    found = context.reader.table(_sql(context, queries.BY_CATEGORY), context.filters.parameters)
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found)
    uncategorised = language.text("overview.uncategorised")
    frame["category"] = [uncategorised if value == "uncategorised" else value for value in frame["category"]]
    frame["label"] = [
        f"{formats.money(amount)} · {formats.percent(share)}"
        for amount, share in zip(found["net_amount"].to_pylist(), found["share"].to_pylist(), strict=True)
    ]
    titles = {
        "category": language.text("columns.category"),
        "net_amount": language.metric("net_amount"),
        "share": language.text("columns.share"),
        "quantity": language.metric("quantity"),
        "margin_rate": language.metric("margin_rate"),
    }
    listed = frame.head(_LISTED_STORES)
    chart(
        charts.bars(
            listed, category="category", value="net_amount", label="label", titles=titles, formats=formats,
            order=list(listed["category"]), colour=charts.GREEN,
        ),
        key="category",
        alt_text=language.text("overview.by_category"),
    )  # fmt: skip
    with behind(language, "category"):
        table(
            language, found, key="category", titles=titles, formats=formats, money=("net_amount",),
            shares=("share", "margin_rate"), text={"category": {"uncategorised": uncategorised}},
        )  # fmt: skip
