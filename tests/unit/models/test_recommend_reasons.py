"""Reasons claim what the data shows, in the shopper's language."""

from __future__ import annotations

import pyarrow as pa
import pytest
from recommend_shop import AS_OF, Purchase, customers, products, purchases

from models.recommend import RecommendSettings, recommend
from models.recommend.reasons import REASONS

SKUS = ["milk", "bread", "jam", "tea"]
ANYTHING = RecommendSettings(recent_days=None, max_repeat_share=1.0)


def reasons_of(
    rows: list[Purchase], customer: str = "a", language: str = "en", goods: pa.Table | None = None
) -> dict[str, str]:
    result = recommend(
        purchases(rows), customers(customer), goods or products(SKUS), AS_OF, settings=ANYTHING, language=language
    )
    return dict(zip(result["sku"].to_pylist(), result["reason"].to_pylist(), strict=True))


def test_both_languages_know_the_same_reasons() -> None:
    assert REASONS["zh"].keys() == REASONS["en"].keys()


def test_regular_purchase_is_due_when_its_own_gap_has_passed() -> None:
    assert reasons_of([("a", "milk", age) for age in (30, 60, 90)])["milk"] == REASONS["en"]["due"]


def test_regular_purchase_is_not_called_due_too_early() -> None:
    assert reasons_of([("a", "milk", age) for age in (5, 65, 125)])["milk"] == REASONS["en"]["frequent"]


def test_single_purchase_is_not_called_regular() -> None:
    often = [("b", "milk", age) for age in (10, 20, 30)]
    assert reasons_of([("a", "milk", 40), *often])["milk"] == REASONS["en"]["again"]


def test_neighbour_names_the_purchase_that_it_follows_from() -> None:
    rows = [(name, sku, 40) for name in "bcd" for sku in ("bread", "jam")] + [("a", "bread", 40), ("e", "tea", 40)]
    assert reasons_of(rows)["jam"] == "Customers who bought Product bread also buy this"
    assert reasons_of(rows, language="zh")["jam"] == "买过「Product bread」的顾客也常买"


def test_neighbour_of_a_purchase_without_name_stays_readable() -> None:
    rows = [(name, sku, 40) for name in "bcd" for sku in ("ghost", "jam")] + [("a", "ghost", 40)]
    assert reasons_of(rows)["jam"] == "Based on your purchases"


def test_long_and_broken_names_are_shortened_to_one_line() -> None:
    goods = products(SKUS).set_column(1, "name", pa.array(["Very\nlong " + "x" * 80, "b", "jam {0}", "t"]))
    rows = [(name, sku, 40) for name in "bcd" for sku in ("milk", "bread")] + [("a", "milk", 40)]
    reason = reasons_of(rows, goods=goods)["bread"]
    assert "\n" not in reason
    assert reason.startswith("Customers who bought Very long xxx")
    assert "…" in reason
    assert len(reason) < 80


def test_braces_in_a_name_are_text() -> None:
    goods = products(SKUS).set_column(1, "name", pa.array(["{name} {0}", "b", "j", "t"]))
    rows = [(name, sku, 40) for name in "bcd" for sku in ("milk", "bread")] + [("a", "milk", 40)]
    assert reasons_of(rows, goods=goods)["bread"] == "Customers who bought {name} {0} also buy this"


def test_selling_well_this_week_needs_sales_this_week() -> None:
    rows = [(name, "tea", 2) for name in "bcd"] + [(name, "jam", 30) for name in "bcd"]
    reasons = reasons_of(rows, customer="new", language="zh")
    assert reasons["tea"] == "本周热销"
    assert reasons["jam"] == "大家都在买"
    assert reasons["milk"] == "为您精选"


def test_unknown_language_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="zh, en"):
        recommend(purchases([]), customers("a"), products(SKUS), AS_OF, language="fr")
