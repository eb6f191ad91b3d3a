"""What the lists promise to whoever reads them."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from recommend_shop import AS_OF, customers, products, purchases

from models.recommend import SCHEMA, RecommendSettings, iter_recommendations, recommend

SKUS = [f"s{number}" for number in range(8)]
ANYTHING = RecommendSettings(recent_days=None, max_repeat_share=1.0)


def lists_of(result: pa.Table) -> dict[str, list[str]]:
    frame = pl.from_arrow(result)
    return {customer[0]: rows["sku"].to_list() for customer, rows in frame.group_by("customer_id", maintain_order=True)}


def test_result_has_the_promised_columns_even_when_empty() -> None:
    assert recommend(purchases([]), customers(), products([]), AS_OF).schema == SCHEMA
    assert recommend(purchases([("a", "s1", 3)]), customers("a"), products(SKUS), AS_OF).schema == SCHEMA


def test_shop_without_products_recommends_nothing() -> None:
    assert recommend(purchases([("a", "s1", 90)]), customers("a"), products([]), AS_OF).num_rows == 0


def test_customer_without_purchases_gets_what_is_popular() -> None:
    bought = [("a", "s1", 3), ("b", "s1", 4), ("c", "s1", 2), ("a", "s2", 3), ("b", "s2", 2), ("a", "s3", 1)]
    result = recommend(purchases(bought), customers("new"), products(SKUS), AS_OF, k=3)
    assert result["sku"].to_pylist() == ["s1", "s2", "s3"]
    assert set(result["strategy"].to_pylist()) == {"popular"}
    assert result["reason_sku"].null_count == 3


def test_fresh_sales_make_more_popular_than_old_ones() -> None:
    bought = [(name, "s1", 120) for name in "abcd"] + [(name, "s2", 1) for name in "ef"]
    assert lists_of(recommend(purchases(bought), customers("new"), products(SKUS), AS_OF, k=2))["new"] == ["s2", "s1"]


def test_sales_to_unidentified_customers_count_for_popularity_and_for_nobodys_profile() -> None:
    result = recommend(purchases([(None, "s5", 1)] * 3), customers("new", None), products(SKUS), AS_OF, k=1)
    assert lists_of(result) == {"new": ["s5"]}


def test_what_is_not_sold_is_not_recommended() -> None:
    bought = [(name, sku, 40) for name in "abc" for sku in ("s1", "s2", "s3")]
    result = recommend(purchases(bought), customers("a", "new"), products(SKUS, unsellable=["s1", "s3"]), AS_OF)
    assert not {"s1", "s3"} & set(result["sku"].to_pylist())


def test_sku_that_no_product_describes_is_not_recommended() -> None:
    bought = [(name, sku, 40) for name in "abc" for sku in ("ghost", "s2")]
    assert "ghost" not in recommend(purchases(bought), customers("a"), products(SKUS), AS_OF)["sku"].to_pylist()


@pytest.mark.parametrize(("age", "is_offered"), [(0, False), (14, False), (15, True)])
def test_just_bought_ends_with_the_configured_days(age: int, is_offered: bool) -> None:
    bought = [("a", "s1", age), *((name, "s1", 20) for name in "bcd"), *((name, "s1", 50) for name in "bcd")]
    result = recommend(purchases(bought), customers("a"), products(SKUS), AS_OF, k=8)
    assert ("s1" in result["sku"].to_pylist()) is is_offered


def test_goods_sent_back_yesterday_are_not_offered_again() -> None:
    bought = purchases([("a", "s1", 5), ("a", "s1", 1)], quantity=[2, -2])
    assert "s1" not in recommend(bought, customers("a"), products(SKUS), AS_OF, k=8)["sku"].to_pylist()


def test_goods_sent_back_are_no_reason() -> None:
    together = [(name, sku, 60) for name in "bcd" for sku in ("s1", "s2")]
    kept = recommend(purchases([*together, ("a", "s1", 60)]), customers("a"), products(SKUS), AS_OF)
    returned = purchases([*together, ("a", "s1", 60), ("a", "s1", 59)], quantity=[1] * 7 + [-1])
    assert kept["reason_sku"].to_pylist()[0] == "s1"
    result = recommend(returned, customers("a"), products(SKUS), AS_OF)
    assert result["reason_sku"].null_count == result.num_rows


def test_what_happens_after_as_of_is_ignored() -> None:
    later = [("a", "s1", -1), ("b", "s2", -3)]
    result = recommend(purchases(later), customers("a"), products(SKUS), AS_OF, k=8)
    assert result.equals(recommend(purchases([]), customers("a"), products(SKUS), AS_OF, k=8))


def test_durable_once_owned_is_never_offered_again() -> None:
    bought = [("a", "s1", 400), ("b", "s1", 30), ("b", "s1", 60)]
    goods = products(SKUS, is_durable=[sku == "s1" for sku in SKUS])
    result = lists_of(recommend(purchases(bought), customers("a", "c"), goods, AS_OF, k=8))
    assert "s1" not in result["a"]
    assert "s1" in result["c"]


def test_variants_of_what_was_just_bought_are_not_offered() -> None:
    goods = products(SKUS, spu=["shirt", "shirt", *SKUS[2:]])
    result = recommend(purchases([("a", "s0", 2)]), customers("a"), goods, AS_OF, k=8)
    assert not {"s0", "s1"} & set(result["sku"].to_pylist())


def test_list_shows_one_variant_of_a_product_while_there_are_others() -> None:
    goods = products(SKUS, spu=["shirt"] * 5 + SKUS[5:])
    popular = purchases([(name, sku, 3) for name in "abc" for sku in SKUS[:5]])
    chosen = lists_of(recommend(popular, customers("new"), goods, AS_OF, k=4))["new"]
    assert len(set(chosen) & set(SKUS[:5])) == 1
    assert len(lists_of(recommend(popular, customers("new"), goods, AS_OF, k=8))["new"]) == 8


def test_repeats_take_their_share_and_leave_the_rest_to_discovery() -> None:
    staples = [("a", sku, age) for sku in SKUS[:6] for age in (20, 40, 60)]
    others = [(name, sku, age) for name in "bc" for sku in SKUS for age in (20, 40)]
    goods = products([*SKUS, "n1", "n2"])
    chosen = lists_of(recommend(purchases(staples + others), customers("a"), goods, AS_OF, k=4))["a"]
    assert len(set(chosen) & set(SKUS[:6])) == 2


def test_repeats_fill_the_list_where_nothing_else_is_sellable() -> None:
    staples = [("a", sku, age) for sku in SKUS for age in (20, 40, 60)]
    assert len(lists_of(recommend(purchases(staples), customers("a"), products(SKUS), AS_OF, k=8))["a"]) == 8


def test_neighbours_need_more_than_one_customer() -> None:
    lonely = [("b", "s1", 30), ("b", "s2", 30), ("a", "s1", 30)]
    shared = [*lonely, ("c", "s1", 30), ("c", "s2", 30)]
    strategies = [
        set(
            recommend(purchases(rows), customers("a"), products(SKUS), AS_OF, settings=ANYTHING)["strategy"].to_pylist()
        )
        for rows in (lonely, shared)
    ]
    assert "item_item" not in strategies[0]
    assert "item_item" in strategies[1]


def test_same_sku_on_several_rows_is_sellable_where_any_row_says_so() -> None:
    goods = pa.concat_tables([products(["s1"], unsellable=["s1"]), products(["s1"])])
    assert recommend(purchases([]), customers("a"), goods, AS_OF)["sku"].to_pylist() == ["s1"]


def test_equal_scores_are_ordered_by_sku() -> None:
    assert recommend(purchases([]), customers("a"), products(reversed(SKUS)), AS_OF)["sku"].to_pylist() == SKUS


def test_ids_with_leading_zeros_and_letter_case_stay_apart() -> None:
    goods = products(["007", "7", "a1", "A1"])
    bought = purchases([("x", "007", 3), ("y", "a1", 3), ("z", "a1", 2)])
    assert recommend(bought, customers("new"), goods, AS_OF, k=4)["sku"].to_pylist() == ["a1", "007", "7", "A1"]


def test_batches_together_are_the_table() -> None:
    bought = purchases([(name, sku, 33) for name in "abc" for sku in SKUS[:4]])
    served = customers("c", "a", "new", "a", None)
    batches = list(iter_recommendations(bought, served, products(SKUS), AS_OF, k=3))
    table = recommend(bought, served, products(SKUS), AS_OF, k=3)
    assert pa.Table.from_batches(batches).equals(table)
    assert table["customer_id"].to_pylist() == ["a"] * 3 + ["c"] * 3 + ["new"] * 3


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_no_items_is_refused_at_once(k: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        iter_recommendations(purchases([]), customers("a"), products(SKUS), AS_OF, k=k)


def test_missing_column_is_named_at_once() -> None:
    with pytest.raises(ValueError, match="purchases lacks quantity"):
        iter_recommendations(purchases([]).drop(["quantity"]), customers("a"), products(SKUS), AS_OF)
    with pytest.raises(ValueError, match="products lacks is_sellable"):
        iter_recommendations(purchases([]), customers("a"), products(SKUS).drop(["is_sellable"]), AS_OF)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recent_days", -1),
        ("max_repeat_share", 1.5),
        ("personal_weight", -0.1),
        ("item_item_weight", float("nan")),
        ("popularity_weight", 0),
        ("history_half_life_days", 0),
        ("neighbours", 0),
        ("threads", 0),
    ],
)
def test_setting_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RecommendSettings(**{name: value})


rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", None]),
        st.sampled_from([*SKUS, "ghost"]),
        st.integers(-2, 120),
        st.integers(-2, 3),
    ),
    max_size=60,
)


@examples(max_examples=60, deadline=None)
@given(
    bought=rows,
    unsellable=st.sets(st.sampled_from(SKUS)),
    k=st.integers(1, 10),
    recent_days=st.none() | st.integers(0, 60),
    share=st.floats(0, 1),
    spus=st.lists(st.sampled_from(["x", "y", None]), min_size=len(SKUS), max_size=len(SKUS)),
)
def test_every_list_is_complete_unique_sellable_and_ranked(
    bought: list[tuple[str | None, str, int, int]],
    unsellable: set[str],
    k: int,
    recent_days: int | None,
    share: float,
    spus: list[str | None],
) -> None:
    table = purchases([row[:3] for row in bought], quantity=[row[3] for row in bought] or None)
    settings = RecommendSettings(recent_days=recent_days, max_repeat_share=share)
    goods = products(SKUS, unsellable, spu=pa.array(spus, pa.string()))
    result = pl.from_arrow(recommend(table, customers("a", "b", "z"), goods, AS_OF, k=k, settings=settings))
    product_of = {sku: spu or sku for sku, spu in zip(SKUS, spus, strict=True)}
    for customer in ("a", "b", "z"):
        mine = result.filter(pl.col("customer_id") == customer)
        recent = {
            product_of.get(sku, sku)
            for who, sku, age, _ in bought
            if who == customer and recent_days is not None and 0 <= age <= recent_days
        }
        possible = {sku for sku in SKUS if sku not in unsellable and product_of[sku] not in recent}
        chosen = mine["sku"].to_list()
        assert len(chosen) == len(set(chosen)) == min(k, len(possible))
        assert set(chosen) <= possible
        assert mine["rank"].to_list() == list(range(1, len(chosen) + 1))
        assert mine["score"].is_sorted(descending=True)
        assert mine["score"].is_between(0, 1).all()
        assert mine["reason"].str.len_chars().min() is None or mine["reason"].str.len_chars().min() > 0


@examples(max_examples=25, deadline=None)
@given(bought=rows, seed=st.integers(0, 3), threads=st.integers(1, 3))
def test_order_of_input_and_threads_change_nothing(
    bought: list[tuple[str | None, str, int, int]], seed: int, threads: int
) -> None:
    frame = pl.DataFrame(bought, schema=["customer_id", "sku", "age", "quantity"], orient="row").select(
        pl.col("customer_id").cast(pl.String),
        pl.col("sku").cast(pl.String),
        (pl.lit(AS_OF) - pl.duration(days=pl.col("age").cast(pl.Int64))).cast(pl.Date).alias("ordered_on"),
        pl.col("quantity").cast(pl.Int64),
    )
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    served = customers("d", "c", "b", "a")
    one, two = (
        recommend(table.to_arrow(), served, products(SKUS), AS_OF, settings=RecommendSettings(threads=used))
        for table, used in ((frame, 1), (shuffled, threads))
    )
    assert one.equals(two)


def test_as_of_stands_beside_every_row() -> None:
    day = AS_OF - timedelta(days=1)
    result = recommend(purchases([]), customers("a"), products(SKUS), day, k=2)
    assert result["as_of"].to_pylist() == [day, day]
