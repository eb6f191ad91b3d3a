"""Which stage of a line is due, and for whom."""

from __future__ import annotations

import pyarrow as pa
import pytest
from recommend_shop import AS_OF, customers, products, purchases

from models.recommend import RecommendSettings, recommend
from models.recommend.context import Profiles
from models.recommend.next_stage import StageSpan

SPANS = (StageSpan("milk", 1, 0, 6), StageSpan("milk", 2, 6, 12), StageSpan("milk", 3, 12, 36))
GOODS = products(
    ["m1a", "m1b", "m2a", "m2b", "m3a", "toy"],
    stage=["milk:1", "milk:1", "milk:2", "milk:2", "milk:3", None],
    brand=["A", "B", "A", "B", "A", None],
)
ANYTHING = RecommendSettings(recent_days=None, max_repeat_share=1.0)


def first_of(bought: list[tuple[str | None, str, int]], born: str | None = None) -> tuple[str, str, str]:
    profiles = Profiles(pa.table({"customer_id": ["a"], "child_birth_month": pa.array([born], pa.string())}))
    result = recommend(
        purchases(bought), customers("a"), GOODS, AS_OF, k=1, settings=ANYTHING, language="en", profiles=profiles,
        stages=SPANS,
    )  # fmt: skip
    (row,) = result.to_pylist()
    return row["sku"], row["strategy"], row["reason"]


def test_the_next_stage_is_due_when_the_last_one_has_lasted_its_months() -> None:
    assert first_of([("a", "m1a", 200), ("a", "m1a", 20)]) == ("m2a", "next_stage", "The next stage after Product m1a")


def test_the_stage_in_use_is_repeated_while_it_lasts() -> None:
    assert first_of([("a", "m1a", 60), ("a", "m1a", 20)])[1] == "personal"


def test_the_child_s_age_beats_the_time_since_the_last_stage() -> None:
    # Born in September 2025, the child is six months old though stage 1 was bought for the first time a month ago.
    assert first_of([("a", "m1b", 30)], born="2025-09")[0] == "m2b"


def test_a_stage_is_skipped_when_the_child_has_outgrown_it() -> None:
    assert first_of([("a", "m1a", 400)])[0] == "m3a"


def test_the_brand_in_use_comes_first() -> None:
    others = [(name, "m2a", 5) for name in "bcd"]
    assert first_of([("a", "m1b", 200), *others])[0] == "m2b"


def test_a_customer_without_purchases_is_offered_what_suits_the_child_s_age() -> None:
    sku, strategy, reason = first_of([("b", "toy", 3), ("c", "toy", 3)], born="2025-06")
    assert (sku[:2], strategy, reason) == ("m2", "next_stage", "Right for your child's age")


@pytest.mark.parametrize("born", ["2031-13", "soon", "", "2025-9", None])
def test_a_birth_month_that_does_not_read_so_is_unknown(born: str | None) -> None:
    assert first_of([("a", "m1a", 60), ("a", "m1a", 20)], born=born)[1] == "personal"


def test_a_child_that_has_outgrown_every_stage_is_offered_none() -> None:
    assert first_of([("a", "m1a", 60)], born="2015-01")[1] != "next_stage"


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="stage 2 of milk lasts from month 12 to 6"):
        StageSpan("milk", 2, 12, 6)
