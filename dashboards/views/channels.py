"""Channels and funnels: where visitors stop, channels and doors beside each other, and who goes from door to door.

Belongs here: the layout of the page. Queries are in `dashboards/queries/channels`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import charts
from dashboards.blocks import ranked_bars, titles_of
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import channels as queries

_COMPARED = (
    "net_amount", "visitors", "conversion_rate", "paid_orders", "aov", "member_share", "new_customers",
)  # fmt: skip


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("channels.title"), anchor=False)
    st.caption(language.text("channels.subtitle"))
    _draw_cards(context)
    left, right = st.columns([2, 3], gap="small")
    with left, section(language, language.text("channels.funnel"), key="chart-funnel", metric="funnel_rate"):
        _draw_funnel(context)
    with right, section(language, language.text("channels.alerts"), key="funnel-alerts", metric="funnel_alert"):
        _draw_alerts(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("channels.by_channel"), key="chart-compare", metric="conversion_rate"):
        _draw_compared(context, queries.BY_CHANNEL, "channel")
    with right, section(language, language.text("channels.by_kind"), key="chart-kinds", metric="aov"):
        _draw_compared(context, queries.BY_KIND, "kind")
    with section(language, language.text("channels.flows"), key="chart-flows", metric="flow_rate"):
        _draw_flows(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("channels.gaps"), key="chart-gaps", metric="aov_gap"):
        _draw_gaps(context)
    with (
        right,
        section(language, language.text("channels.first_orders"), key="chart-first", metric="first_order_conversion"),
    ):
        _draw_first_orders(context)


def _found(context: Context, statement: str) -> Any:
    return context.reader.table(context.filters.fill(statement), context.filters.parameters)


def _rows(context: Context, statement: str) -> list[dict[str, Any]]:
    """The rows, or none where the snapshot has no such figure yet."""
    try:
        found: list[dict[str, Any]] = _found(context, statement).to_pylist()
    except MissingDataError:
        return []
    return found


def _draw_cards(context: Context) -> None:
    formats, language = context.formats, context.language
    steps = {row["step"]: row["persons"] for row in _rows(context, queries.FUNNEL)}
    viewers = steps.get("product_view")
    gaps = [row for row in _rows(context, queries.AOV_GAPS) if row["gap"] is not None]
    pickups = next(iter(_rows(context, queries.PICKUPS)), {})
    visitors = sum(row["visitors"] or 0 for row in _rows(context, queries.BY_CHANNEL))
    rate = steps["purchase"] / viewers if viewers and viewers >= 100 else None
    month = f"{gaps[-1]['month']:%Y-%m}" if gaps else ""
    cards(
        language,
        [
            Card("visitors", formats.count(visitors)),
            Card("funnel_rate", formats.percent(rate), note=language.text("channels.whole_funnel")),
            Card("aov_gap", formats.percent(gaps[-1]["gap"] if gaps else None), note=month),
            Card("mix_adjusted_gap", formats.percent(gaps[-1]["mix_adjusted_gap"] if gaps else None), note=month),
            Card("pickup_share", formats.percent(pickups.get("pickup_share"))),
            Card("nearest_share", formats.percent(pickups.get("nearest_share"))),
        ],
    )


def _draw_funnel(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.FUNNEL)
    if not found.num_rows:
        nothing(language)
        return
    ranked_bars(
        context, found, key="funnel", title=language.text("channels.funnel"), name="step", value="persons",
        name_of=lambda step: language.name_of("steps", step), columns=("step", "persons", "rate"), shares=("rate",),
        label=lambda row: formats.count(row["persons"])
        + (f" · {formats.percent(row['rate'])}" if row["rate"] is not None else ""),
    )  # fmt: skip
    by_channel = _found(context, queries.FUNNEL_BY_CHANNEL)
    with st.expander(language.text("channels.funnel_by_channel"), icon=":material/table_rows:", key="expander-steps"):
        table(
            language, by_channel, key="funnel-by-channel", formats=formats, shares=("rate",),
            titles=titles_of(context, ("channel", "step", "persons", "rate")),
            text={"channel": context.channel_names, "step": _steps(context)},
        )  # fmt: skip


def _steps(context: Context) -> dict[str, str]:
    steps = ("product_view", "add_to_cart", "checkout", "purchase")
    return {step: context.language.name_of("steps", step) for step in steps}


def _draw_alerts(context: Context) -> None:
    language = context.language
    found = _found(context, queries.ALERTS)
    if not found.num_rows:
        st.info(language.text("channels.no_alerts"), icon=":material/check_circle:")
        return
    shares = ("rate_from_previous", "baseline_rate", "alert_below")
    table(
        language, found, key="alerts", formats=context.formats, shares=shares,
        titles=titles_of(context, ("business_date", "channel", "step", "persons_before", *shares)),
        text={"channel": context.channel_names, "step": _steps(context)},
    )  # fmt: skip


def _draw_compared(context: Context, statement: str, by: str) -> None:
    language, formats = context.language, context.formats
    value = "conversion_rate" if by == "channel" else "aov"
    ranked_bars(
        context, _found(context, statement), key=f"compare-{by}", name=by, value=value,
        title=language.text(f"channels.by_{by}"),
        name_of=context.channel if by == "channel" else lambda kind: language.name_of("channel_kinds", kind),
        label=(lambda row: f"{formats.percent(row[value])} · {formats.count(row['visitors'])}")
        if by == "channel"
        else (lambda row: f"{formats.money(row[value])} · {formats.count(row['paid_orders'])}"),
        columns=(by, *_COMPARED), money=("net_amount", "aov"), shares=("conversion_rate", "member_share"),
        percent=by == "channel", colour=charts.BLUE if by == "channel" else charts.GREEN,
    )  # fmt: skip


def _draw_flows(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.FLOWS)
    doors = {
        name: language.name_of("doors", name)
        for column in ("from_door", "to_door")
        for name in found[column].to_pylist()
    }
    flows = [
        f"{doors[row['from_door']]} → {doors[row['to_door']]}"
        + (language.text("channels.of_scans") if row["flow"] == "scan_to_home" else "")
        for row in found.to_pylist()
    ]
    named = found.set_column(found.column_names.index("flow"), "flow", [flows])
    st.caption(language.text("channels.flows_note"))
    ranked_bars(
        context, named, key="flows", title=language.text("channels.flows"), name="flow", value="flow_rate",
        label=lambda row: f"{formats.percent(row['flow_rate'])} · {formats.count(row['customers'])}",
        columns=("flow", "customers", "followed", "window_days", "flow_rate"), shares=("flow_rate",), percent=True,
        colour=charts.PURPLE,
    )  # fmt: skip


def _draw_gaps(context: Context) -> None:
    import pandas as pd

    language = context.language
    found = _found(context, queries.AOV_GAPS)
    if not found.num_rows:
        nothing(language)
        return
    names = {name: language.metric(metric) for name, metric in (("gap", "aov_gap"), ("mix_adjusted_gap",) * 2)}
    frame = to_frame(found)
    both = pd.concat(
        [frame[["month"]].assign(name=names[column], percent=frame[column] * 100) for column in names]
    ).dropna(subset=["percent"])
    if len(both):
        built = charts.trend(
            both, series="name", value="percent", day="month", names=list(names.values()), formats=context.formats,
            titles={"month": language.text("columns.month"), "name": language.text("columns.series"), "percent": "%"},
        )  # fmt: skip
        chart(built, key="gaps", alt_text=language.text("channels.gaps"))
    else:
        nothing(language, "states.too_few")
    columns = ("month", "online_orders", "store_orders", "online_aov", "store_aov", "gap", "mix_adjusted_gap")
    with behind(language, "gaps"):
        table(
            language, found, key="gaps", formats=context.formats, titles=titles_of(context, columns),
            money=("online_aov", "store_aov"), shares=("gap", "mix_adjusted_gap"),
        )  # fmt: skip


def _draw_first_orders(context: Context) -> None:
    language, formats = context.language, context.formats
    st.caption(language.text("channels.first_orders_note"))
    ranked_bars(
        context, _found(context, queries.FIRST_ORDERS), key="first-orders", name="channel", value="conversion_rate",
        title=language.text("channels.first_orders"), name_of=context.channel,
        label=lambda row: f"{formats.percent(row['conversion_rate'])} · {formats.count(row['new_members'])}",
        columns=("channel", "new_members", "with_first_order", "conversion_rate"), shares=("conversion_rate",),
        percent=True, colour=charts.GREEN,
    )  # fmt: skip
