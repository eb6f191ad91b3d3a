"""What is held out, and what is learned from it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from recommend_shop import AS_OF, products

from models.recommend import RecommendSettings
from models.recommend.holdout import FEWEST_CUSTOMERS, hold_out_after, hold_out_last, hold_out_windows
from models.recommend.learning import WEIGHTS, feature_names, learn, merit
from models.recommend.order import ByPopularity, LearnedOrder, from_card, to_card

SETTINGS = RecommendSettings(max_repeat_share=1.0, trending_weight=0.0)


def faithful(n_customers: int = 90, n_items: int = 30) -> pl.DataFrame:
    """Everybody comes every week for the same three items and one other."""
    rng = np.random.default_rng(5)
    rows = []
    for customer in range(n_customers):
        own = rng.choice(n_items, 3, replace=False)
        for week in range(20):
            for item in (*own, rng.integers(n_items)):
                rows.append((f"c{customer:03d}", f"s{item:02d}", AS_OF - timedelta(days=7 * week), 1.0))
    return pl.DataFrame(rows, schema=["customer_id", "sku", "ordered_on", "quantity"], orient="row").unique()


GOODS = products([f"s{number:02d}" for number in range(30)])


def test_nothing_of_the_held_out_weeks_is_known() -> None:
    holdout = hold_out_after(faithful(), AS_OF)
    assert holdout is not None
    assert holdout.known["ordered_on"].max() == holdout.as_of
    assert holdout.as_of <= AS_OF - timedelta(days=28)


def test_windows_follow_each_other_backwards() -> None:
    windows = hold_out_windows(faithful(), AS_OF)
    assert len(windows) >= 2
    assert [one.as_of for one in windows] == sorted({one.as_of for one in windows}, reverse=True)


def test_too_few_who_come_back_are_not_learned_from() -> None:
    few = faithful(n_customers=FEWEST_CUSTOMERS - 1)
    assert hold_out_after(few, AS_OF) is None
    assert hold_out_last(few, AS_OF) is None
    assert hold_out_windows(few, AS_OF) == []


def test_the_last_day_of_each_customer_is_held_out_and_single_days_stay_known() -> None:
    bought = pl.concat(
        [faithful(), pl.DataFrame({"customer_id": ["once"], "sku": ["s01"], "ordered_on": [AS_OF], "quantity": [1.0]})]
    )
    holdout = hold_out_last(bought, AS_OF)
    assert holdout is not None
    assert "once" in holdout.known["customer_id"].to_list()
    assert "once" not in holdout.truth["customer_id"].to_list()
    assert holdout.known.filter(pl.col("customer_id") != "once")["ordered_on"].max() < AS_OF


def test_what_is_chosen_is_no_worse_than_any_simple_rule_and_survives_its_card() -> None:
    holdout = hold_out_last(faithful(), AS_OF)
    assert holdout is not None
    learned = learn([holdout], GOODS, SETTINGS, 5, allow_rules=True)
    best = max(merit(quality) for quality in learned.quality.values())
    assert merit(learned.quality[learned.chosen]) >= best / 1.011
    assert learned.quality[WEIGHTS].recall > learned.quality["popularity"].recall
    card = to_card(learned.order)
    assert to_card(from_card(card)) == card


def test_an_order_learned_from_other_features_is_refused() -> None:
    order = LearnedOrder(("days",), (1.0,), 0.0, ())
    assert order.names != feature_names(SETTINGS, (), ())
    assert isinstance(from_card({"rule": "popularity"}), ByPopularity)
    with pytest.raises(ValueError, match="there is no hold-out"):
        learn([], GOODS, SETTINGS)
