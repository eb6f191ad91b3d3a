"""Customers and RFM: who the customers are, how they move between segments, and what one of them is offered.

Belongs here: the layout of the page. Queries are in `dashboards/queries/customers`. Nothing here names a person.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import customers as queries
from dashboards.views import what_if

LIFECYCLE = ("new", "active", "at_risk", "dormant", "lost")


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("customers.title"), anchor=False)
    try:
        snapshot_date = context.reader.rows(queries.SNAPSHOT_DATE, context.filters.parameters)[0]["snapshot_date"]
        if snapshot_date is None:
            snapshot_date = context.reader.rows(queries.FIRST_SNAPSHOT_DATE)[0]["snapshot_date"]
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if snapshot_date is None:
        nothing(language, "states.no_customers")
        return
    note = language.text("customers.filtered") if context.filters.is_narrowed else ""
    st.caption(language.text("customers.subtitle", day=context.formats.day(snapshot_date)) + note)
    _draw_cards(context, snapshot_date)
    with section(language, language.text("customers.segments"), key="chart-segments", metric="segment"):
        _draw_segments(context, snapshot_date)
    left, right = st.columns([3, 2], gap="small")
    with left, section(language, language.text("customers.map"), key="chart-map", metric="rfm"):
        _draw_map(context, snapshot_date)
    with right, section(language, language.text("customers.lifecycle"), key="chart-lifecycle", metric="lifecycle"):
        _draw_lifecycle(context, snapshot_date)
    with section(language, language.text("customers.movement"), key="chart-movement", metric="movement"):
        _draw_movement(context, snapshot_date)
    with section(language, language.text("what_if.title"), key="what-if", metric="what_if"):
        what_if.draw(context, snapshot_date)
    with section(language, language.text("customers.one"), key="one-customer", metric="recommendation"):
        _draw_one(context, snapshot_date)


def _over_chosen(context: Context, statement: str, snapshot_date: date) -> Any:
    return context.reader.table(
        queries.over_chosen(statement, context.filters), context.filters.parameters | {"snapshot_date": snapshot_date}
    )


def _draw_cards(context: Context, snapshot_date: date) -> None:
    formats, language = context.formats, context.language
    now = _summary(context, snapshot_date)
    earlier = context.reader.rows(queries.EARLIER_SNAPSHOT_DATE, {"snapshot_date": snapshot_date})[0]["snapshot_date"]
    before = _summary(context, earlier) if earlier else {}
    compared = f" {language.text('customers.since', day=f'{earlier:%m-%d}')}" if earlier else ""

    def card(metric: str, read: Any, compare: Any, *, less_is_better: bool = False) -> Card:
        delta = compare(now[metric], before.get(metric))
        return Card(metric, read(now[metric]), f"{delta}{compared}" if delta else None, less_is_better=less_is_better)

    try:
        identified = context.reader.rows(
            queries.IDENTIFICATION_RATE.replace("{condition}", context.filters.condition()), context.filters.parameters
        )[0]["identification_rate"]
    except MissingDataError:
        identified = None
    cards(
        language,
        [
            card("customers", formats.count, formats.change),
            card("repurchase_rate", formats.percent, formats.points),
            card("mean_monetary", formats.money, formats.change),
            card("at_risk", formats.count, formats.change, less_is_better=True),
            card("asleep", formats.count, formats.change, less_is_better=True),
            Card("identification_rate", formats.percent(identified), note=language.text("customers.in_period")),
        ],
    )


def _summary(context: Context, snapshot_date: date) -> dict[str, Any]:
    """The figures of the cards on a snapshot date, by metric."""
    found: dict[str, Any] = _over_chosen(context, queries.SUMMARY, snapshot_date).to_pylist()[0]
    buyers = found["buyers"]
    return found | {
        "repurchase_rate": found["repeat_buyers"] / buyers if buyers else None,
        "mean_monetary": found["monetary"] / buyers if buyers else None,
    }


def _draw_segments(context: Context, snapshot_date: date) -> None:
    language, formats = context.language, context.formats
    found = _over_chosen(context, queries.SEGMENTS, snapshot_date)
    if not found.num_rows:
        nothing(language)
        return
    names = {value: context.segment(value) for value in found["segment"].to_pylist() if value is not None}
    frame = to_frame(found)
    frame["name"] = [context.segment(value) for value in found["segment"].to_pylist()]
    order = list(frame["name"])
    known = {segment: words.definition for segment, words in context.segments.items()}
    definitions = pa.array([known.get(value) for value in found["segment"].to_pylist()], pa.string())
    found = found.append_column("definition", definitions)
    titles = {
        "name": language.text("columns.segment"),
        "segment": language.text("columns.segment"),
        "definition": language.text("columns.definition"),
        "customers": language.text("columns.customers"),
        "share": language.text("columns.share"),
        "monetary": language.metric("monetary"),
        "monetary_share": language.text("customers.monetary_share"),
        "mean_monetary": language.metric("mean_monetary"),
        "mean_frequency": language.text("customers.mean_frequency"),
        "mean_recency_days": language.text("customers.mean_recency"),
    }
    left, right = st.columns(2, gap="medium")
    for place, value, share, colour, read in (
        (left, "customers", "share", charts.BLUE, formats.count),
        (right, "monetary", "monetary_share", charts.GREEN, formats.money),
    ):
        frame["label"] = [
            f"{read(number)} · {formats.percent(part)}"
            for number, part in zip(found[value].to_pylist(), found[share].to_pylist(), strict=True)
        ]
        with place:
            st.caption(titles[value])
            built = charts.bars(
                frame.copy(), category="name", value=value, label="label", titles=titles, formats=formats, order=order,
                colour=colour,
            )  # fmt: skip
            chart(built, key=f"segments-{value}", alt_text=f"{language.text('customers.segments')}: {titles[value]}")
    with behind(language, "segments"):
        table(
            language, found, key="segments", titles=titles, formats=formats, money=("monetary", "mean_monetary"),
            shares=("share", "monetary_share"), text={"segment": names},
        )  # fmt: skip


def _draw_map(context: Context, snapshot_date: date) -> None:
    language, formats = context.language, context.formats
    found = _over_chosen(context, queries.RFM_MAP, snapshot_date)
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found)
    frame["count_label"] = [formats.count(value) for value in found["customers"].to_pylist()]
    frame["money_label"] = [formats.money(value) for value in found["monetary"].to_pylist()]
    highest = max(5, int(frame[["r_score", "f_score"]].max().max()))
    scores = range(1, highest + 1)
    titles = {
        "r_score": language.text("customers.r_score"),
        "f_score": language.text("customers.f_score"),
        "customers": language.text("columns.customers"),
        "monetary": language.metric("monetary"),
        "count_label": language.text("columns.customers"),
        "money_label": language.metric("monetary"),
    }
    built = charts.heat_map(
        frame, x="r_score", y="f_score", value="customers", label="count_label", titles=titles, x_order=list(scores),
        y_order=list(reversed(scores)), extra=("money_label",),
    )  # fmt: skip
    chart(built, key="map", alt_text=language.text("customers.map"))
    with behind(language, "map"):
        shown = {name: titles[name] for name in ("r_score", "f_score", "customers", "monetary")}
        table(language, found, key="rfm-map", titles=shown, formats=formats, money=("monetary",))


def _draw_lifecycle(context: Context, snapshot_date: date) -> None:
    language, formats = context.language, context.formats
    found = _over_chosen(context, queries.LIFECYCLE, snapshot_date)
    if not found.num_rows:
        nothing(language)
        return
    stages = [value for value in found["lifecycle"].to_pylist() if value is not None]
    order = [stage for stage in LIFECYCLE if stage in stages] + [stage for stage in stages if stage not in LIFECYCLE]
    frame = to_frame(found)
    frame["name"] = [context.segment(value) for value in found["lifecycle"].to_pylist()]
    frame["label"] = [
        f"{formats.count(number)} · {formats.percent(share)}"
        for number, share in zip(found["customers"].to_pylist(), found["share"].to_pylist(), strict=True)
    ]
    titles = {
        "name": language.text("columns.lifecycle"),
        "lifecycle": language.text("columns.lifecycle"),
        "customers": language.text("columns.customers"),
        "share": language.text("columns.share"),
        "monetary": language.metric("monetary"),
    }
    built = charts.bars(
        frame, category="name", value="customers", label="label", titles=titles, formats=formats,
        order=[context.segment(stage) for stage in order], colour=charts.PURPLE,
    )  # fmt: skip
    chart(built, key="lifecycle", alt_text=language.text("customers.lifecycle"))
    meanings = [
        f"**{context.segment(stage)}** {context.segments[stage].definition}"
        for stage in order
        if stage in context.segments
    ]
    if meanings:
        st.caption("  \n".join(meanings))
    with behind(language, "lifecycle"):
        names = {stage: context.segment(stage) for stage in stages}
        table(
            language, found, key="lifecycle", titles=titles, formats=formats, money=("monetary",), shares=("share",),
            text={"lifecycle": names},
        )  # fmt: skip


def _draw_movement(context: Context, snapshot_date: date) -> None:
    language, formats = context.language, context.formats
    found = _over_chosen(context, queries.MOVEMENTS, snapshot_date)
    if not found.num_rows:
        nothing(language, "customers.no_movement")
        return
    rows = found.to_pylist()
    moved = sum(row["customers"] for row in rows if row["from_segment"] != row["to_segment"])
    total = sum(row["customers"] for row in rows)
    st.caption(language.text("customers.moved", moved=formats.count(moved), share=formats.percent(moved / total)))
    frame = to_frame(found)
    frame["from_name"] = frame["from_segment"].map(context.segment)
    frame["to_name"] = frame["to_segment"].map(context.segment)
    frame["label"] = [formats.count(row["customers"]) for row in rows]
    titles = {
        "from_segment": language.text("customers.from"),
        "to_segment": language.text("customers.to"),
        "from_name": language.text("customers.from"),
        "to_name": language.text("customers.to"),
        "customers": language.text("columns.customers"),
        "label": language.text("columns.customers"),
    }
    # Those who stayed would drown the ones who moved, so the colour counts the moves alone.
    frame["moved"] = frame["customers"].where(frame["from_segment"] != frame["to_segment"], 0)
    present = set(frame["from_segment"]) | set(frame["to_segment"])
    known = [value for value in context.segments if value in present]
    order = [context.segment(value) for value in [*known, *sorted(present.difference(known))]]
    built = charts.heat_map(
        frame, x="to_name", y="from_name", value="moved", label="label", titles=titles, x_order=order, y_order=order,
        height=max(36 * len(order) + 60, 240),
    )  # fmt: skip
    chart(built, key="movement", alt_text=language.text("customers.movement"))
    with behind(language, "movement"):
        shown = {name: titles[name] for name in ("from_segment", "to_segment", "customers")}
        all_names = {value: context.segment(value) for value in present}
        table(
            language, found, key="movement", titles=shown, formats=formats,
            text={"from_segment": all_names, "to_segment": all_names},
        )  # fmt: skip


def _draw_one(context: Context, snapshot_date: date) -> None:
    language, formats = context.language, context.formats
    try:
        sample = [row["customer_id"] for row in _over_chosen(context, queries.SAMPLE, snapshot_date).to_pylist()]
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        sample = []
    left, right = st.columns(2)
    picked = left.selectbox(
        language.text("customers.sample"), sample, key="customer_sample", placeholder=language.text("states.none")
    )
    typed = right.text_input(
        language.text("customers.type_id"), key="customer_id", placeholder="c0123456789abcdef0123"
    ).strip()
    customer = typed or picked
    if not customer:
        nothing(language, "customers.pick")
        return
    bound = {"customer_id": customer, "snapshot_date": snapshot_date}
    profile = context.reader.rows(queries.ONE_CUSTOMER, bound)
    if not profile and not context.reader.rows(queries.IS_CUSTOMER, bound)[0]["found"]:
        nothing(language, "customers.unknown")
        return
    if profile:
        _draw_profile(context, profile[0])
    _draw_tags(context, bound)
    try:
        found = context.reader.table(queries.RECOMMENDATIONS, bound)
    except MissingDataError:
        found = context.reader.table(queries.RECOMMENDATIONS_WITHOUT_NAMES, bound)
    st.markdown(f"**{language.text('customers.recommendations')}**")
    if not found.num_rows:
        nothing(language, "customers.no_recommendations")
        return
    columns = ("rank", "product", "sku", "reason", "strategy", "store_id", "as_of")
    table(
        language, found, key="recommendations", formats=formats,
        titles={name: language.text(f"columns.{name}") for name in columns},
        text={
            "store_id": dict(context.store_names),
            "strategy": {
                str(value): language.name_of("strategies", value) for value in set(found["strategy"].to_pylist())
            },
        },
    )  # fmt: skip


def _draw_profile(context: Context, profile: dict[str, Any]) -> None:
    language, formats = context.language, context.formats
    scores = "-".join(str(profile[name] or "?") for name in ("r_score", "f_score", "m_score"))
    before = profile["previous_segment"]
    facts = [
        (language.text("columns.segment"), context.segment(profile["segment"])),
        (language.text("customers.from"), context.segment(before)),
        (language.text("columns.lifecycle"), context.segment(profile["lifecycle"])),
        (language.metric("rfm"), scores),
        (language.metric("recency"), language.text("customers.days", days=formats.count(profile["recency_days"]))),
        (language.metric("frequency"), formats.count(profile["frequency"])),
        (language.metric("monetary"), formats.exact_money(profile["monetary"])),
    ]
    st.dataframe(pd.DataFrame([dict(facts)]), hide_index=True, width="stretch", key="customer-profile")


def _draw_tags(context: Context, bound: dict[str, Any]) -> None:
    try:
        tags = context.reader.rows(queries.TAGS, bound)
    except MissingDataError:
        return
    badges = []
    for tag in tags:
        name = _plain(context.language.name_of("columns", tag["tag"]))
        badges.append(f":blue-badge[{name}: {_plain(_tag_value(context, tag))}]")
    if badges:
        st.markdown(" ".join(badges))


def _tag_value(context: Context, tag: dict[str, Any]) -> str:
    return context.segment(tag["value"]) if tag["tag"] in ("segment", "lifecycle") else tag["value"]


def _plain(text: str) -> str:
    """The text without the signs that would end a badge or start other markup."""
    return "".join(sign for sign in str(text) if sign not in "[]:*_`$\\")
