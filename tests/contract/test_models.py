"""What every recommendation strategy promises to the blend, run over each of them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from models.recommend.context import Profiles
from models.recommend.encoding import encode
from models.recommend.factors import Factors
from models.recommend.interactions import Interactions
from models.recommend.item_item import ItemItem
from models.recommend.lineup import strategies_of
from models.recommend.neighbours import Neighbours
from models.recommend.next_stage import NextStage, StageSpan
from models.recommend.personal import Personal
from models.recommend.place_strategies import Nearby, Trending
from models.recommend.popularity import Popularity
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY, Strategy

AS_OF = date(2026, 3, 31)
SETTINGS = RecommendSettings(neighbours=5)
STAGES = [StageSpan("milk", 1, 0, 3), StageSpan("milk", 2, 3, 24), StageSpan("milk", 3, 24, 60)]
STRATEGIES = {
    "personal": Personal,
    "item_item": lambda: ItemItem(SETTINGS),
    "neighbours": lambda: Neighbours(SETTINGS),
    "factors": lambda: Factors(SETTINGS),
    "next_stage": lambda: NextStage(STAGES),
    "trending": Trending,
    "nearby": Nearby,
    "popular": Popularity,
    "bestseller": lambda: Popularity(ever=True),
}


def simulated(n_customers: int = 60, n_items: int = 25, n_purchases: int = 700) -> Interactions:
    rng = np.random.default_rng(7)
    item = rng.zipf(1.4, n_purchases) % n_items
    age = rng.integers(0, 200, n_purchases)
    purchases = pa.table(
        {
            "customer_id": [f"c{customer:03d}" for customer in rng.integers(0, n_customers, n_purchases)],
            "sku": [f"s{number:02d}" for number in item],
            "ordered_on": pa.array([AS_OF - timedelta(days=int(days)) for days in age], pa.date32()),
            "quantity": np.ones(n_purchases),
            "store_id": [f"S{number % 3}" for number in item],
        }
    )
    products = pa.table(
        {
            "sku": [f"s{number:02d}" for number in range(n_items)],
            "name": [f"Product {number}" for number in range(n_items)],
            "category": [f"k{number % 3}" for number in range(n_items)],
            "is_sellable": [number % 5 != 0 for number in range(n_items)],
            "stage": [f"milk:{1 + number % 3}" if number >= 18 else None for number in range(n_items)],
            "brand": [f"b{number % 2}" for number in range(n_items)],
        }
    )
    profiles = pa.table(
        {
            "customer_id": [f"c{number:03d}" for number in range(n_customers)] if n_purchases else [],
            "store_id": [f"S{number % 4}" for number in range(n_customers)] if n_purchases else [],
        }
    )
    stock = pa.table({"store_id": ["S0"] * 9 + ["S1"] * 9, "sku": [f"s{number:02d}" for number in range(18)]})
    return encode(purchases, products, AS_OF, SETTINGS, Profiles(profiles, stock))


@pytest.fixture(scope="module")
def interactions() -> Interactions:
    return simulated()


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return STRATEGIES[request.param]()


def test_every_strategy_of_the_blend_is_held_to_this() -> None:
    assert {strategy.name for strategy, _ in strategies_of(SETTINGS, STAGES)} == set(STRATEGIES)


def every_row(interactions: Interactions) -> np.ndarray:
    return np.arange(len(interactions.customers))


def test_strategy_is_named_as_its_column_says(strategy: Strategy) -> None:
    assert type(strategy) is type(STRATEGIES[strategy.name]())


def test_scores_are_finite_and_positive_and_there_are_some(strategy: Strategy, interactions: Interactions) -> None:
    scores = strategy.fit(interactions).score(every_row(interactions), interactions.n_items)
    assert scores.nnz > 0
    assert np.isfinite(scores.data).all()
    assert (scores.data > 0).all()


def test_only_sellable_items_are_scored(strategy: Strategy, interactions: Interactions) -> None:
    scores = strategy.fit(interactions).score(every_row(interactions), interactions.n_items)
    assert interactions.catalogue.is_sellable[scores.indices].all()
    assert not interactions.catalogue.is_sellable.all()


def test_an_item_is_scored_once_a_customer(strategy: Strategy, interactions: Interactions) -> None:
    scores = strategy.fit(interactions).score(every_row(interactions), interactions.n_items)
    pairs = set(zip(*scores.tocoo().coords, strict=True))
    assert len(pairs) == scores.nnz


def test_scores_do_not_depend_on_the_company(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    together = fitted.score(every_row(interactions), interactions.n_items).toarray()
    for row in (0, 17, 59):
        alone = fitted.score(np.array([row]), interactions.n_items).toarray()
        np.testing.assert_array_equal(alone[0], together[row])


def test_asking_twice_gives_the_same(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    rows = every_row(interactions)[::-1]
    first = fitted.score(rows, 10).toarray()
    np.testing.assert_array_equal(first, fitted.score(rows, 10).toarray())


def test_fitting_twice_gives_the_same(strategy: Strategy, interactions: Interactions) -> None:
    rows = every_row(interactions)
    first = strategy.fit(interactions).score(rows, 10).toarray()
    np.testing.assert_array_equal(first, strategy.fit(simulated()).score(rows, 10).toarray())


def test_fitting_leaves_the_interactions_alone(strategy: Strategy, interactions: Interactions) -> None:
    before = interactions.weight.copy(), interactions.days.copy()
    strategy.fit(interactions).score(every_row(interactions), 10)
    for matrix, kept in zip((interactions.weight, interactions.days), before, strict=True):
        np.testing.assert_array_equal(matrix.toarray(), kept.toarray())


def test_a_shallow_answer_holds_the_best_of_the_deep_one(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    deep = fitted.score(every_row(interactions), interactions.n_items).toarray()
    shallow = fitted.score(every_row(interactions), 3).toarray()
    np.testing.assert_array_equal(np.sort(deep, axis=1)[:, -3:], np.sort(shallow, axis=1)[:, -3:])


def test_explained_scores_are_the_scores(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    scores = fitted.score(every_row(interactions), interactions.n_items).toarray()
    sellable = np.flatnonzero(interactions.catalogue.is_sellable)
    rows = np.repeat(every_row(interactions), len(sellable))
    items = np.tile(sellable, len(interactions.customers))
    explained = fitted.explain(rows, items)
    np.testing.assert_allclose(explained.score, scores[rows, items], rtol=1e-5)


def test_evidence_is_something_the_customer_bought(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    scores = fitted.score(every_row(interactions), interactions.n_items).tocoo()
    rows, items = (np.asarray(index, dtype=np.int64) for index in scores.coords)
    evidence = fitted.explain(rows, items).evidence
    bought = interactions.days.toarray() > 0
    has_evidence = evidence != NOBODY
    assert bought[rows[has_evidence], evidence[has_evidence]].all()
    assert has_evidence.all() or not has_evidence.any()


def test_a_customer_without_purchases_is_no_fault(strategy: Strategy, interactions: Interactions) -> None:
    fitted = strategy.fit(interactions)
    mixed = fitted.score(np.array([3, NOBODY, 5]), 4)
    assert mixed.shape == (3, interactions.n_items)
    np.testing.assert_array_equal(mixed.toarray()[0], fitted.score(np.array([3]), 4).toarray()[0])
    np.testing.assert_array_equal(mixed.toarray()[2], fitted.score(np.array([5]), 4).toarray()[0])
    assert (fitted.explain(np.array([NOBODY]), np.array([1])).evidence == NOBODY).all()


def test_a_shop_without_any_sale_is_no_fault(strategy: Strategy) -> None:
    nothing = simulated(n_purchases=0)
    scores = strategy.fit(nothing).score(np.array([NOBODY]), 5)
    assert scores.shape == (1, nothing.n_items)
    assert np.isfinite(scores.data).all()


def test_a_shop_without_goods_is_no_fault(strategy: Strategy) -> None:
    scores = strategy.fit(simulated(n_items=1, n_purchases=0)).score(np.array([NOBODY]), 5)
    assert scores.nnz == 0
