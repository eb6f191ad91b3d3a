"""Ranking measures against figures worked out by hand."""

from __future__ import annotations

import math
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from models.evaluate.recommend import ranking_quality
from models.recommend import RecommendSettings, recommend
from models.recommend.holdout import hold_out_windows
from models.recommend.learning import learn

COMPLETE_JOURNEY = (
    Path(os.environ.get("OMNILAKE_DATASETS", Path(__file__).parents[4] / "shared" / "datasets")) / "complete_journey"
)


def frame(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_measures_equal_a_case_worked_by_hand() -> None:
    recommended = frame(customer_id=["a"] * 3 + ["b"] * 2, rank=[1, 2, 3, 1, 2], sku=["x", "y", "z", "x", "y"])
    relevant = frame(customer_id=["a", "a", "b"], sku=["x", "z", "q"])
    quality = ranking_quality(recommended, relevant, k=3)
    ideal = 1 + 1 / math.log2(3)
    assert quality.customers == 2
    assert quality.recall == pytest.approx(0.5)
    assert quality.ndcg == pytest.approx((1 + 1 / math.log2(4)) / ideal / 2)
    assert quality.phr == pytest.approx(0.5)


def test_ideal_counts_all_relevant_items_beyond_k() -> None:
    recommended = frame(customer_id=["a"], rank=[1], sku=["x"])
    relevant = frame(customer_id=["a"] * 4, sku=["x", "y", "z", "w"])
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, 5))
    assert ranking_quality(recommended, relevant, k=1).ndcg == pytest.approx(1 / ideal)


def test_ranks_beyond_k_do_not_count() -> None:
    recommended = frame(customer_id=["a", "a"], rank=[1, 2], sku=["x", "y"])
    relevant = frame(customer_id=["a"], sku=["y"])
    assert ranking_quality(recommended, relevant, k=1).recall == 0


def test_customer_without_a_list_is_missed_not_left_out() -> None:
    recommended = frame(customer_id=["a"], rank=[1], sku=["x"])
    relevant = frame(customer_id=["a", "b"], sku=["x", "x"])
    assert ranking_quality(recommended, relevant).phr == 0.5


def test_nothing_to_compare_with_is_refused() -> None:
    nothing = frame(customer_id=[], sku=[])
    with pytest.raises(ValueError, match="nothing is relevant"):
        ranking_quality(frame(customer_id=["a"], rank=[1], sku=["x"]), nothing)


@pytest.fixture(scope="module")
def next_baskets() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Purchases of weeks 1-48, products, and the first basket of each household in weeks 49-53."""
    if not (COMPLETE_JOURNEY / "transactions.parquet").exists():
        pytest.skip("the complete_journey data set is absent; set OMNILAKE_DATASETS to the folder that holds it")
    left_out = pl.col("department").is_in(["FUEL", "MISCELLANEOUS", "COUPON"])
    goods = pl.read_parquet(COMPLETE_JOURNEY / "products.parquet").select(
        pl.col("product_id").cast(pl.String).alias("sku"),
        pl.col("product_type").alias("name"),
        pl.col("product_category").alias("category"),
        (~left_out).fill_null(False).alias("is_sellable"),
    )
    lines = (
        pl.read_parquet(COMPLETE_JOURNEY / "transactions.parquet")
        .select(
            pl.col("household_id").cast(pl.String).alias("customer_id"),
            pl.col("product_id").cast(pl.String).alias("sku"),
            pl.col("transaction_timestamp").alias("ordered_at"),
            pl.col("transaction_timestamp").dt.date().alias("ordered_on"),
            "quantity",
            "basket_id",
            "week",
        )
        .filter(pl.col("quantity") > 0)
        .join(goods.filter("is_sellable").select("sku"), on="sku", how="semi")
    )
    train = lines.filter(pl.col("week") <= 48)
    later = lines.filter(pl.col("week") >= 49).join(train, on="customer_id", how="semi")
    first = later.sort("ordered_at", "basket_id").unique("customer_id", keep="first")
    return train, goods, later.join(first, on=["customer_id", "basket_id"], how="semi")


@pytest.mark.parametrize(
    ("name", "weights", "least_recall"),
    [
        ("popularity", {"personal_weight": 0.0, "item_item_weight": 0.0, "trending_weight": 0.0}, 0.0477),
        ("blend", {}, 0.1456),
    ],
)
def test_next_basket_recall_is_no_worse_than_the_simple_rule(
    next_baskets: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    name: str,
    weights: dict[str, float],
    least_recall: float,
) -> None:
    train, goods, truth = next_baskets
    settings = RecommendSettings(recent_days=None, max_repeat_share=1.0, **weights)
    served = truth["customer_id"].unique().to_arrow()
    as_of = train["ordered_on"].max()
    lists = pl.from_arrow(recommend(train.to_arrow(), served, goods.to_arrow(), as_of, settings=settings))
    quality = ranking_quality(lists, truth)
    assert quality.customers == 2071
    assert quality.recall >= least_recall, name


@pytest.mark.slow
def test_a_learned_order_beats_the_published_rules_on_next_baskets(
    next_baskets: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    train, goods, truth = next_baskets
    settings = RecommendSettings(recent_days=None, max_repeat_share=1.0)
    as_of = train["ordered_on"].max()
    assert isinstance(as_of, date)
    windows = hold_out_windows(train.select("customer_id", "sku", "ordered_on", "quantity"), as_of)
    learned = learn(windows, goods.to_arrow(), settings)
    served = truth["customer_id"].unique().to_arrow()
    lists = recommend(train.to_arrow(), served, goods.to_arrow(), as_of, settings=settings, order=learned.order)
    quality = ranking_quality(pl.DataFrame(lists), truth)
    assert quality.customers == 2071
    assert quality.recall > 0.1456
    assert quality.ndcg >= 0.163
