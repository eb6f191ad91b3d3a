"""Stores: where they lie and in which tier they are, the league table of a quarter, and their part in online orders.

Belongs here: the layout of the page. Queries are in `dashboards/queries/stores`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.blocks import ranked_bars, titles_of
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import stores as queries

TIERS = ("S", "A", "B", "C")
_LEAGUE = (
    "store_id", "tier", "previous_tier", "tier_score", "net_amount", "currency", "net_amount_local", "orders",
    "net_per_m2", "rating", "n_ratings", "member_share", "pickup_share", "diverted_share", "attributed_profit_amount",
    "region", "brand", "trading_days_so_far", "peer_group", "peers",
)  # fmt: skip


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("stores.title"), anchor=False)
    try:
        quarters = context.reader.rows(queries.QUARTERS, context.filters.parameters)
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if not quarters:
        nothing(language)
        return
    st.caption(language.text("stores.subtitle", currency=context.basis.currency))
    finished = {row["quarter"]: row["is_finished"] for row in quarters}
    quarter = st.selectbox(
        language.text("columns.quarter"), list(finished), key="stores_quarter", width=260,
        format_func=lambda day: _quarter_name(context, day, is_finished=finished[day]),
    )  # fmt: skip
    try:
        found = context.reader.table(
            context.filters.fill(queries.SCORECARD), context.filters.parameters | {"quarter": quarter}
        )
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    _draw_cards(context, found)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("stores.map"), key="chart-map", metric="store_tier"):
        _draw_map(context, found)
    with right, section(language, language.text("stores.per_m2"), key="chart-m2", metric="net_per_m2"):
        _draw_per_m2(context, found)
    with section(language, language.text("stores.league"), key="league", metric="store_tier"):
        _draw_league(context, found)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("stores.attribution"), key="chart-split", metric="attribution"):
        _draw_attribution(context)
    with right, section(language, language.text("stores.online"), key="chart-online", metric="pickup_share"):
        _draw_online(context)


def _quarter_name(context: Context, day: date, *, is_finished: bool) -> str:
    name = f"{day.year} Q{(day.month + 2) // 3}"
    return name if is_finished else f"{name} {context.language.text('stores.so_far')}"


def _name(row: dict[str, Any]) -> str:
    return str(row["name"] or row["store_id"])


def _draw_cards(context: Context, found: pa.Table) -> None:
    formats, language = context.formats, context.language
    rows = found.to_pylist()
    net = sum(row["net_amount"] for row in rows)
    rated = sum(row["n_ratings"] for row in rows if row["rating"] is not None)
    stars = sum(float(row["rating"]) * row["n_ratings"] for row in rows if row["rating"] is not None)
    members = [row for row in rows if row["member_share"] is not None]
    shown = [
        Card("net_amount", formats.money(net), note=language.text("stores.in_stores")),
        Card("net_per_m2", formats.money(_mean_per_m2(rows)), note=language.text("stores.all_areas")),
        Card(
            "rating",
            f"{stars / rated:.2f}" if rated else formats.count(None),
            note=language.text("stores.reviews", count=formats.count(rated)),
        ),
        Card(
            "member_share",
            formats.percent(
                sum(float(row["member_share"]) * float(row["net_amount"]) for row in members) / float(net)
                if members and net > 0
                else None
            ),
        ),
        Card("attributed_profit_amount", formats.money(sum(row["attributed_profit_amount"] for row in rows))),
        Card(
            "store_tier",
            " · ".join(str(sum(row["tier"] == tier for row in rows)) for tier in TIERS),
            note=f"{' · '.join(TIERS)}; "
            + language.text("stores.unrated", count=sum(row["tier"] is None for row in rows)),
        ),
    ]
    cards(language, shown)


def _mean_per_m2(rows: list[dict[str, Any]]) -> float | None:
    """Net sales of the stores whose area is known over that area."""
    known = [row for row in rows if row["net_per_m2"]]
    area = sum(float(row["net_amount"]) / float(row["net_per_m2"]) for row in known)
    return sum(float(row["net_amount"]) for row in known) / area if area > 0 else None


def _tier_name(context: Context, tier: str | None) -> str:
    return tier or context.language.text("stores.no_tier")


def _draw_map(context: Context, found: pa.Table) -> None:
    language, formats = context.language, context.formats
    frame = to_frame(found)
    frame["store"] = [_name(row) for row in found.to_pylist()]
    frame["group"] = [_tier_name(context, tier) for tier in found["tier"].to_pylist()]
    frame["label"] = [formats.money(amount) for amount in found["net_amount"].to_pylist()]
    frame["size"] = frame["net_amount"].clip(lower=0)
    frame = frame[frame["latitude"].notna() & frame["longitude"].notna()]
    if not len(frame):
        nothing(language, "stores.no_places")
        return
    titles = titles_of(context, ("latitude", "longitude", "store_id", "tier", "net_amount"))
    built = charts.places(
        frame, latitude="latitude", longitude="longitude", size="size", group="group", name="store", label="label",
        groups=[*TIERS, language.text("stores.no_tier")],
        titles=titles | {"store": titles["store_id"], "group": titles["tier"], "label": titles["net_amount"]},
    )  # fmt: skip
    chart(built, key="map", alt_text=language.text("stores.map"))
    with behind(language, "map"):
        columns = ("store_id", "tier", "net_amount", "latitude", "longitude")
        table(
            language, found, key="store-map", formats=formats, titles=titles_of(context, columns),
            money=("net_amount",), text={"store_id": _store_names(found)},
        )  # fmt: skip


def _store_names(found: pa.Table) -> dict[str, str]:
    return {row["store_id"]: _name(row) for row in found.to_pylist()}


def _draw_per_m2(context: Context, found: pa.Table) -> None:
    language, formats = context.language, context.formats
    names = _store_names(found)
    ordered = found.sort_by([("net_per_m2", "descending")]) if found.num_rows else found
    ranked_bars(
        context, ordered, key="per-m2", title=language.text("stores.per_m2"), name="store_id", value="net_per_m2",
        name_of=lambda store: names.get(store, store),
        label=lambda row: f"{formats.money(row['net_per_m2'])} · {_tier_name(context, row['tier'])}",
        columns=("store_id", "net_per_m2", "net_amount", "tier"), money=("net_per_m2", "net_amount"),
    )  # fmt: skip


def _draw_league(context: Context, found: pa.Table) -> None:
    language = context.language
    if not found.num_rows:
        nothing(language)
        return
    st.caption(language.text("stores.league_note"))
    groups = ("brand and region", "brand", "all")
    table(
        language, found, key="league", formats=context.formats, titles=titles_of(context, _LEAGUE),
        money=("net_amount", "net_per_m2", "attributed_profit_amount"),
        shares=("member_share", "pickup_share", "diverted_share"),
        text={
            "store_id": _store_names(found),
            "peer_group": {group: language.name_of("peer_groups", group) for group in groups},
        },
    )  # fmt: skip


def _draw_attribution(context: Context) -> None:
    language = context.language
    found = context.reader.table(context.filters.fill(queries.ATTRIBUTION), context.filters.parameters)
    if not found.num_rows:
        nothing(language)
        return
    roles = {role: language.name_of("store_roles", role) for role in ("guiding", "fulfilling", "home", "none")}
    frame = to_frame(found)
    frame["store"] = [context.store(store) for store in found["store_id"].to_pylist()]
    frame["part"] = [roles.get(role, role) for role in found["role"].to_pylist()]
    # What belongs to no store is told in the table; it would dwarf the stores.
    frame = frame[frame["store_id"].notna()]
    order = list(dict.fromkeys(frame["store"]))[:12]
    frame = frame[frame["store"].isin(order)]
    titles = titles_of(context, ("store_id", "role", "net_amount", "profit_amount"))
    if len(frame):
        built = charts.parts(
            frame, category="store", value="profit_amount", part="part", order=order, formats=context.formats,
            titles=titles | {"store": titles["store_id"], "part": titles["role"]},
            names=[roles[role] for role in ("guiding", "fulfilling", "home")],
        )  # fmt: skip
        chart(built, key="split", alt_text=language.text("stores.attribution"))
    else:
        nothing(language)
    with behind(language, "split"):
        table(
            language, found, key="attribution", formats=context.formats, titles=titles,
            money=("net_amount", "profit_amount"), text={"store_id": dict(context.store_names), "role": roles},
        )  # fmt: skip


def _draw_online(context: Context) -> None:
    language, formats = context.language, context.formats
    found = context.reader.table(context.filters.fill(queries.ONLINE), context.filters.parameters)
    shares = ("pickup_share", "completion_rate", "expiry_rate", "nearest_share")
    ranked_bars(
        context, found, key="online", title=language.text("stores.online"), name="store_id", value="pickup_orders",
        name_of=context.store, shares=shares, colour=charts.GREEN,
        label=lambda row: f"{formats.count(row['pickup_orders'])} · {formats.percent(row['pickup_share'])}",
        columns=(
            "store_id", "pickup_orders", *shares, "hours_to_pickup", "ship_from_store_orders", "same_city_orders",
            "staff_orders", "scan_orders",
        ),
    )  # fmt: skip
