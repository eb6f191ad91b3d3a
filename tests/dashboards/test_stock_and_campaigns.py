"""The pages of stock and of campaigns: their figures are those of the marts, in the reader's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.data import Reader
from dashboards.language import words
from tests.dashboards.conftest import OpenPage, words_of
from tests.dashboards.test_pages import run_sql

pytestmark = pytest.mark.usefixtures("home")


def test_the_cards_of_stock_say_what_the_mart_says_of_the_chosen_stores(open_page: OpenPage, reader: Reader) -> None:
    (expected,) = reader.rows(
        "SELECT count(*) AS positions, count(*) FILTER (WHERE stockout) AS out, sum(transfer_quantity) AS moved, "
        "sum(reorder_quantity) AS ordered FROM stock_health WHERE store_id IN ('S02', 'S03')"
    )
    app = open_page("stock", lang="en", store=["S02", "S03"], channel="mall")
    cards = {card.label: card.value for card in app.metric}
    assert cards["Positions"] == f"{expected['positions']:,}"
    assert cards["Stock-outs"] == f"{expected['out']:,}"
    assert cards["Units to move"] == f"{expected['moved']:,.0f}"
    assert cards["Units to order"] == f"{expected['ordered']:,.0f}"


def test_transfers_name_the_giver_and_the_article(open_page: OpenPage) -> None:
    app = open_page("stock", lang="zh")
    (transfers,) = [frame.value for frame in app.dataframe if "giver" in frame.value.columns]
    assert len(transfers) > 10
    assert set(transfers["giver"]) == {"上海南京西路店"}
    assert transfers["product"].notna().all()
    assert (transfers["transfer_quantity"] == 2).all()


def test_a_stock_in_which_nothing_is_wanted_has_words(open_page: OpenPage, home: Path) -> None:
    run_sql(
        home,
        "UPDATE marts.stock_health SET transfer_from_store_id = NULL, transfer_quantity = 0, reorder_quantity = 0, "
        "demand_next_14d = 0, cover_days = NULL",
    )
    app = open_page("stock", lang="en")
    assert not app.exception
    shown = [info.value for info in app.info]
    assert {words("en")[f"stock.no_{name}"] for name in ("transfers", "orders", "out")} <= set(shown)


def test_campaigns_show_effects_budgets_and_verdicts(open_page: OpenPage) -> None:
    app = open_page("campaigns", lang="en")
    cards = {card.label: card.value for card in app.metric}
    assert (cards["Campaigns measured"], cards["Treated"], cards["Held out"]) == ("2", "2,900", "600")
    (results,) = [frame.value for frame in app.dataframe if "verdict" in frame.value.columns]
    assert dict(zip(results["campaign"], results["verdict"], strict=True)) == {
        "Win back": "No effect seen", "Spring": "Lift", "May": "Not ours to measure",
    }  # fmt: skip
    assert results["uplift"].tolist()[:2] == pytest.approx([5, 10])
    (budgets,) = [frame.value for frame in app.dataframe if "coupons_share" in frame.value.columns]
    assert budgets.set_index("campaign")["coupons_share"]["Win back"] == pytest.approx(88)


def test_campaigns_that_held_nobody_out_say_so(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "UPDATE marts.campaign_results SET uplift = NULL, ci_low = NULL, ci_high = NULL, held_out = 0")
    app = open_page("campaigns", lang="zh")
    assert not app.exception
    assert words("zh")["campaigns.not_measured"] in [info.value for info in app.info]


def test_no_code_of_a_coupon_is_on_the_page(open_page: OpenPage) -> None:
    app = open_page("campaigns", lang="en")
    columns = {column for frame in app.dataframe for column in frame.value.columns}
    assert "coupon_code" not in columns
    assert "coupon" in words_of(app).lower()
