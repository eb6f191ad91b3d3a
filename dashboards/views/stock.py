"""Stock: how long it lasts, what is out while another place has it, what to move and what to order.

Belongs here: the layout of the page. Queries are in `dashboards/queries/stock`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import stock as queries

_BANDS = ("d7", "d14", "d28", "d56", "more", "none")
_METRICS = (
    "stock_positions", "cover_days", "stockouts", "stockouts_elsewhere", "demand_next_14d", "own_need",
    "transfer_units", "reorder_units",
)  # fmt: skip


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("stock.title"), anchor=False)
    st.caption(language.text("stock.subtitle", day=context.formats.day(context.basis.as_of)))
    _draw_cards(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("stock.by_store"), key="chart-stockouts", metric="stockouts"):
        _draw_by_store(context)
    with right, section(language, language.text("stock.cover"), key="chart-cover", metric="cover_days"):
        _draw_cover(context)
    for name, statement, metric in (
        ("transfers", queries.TRANSFERS, "transfer_units"),
        ("orders", queries.ORDERS, "reorder_units"),
        ("out", queries.OUT_OF_STOCK, "stockouts"),
    ):
        with section(language, language.text(f"stock.{name}"), key=f"table-{name}", metric=metric):
            _draw_positions(context, name, statement)


def _table(context: Context, statement: str) -> pa.Table:
    return context.reader.table(context.filters.fill(statement), context.filters.parameters)


def _titles(context: Context, names: Sequence[str]) -> dict[str, str]:
    language = context.language
    return {name: language.metric(name) if name in _METRICS else language.text(f"columns.{name}") for name in names}


def _draw_cards(context: Context) -> None:
    language, formats = context.language, context.formats
    try:
        (totals,) = _table(context, queries.TOTALS).to_pylist()
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if not totals["stock_positions"]:
        nothing(language, "stock.nothing")
        return
    share = totals["stockouts"] / totals["stock_positions"]
    cover = totals["cover_days"]
    cards(
        language,
        [
            Card("stock_positions", formats.count(totals["stock_positions"])),
            Card(
                "cover_days",
                formats.count(None) if cover is None else language.text("stock.days", days=f"{cover:,.1f}"),
            ),
            Card("stockouts", formats.count(totals["stockouts"]), note=formats.percent(share)),
            Card("stockouts_elsewhere", formats.count(totals["stockouts_elsewhere"])),
            Card("transfer_units", formats.count(totals["transfer_units"])),
            Card("reorder_units", formats.count(totals["reorder_units"])),
        ],
    )


def _draw_by_store(context: Context) -> None:
    language = context.language
    found = _table(context, queries.BY_STORE)
    if not found.num_rows:
        nothing(language, "stock.nothing")
        return
    import pandas as pd

    frame = to_frame(found)
    frame["store"] = [context.store(store) for store in frame["store_id"]]
    names = [language.text("stock.elsewhere"), language.text("stock.everywhere")]
    tall = pd.concat(
        [
            frame[["store"]].assign(part=name, n=frame[column])
            for name, column in zip(names, ("stockouts_elsewhere", "stockouts_everywhere"), strict=True)
        ]
    )
    chart(
        charts.parts(
            tall, category="store", value="n", part="part", names=names, order=list(frame["store"]),
            titles={
                "store": language.text("columns.store_id"),
                "part": language.metric("stockouts"),
                "n": language.metric("stockouts"),
            },
            formats=context.formats, colours=(charts.ORANGE, charts.GREY),
        ),
        key="stockouts", alt_text=language.text("stock.by_store"),
    )  # fmt: skip
    with behind(language, "stockouts"):
        table(
            language, found, key="stock-by-store", formats=context.formats, text={"store_id": context.store_names},
            titles=_titles(
                context,
                ["store_id", "stock_positions", "stockouts_elsewhere", "stockouts_everywhere", "cover_days",
                 "demand_next_14d", "transfer_units", "given_units", "reorder_units"],
            ),
        )  # fmt: skip


def _draw_cover(context: Context) -> None:
    language = context.language
    found = _table(context, queries.COVER)
    if not found.num_rows:
        nothing(language, "stock.nothing")
        return
    words: Mapping[str, str] = {band: language.text(f"stock.band_{band}") for band in _BANDS}
    frame = to_frame(found)
    frame["name"] = [words[band] for band in frame["band"]]
    frame["label"] = [context.formats.count(n) for n in frame["stock_positions"]]
    titles = {
        "band": language.metric("cover_days"),
        "name": language.metric("cover_days"),
        "stock_positions": language.metric("stock_positions"),
    }
    chart(
        charts.bars(
            frame, category="name", value="stock_positions", label="label", titles=titles, formats=context.formats,
            order=list(frame["name"]),
        ),
        key="cover", alt_text=language.text("stock.cover"),
    )  # fmt: skip
    with behind(language, "cover"):
        table(
            language,
            found,
            key="stock-cover",
            titles=_titles(context, ["band", "stock_positions"]),
            formats=context.formats,
            text={"band": words},
        )


def _draw_positions(context: Context, name: str, statement: str) -> None:
    language = context.language
    found = _table(context, statement)
    if not found.num_rows:
        nothing(language, f"stock.no_{name}")
        return
    table(
        language, found, key=f"stock-{name}", titles=_titles(context, found.column_names), formats=context.formats,
        text={
            "store_id": context.store_names,
            "giver": {**context.store_names, "~elsewhere": language.text("stock.another")},
        },
        instants=[column for column in ("counted_at",) if column in found.column_names],
        height=320 if found.num_rows > 8 else None,
    )  # fmt: skip
    if found.num_rows >= queries.LISTED_ROWS:
        st.caption(language.text("stock.listed", rows=queries.LISTED_ROWS))
