"""Prices: articles at several prices at the same time, and what lower prices later give buyers a claim to.

Belongs here: the layout of the page. Queries are in `dashboards/queries/prices`.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.blocks import ranked_bars, titles_of
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import prices as queries


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("prices.title"), anchor=False)
    st.caption(language.text("prices.subtitle", day=context.formats.day(context.filters.end)))
    _draw_cards(context)
    with section(language, language.text("prices.daily"), key="chart-conflicts", metric="price_conflicts"):
        _draw_daily(context)
    with section(language, language.text("prices.widest"), key="widest", metric="price_gap"):
        _draw_widest(context)
    with section(language, language.text("prices.claims"), key="chart-claims", metric="protection_amount"):
        _draw_claims(context)


def _found(context: Context, statement: str) -> pa.Table:
    return context.reader.table(statement, context.filters.parameters)


def _draw_cards(context: Context) -> None:
    formats, language = context.formats, context.language
    try:
        summary: dict[str, Any] = _found(context, queries.SUMMARY).to_pylist()[0]
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    cards(
        language,
        [
            Card("price_conflicts", formats.count(summary["conflicts"])),
            Card("price_gap", formats.percent(summary["widest_share"]), note=language.text("prices.widest_note")),
            Card("protected_orders", formats.count(summary["protected_orders"] or 0)),
            Card("protection_amount", formats.money(summary["protection_amount"] or 0)),
        ],
        columns=4,
    )


def _draw_daily(context: Context) -> None:
    language = context.language
    found = _found(context, queries.DAILY)
    if not found.num_rows:
        nothing(language, "prices.no_conflicts")
        return
    titles = titles_of(context, ("business_date", "conflicts", "protected_orders", "protection_amount"))
    frame = to_frame(found).assign(name=titles["conflicts"])
    built = charts.trend(
        frame, series="name", value="conflicts", day="business_date", names=[titles["conflicts"]],
        titles=titles | {"name": language.text("columns.series")}, formats=context.formats,
    )  # fmt: skip
    chart(built, key="conflicts", alt_text=language.text("prices.daily"))
    with behind(language, "conflicts"):
        table(language, found, key="conflicts", formats=context.formats, titles=titles, money=("protection_amount",))


def _draw_widest(context: Context) -> None:
    language = context.language
    found = _found(context, queries.WIDEST)
    if not found.num_rows:
        nothing(language, "prices.no_conflicts")
        return
    exact = found
    for column in ("lowest_price", "highest_price", "gap"):
        # Prices are in their own currency, which stands beside them: text keeps every decimal.
        at = exact.column_names.index(column)
        written = pa.array([f"{value.normalize():f}" for value in exact[column].to_pylist()])
        exact = exact.set_column(at, column, written)
    columns = (
        "sku", "name", "category", "currency", "lowest_price", "lowest_channel", "lowest_store_id", "highest_price",
        "highest_channel", "highest_store_id", "gap", "gap_share",
    )  # fmt: skip
    channels, stores = dict(context.channel_names), dict(context.store_names)
    table(
        language, exact, key="widest", formats=context.formats, titles=titles_of(context, columns),
        shares=("gap_share",),
        text={
            "lowest_channel": channels, "highest_channel": channels, "lowest_store_id": stores,
            "highest_store_id": stores,
        },
    )  # fmt: skip


def _draw_claims(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.CLAIMS)
    if not found.num_rows:
        nothing(language, "prices.no_claims")
        return
    names = {row["sku"]: f"{row['name']} ({row['sku']})" if row["name"] else row["sku"] for row in found.to_pylist()}
    ranked_bars(
        context, found, key="claims", title=language.text("prices.claims"), name="sku", value="protection_amount",
        name_of=lambda sku: str(names[sku]), money=("protection_amount",), colour=charts.VERMILLION,
        label=lambda row: f"{formats.money(row['protection_amount'])} · {formats.count(row['protected_orders'])}",
        columns=("sku", "name", "category", "protected_orders", "protection_amount", "newest_day"), text={"sku": {}},
    )  # fmt: skip
