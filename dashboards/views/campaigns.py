"""Campaigns and coupons: what they cost and brought against those held out, budgets, coupons by pool and store.

Belongs here: the layout of the page. Queries are in `dashboards/queries/campaigns`. No code of a coupon is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import campaigns as queries

_METRICS = ("redemption_rate", "net_amount", "discount_amount", "campaign_cost", "incremental_margin")
_RENAMED = {
    "uplift": "campaign_uplift",
    "roi": "campaign_roi",
    "srm_p_value": "campaign_split",
    "verdict": "campaign_verdict",
}
_MONEY = (
    "incremental_margin",
    "incremental_margin_low",
    "incremental_margin_high",
    "cost",
    "net_amount",
    "discount_amount",
)
_SHARES = (
    "conversion_treated",
    "conversion_control",
    "uplift",
    "ci_low",
    "ci_high",
    "coupons_share",
    "liability_share",
    "redemption_rate",
)


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("campaigns.title"), anchor=False)
    st.caption(language.text("campaigns.subtitle", currency=context.basis.currency))
    _draw_cards(context)
    with section(language, language.text("campaigns.effects"), key="chart-uplift", metric="campaign_uplift"):
        _draw_effects(context)
    with section(language, language.text("campaigns.budgets"), key="table-budgets", metric="campaign_budget"):
        _draw(context, queries.BUDGETS, "budgets")
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("campaigns.by_campaign"), key="table-coupons", metric="redemption_rate"):
        _draw(context, queries.COUPONS_BY_CAMPAIGN, "by_campaign")
    with right, section(language, language.text("campaigns.by_pool"), key="table-pools", metric="redemption_rate"):
        _draw(context, queries.COUPONS_BY_POOL, "by_pool")


def _table(context: Context, statement: str) -> pa.Table:
    parameters = context.filters.parameters | {"language": context.language.code}
    return context.reader.table(context.filters.fill(statement), parameters)


def _titles(context: Context, names: Sequence[str]) -> dict[str, str]:
    language = context.language
    found = {}
    for name in names:
        metric = _RENAMED.get(name, name)
        is_metric = name in _RENAMED or name in _METRICS
        found[name] = language.metric(metric) if is_metric else language.text(f"columns.{name}")
    return found


def _draw_cards(context: Context) -> None:
    language, formats = context.language, context.formats
    try:
        (totals,) = _table(context, queries.TOTALS).to_pylist()
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    cards(
        language,
        [
            Card("campaigns_measured", formats.count(totals["campaigns_measured"])),
            Card("campaign_treated", formats.count(totals["campaign_treated"])),
            Card("campaign_held_out", formats.count(totals["campaign_held_out"])),
            Card("campaign_cost", formats.money(totals["campaign_cost"])),
            Card("incremental_margin", formats.money(totals["incremental_margin"])),
        ],
        columns=5,
    )


def _draw_effects(context: Context) -> None:
    language = context.language
    found = _table(context, queries.RESULTS)
    if not found.num_rows:
        nothing(language, "campaigns.no_effects")
        return
    frame = to_frame(found)
    frame = frame[frame["uplift"].notna()]
    if len(frame):
        frame["name"] = (
            frame["campaign"] + " · " + frame["verdict"].map(lambda verdict: language.name_of("verdicts", verdict))
        )
        chart(
            charts.intervals(
                frame, category="name", value="uplift", low="ci_low", high="ci_high",
                titles={"name": language.text("columns.campaign"), "uplift": language.metric("campaign_uplift"),
                        "ci_low": language.text("columns.ci_low"), "ci_high": language.text("columns.ci_high")},
            ),
            key="uplift", alt_text=language.text("campaigns.effects"),
        )  # fmt: skip
        st.caption(language.text("campaigns.how"))
    else:
        nothing(language, "campaigns.not_measured")
    with behind(language, "uplift"):
        _grid(context, found, "effects")


def _draw(context: Context, statement: str, name: str) -> None:
    found = _table(context, statement)
    if not found.num_rows:
        nothing(context.language, f"campaigns.no_{name}")
        return
    _grid(context, found, name)


def _grid(context: Context, found: pa.Table, name: str) -> None:
    language = context.language
    present = found.column_names
    verdicts = (
        {value: language.name_of("verdicts", value) for value in found["verdict"].to_pylist()}
        if "verdict" in present
        else {}
    )
    table(
        language, found, key=f"campaigns-{name}", titles=_titles(context, present), formats=context.formats,
        money=[column for column in _MONEY if column in present],
        shares=[column for column in _SHARES if column in present],
        text={"verdict": verdicts, "store_id": context.store_names, "channel": context.channel_names},
        height=320 if found.num_rows > 8 else None,
    )  # fmt: skip
