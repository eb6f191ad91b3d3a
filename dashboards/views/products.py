"""Products: what sells most and at which hours, what a region sells and lacks, and what the stock of it earns.

Belongs here: the layout of the page. Queries are in `dashboards/queries/products`.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.blocks import ranked_bars, titles_of
from dashboards.components import Context, behind, chart, nothing, section, table, to_frame
from dashboards.queries import products as queries

_TOP = ("sku", "name", "category", "net_amount", "share", "quantity", "margin_rate", "returned")
HOURS = range(24)


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("products.title"), anchor=False)
    st.caption(language.text("products.subtitle", currency=context.basis.currency))
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("products.top_sales"), key="chart-top-sales", metric="net_amount"):
        _draw_top(context, queries.TOP_BY_SALES, "net_amount")
    with right, section(language, language.text("products.top_units"), key="chart-top-units", metric="quantity"):
        _draw_top(context, queries.TOP_BY_UNITS, "quantity")
    with section(language, language.text("products.hours"), key="chart-hours", metric="orders_by_hour"):
        _draw_hours(context)
    with section(language, language.text("products.regions"), key="chart-regions", metric="share_index"):
        _draw_regions(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("products.sell_through"), key="chart-sell", metric="sell_through_rate"):
        _draw_sell_through(context)
    with right, section(language, language.text("products.gmroi"), key="chart-gmroi", metric="gmroi"):
        _draw_gmroi(context)


def _found(context: Context, statement: str, **more: Any) -> pa.Table:
    return context.reader.table(context.filters.fill(statement), context.filters.parameters | more)


def _category(context: Context, category: str | None) -> str:
    uncategorised = context.language.text("overview.uncategorised")
    return uncategorised if category in (None, "uncategorised") else str(category)


def _draw_top(context: Context, statement: str, value: str) -> None:
    formats = context.formats
    found = _found(context, statement)
    names = {row["sku"]: f"{row['name']} ({row['sku']})" if row["name"] else row["sku"] for row in found.to_pylist()}
    read = formats.money if value == "net_amount" else formats.count
    ranked_bars(
        context, found, key=f"top-{value}", title=context.language.text("products.top_sales"), name="sku", value=value,
        name_of=lambda sku: str(names[sku]), label=lambda row: read(row[value]),
        columns=_TOP, money=("net_amount",), shares=("share", "margin_rate"),
        colour=charts.BLUE if value == "net_amount" else charts.GREEN, text={"sku": {}},
    )  # fmt: skip


def _draw_hours(context: Context) -> None:
    language = context.language
    found = _found(context, queries.HOURS)
    if not found.num_rows:
        nothing(language)
        return
    frame = to_frame(found).set_index("hour").reindex(HOURS, fill_value=0).reset_index()
    titles = titles_of(context, ("hour", "paid_orders", "sales_net_amount"))
    built = charts.columns(
        frame, category="hour", value="paid_orders", titles=titles, order=list(HOURS), formats=context.formats
    )
    chart(built, key="hours", alt_text=language.text("products.hours"))
    with behind(language, "hours"):
        table(language, found, key="hours", formats=context.formats, titles=titles, money=("sales_net_amount",))


def _draw_regions(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _found(context, queries.REGIONS)
    if not found.num_rows:
        nothing(language)
        return
    st.caption(language.text("products.regions_note"))
    frame = to_frame(found)
    if context.filters.regions:
        frame = frame[frame["region"].isin(context.filters.regions)]
    frame["name"] = [_category(context, value) for value in frame["category"]]
    frame["label"] = ["–" if value != value else f"{value:.2f}" for value in frame["share_index"]]
    frame["missing"] = frame["missing_skus"].fillna(0).astype(int)
    drawn = frame[frame["share_index"].notna()]
    titles = titles_of(
        context,
        (
            "region", "category", "net_amount", "share", "rest_share", "share_index", "missing_skus", "missing_sku",
            "missing_name", "missing_units_a_store",
        ),
    )  # fmt: skip
    if len(drawn):
        built = charts.heat_map(
            drawn, x="name", y="region", value="share_index", label="label", extra=("missing",), darkest=2.0,
            titles=titles | {"name": titles["category"], "label": titles["share_index"],
                             "missing": titles["missing_skus"]},
            x_order=sorted(set(drawn["name"])), y_order=sorted(set(drawn["region"])),
            height=max(32 * drawn["region"].nunique() + 90, 200),
        )  # fmt: skip
        chart(built, key="regions", alt_text=language.text("products.regions"))
    else:
        nothing(language)
    with behind(language, "regions"):
        table(
            language, found, key="regions", formats=formats, titles=titles, money=("net_amount",),
            shares=("share", "rest_share"), text={"category": {"uncategorised": _category(context, None)}},
        )  # fmt: skip


def _draw_sell_through(context: Context) -> None:
    language, formats = context.language, context.formats
    seasons = [row["season"] for row in _found(context, queries.SEASONS).to_pylist()]
    if not seasons:
        nothing(language)
        return
    season = st.selectbox(
        language.text("columns.season"), seasons, key="products_season",
        format_func=lambda day: language.text("products.season_from", month=f"{day:%Y-%m}"),
    )  # fmt: skip
    ranked_bars(
        context, _found(context, queries.SELL_THROUGH, season=season), key="sell-through", name="category",
        value="sell_through_rate", title=language.text("products.sell_through"),
        name_of=lambda value: _category(context, value),
        label=lambda row: f"{formats.percent(row['sell_through_rate'])} · {formats.count(row['net_units'])}",
        columns=("category", "skus", "opening_units", "received_units", "net_units", "sell_through_rate"),
        shares=("sell_through_rate",), percent=True, colour=charts.PURPLE,
    )  # fmt: skip


def _draw_gmroi(context: Context) -> None:
    language = context.language
    found = _found(context, queries.GMROI)
    if found.num_rows:
        points = max(found["n_points"].to_pylist())
        st.caption(language.text("products.gmroi_note", month=f"{found['month'][0].as_py():%Y-%m}", points=points))
    ranked_bars(
        context, found, key="gmroi", title=language.text("products.gmroi"), name="category", value="gmroi",
        name_of=lambda value: _category(context, value), label=lambda row: f"{row['gmroi'] or 0:.2f}",
        columns=("category", "n_points", "average_inventory_amount", "margin_amount", "gmroi"),
        money=("average_inventory_amount", "margin_amount"),
    )  # fmt: skip
