"""Which order serves best, learned and chosen on purchases held out inside the data that may be learned from.

Belongs here: cross-fitting, comparing orders, choosing one. Does not belong here: the split itself (holdout.py), what
becomes of the choice (a model version, or an evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from models.evaluate.recommend import RankingQuality, ranking_quality
from models.recommend.blend import Blend
from models.recommend.context import Profiles
from models.recommend.encoding import encode
from models.recommend.holdout import Holdout
from models.recommend.interactions import IntArray, Interactions
from models.recommend.lineup import strategies_of
from models.recommend.next_stage import StageSpan
from models.recommend.order import ByFrequency, ByPopularity, LearnedOrder, Order, learn_order
from models.recommend.pairs import PAIR_FEATURES, Pairs
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import Explanation, Strategy

MOST_LEARNED_FROM = 4_000
"""Customers whose next basket is learned from and measured on; more make no better order, only a longer night."""

POPULARITY, FREQUENCY, WEIGHTS = "popularity", "personal_top", "weights"
EXTRAS: dict[str, tuple[str, ...]] = {
    "learned": ("bestseller",),
    "learned+neighbours": ("bestseller", "neighbours"),
    "learned+factors": ("bestseller", "factors"),
}
"""Learned orders that are compared, with the strategies they ask beside those that have a weight."""


@dataclass(frozen=True)
class Learned:
    """What was found. chosen: name of the best order. order: None where the settings' weights are the best.
    quality: of each order on the held-out purchases, the learned ones on customers that they did not learn from.
    customers: measured."""

    chosen: str
    order: Order | None
    quality: dict[str, RankingQuality]
    customers: int


LEAST_GAIN = 0.01
"""Share by which a learned order must beat the settings' weights to replace them: below, it is noise."""


def learn(
    holdouts: Sequence[Holdout],
    products: pa.Table,
    settings: RecommendSettings,
    k: int = 10,
    profiles: Profiles | None = None,
    stages: Sequence[StageSpan] = (),
    *,
    allow_rules: bool = False,
) -> Learned:
    """Learn orders on hold-outs, compare all orders on the first (the newest), and learn the best one from everybody.

    allow_rules: whether a simple rule may be chosen too; otherwise they are only measured. Everything is offered while
    learning, repeats too: rules of what not to show come on top of the order. Raises ValueError without a hold-out.
    """
    if not holdouts:
        raise ValueError("there is no hold-out to learn from")
    comparisons = [_Comparison(holdout, products, settings, k, profiles, stages) for holdout in holdouts]
    newest = comparisons[0]
    orders: dict[str, Order | None] = {POPULARITY: ByPopularity(), FREQUENCY: ByFrequency(), WEIGHTS: None}
    quality = {name: newest.quality_of(order) for name, order in orders.items()}
    for name, extras in EXTRAS.items():
        measured, learned = _cross_fitted(comparisons, extras, settings.seed)
        if measured is not None and learned is not None:
            quality[name], orders[name] = measured, learned
    bounds = {name: merit(found) * (1 + LEAST_GAIN * (name == WEIGHTS)) for name, found in quality.items()}
    eligible = [name for name in bounds if allow_rules or name not in (POPULARITY, FREQUENCY)]
    chosen = max(eligible, key=lambda name: bounds[name])
    return Learned(chosen, orders[chosen], quality, newest.customers)


def merit(quality: RankingQuality) -> float:
    """What orders are compared by: the mean of recall and NDCG."""
    return (quality.recall + quality.ndcg) / 2


def measure(
    holdout: Holdout,
    products: pa.Table,
    order: Order | None,
    settings: RecommendSettings,
    k: int = 10,
    profiles: Profiles | None = None,
    stages: Sequence[StageSpan] = (),
) -> RankingQuality:
    """How one order does on the hold-out, over the same customers as `learn`."""
    return _Comparison(holdout, products, settings, k, profiles, stages).quality_of(order)


def feature_names(settings: RecommendSettings, stages: Sequence[StageSpan], extras: tuple[str, ...]) -> tuple[str, ...]:
    """Of the pairs that a blend with these settings and an order that asks for `extras` looks at."""
    lineup = strategies_of(settings, stages)
    return (*PAIR_FEATURES, *(strategy.name for strategy, weight in lineup if weight > 0 or strategy.name in extras))


def _sampled(interactions: Interactions, truth: pl.DataFrame) -> IntArray:
    """Rows of the customers with a truth, evenly spaced by id if there are many."""
    ids = truth.select("customer_id").unique().sort("customer_id")
    step = max(1, -(-ids.height // MOST_LEARNED_FROM))
    return np.asarray(interactions.customers.search_sorted(ids["customer_id"].gather_every(step)).to_numpy(), np.int64)


def _coded(interactions: Interactions, truth: pl.DataFrame, learners: IntArray) -> pl.DataFrame:
    """customer_id and sku of the learners' truth, with row and item (null for what nobody bought before)."""
    customers = pl.DataFrame({"customer_id": interactions.customers.gather(learners), "row": learners})
    items = pl.DataFrame({"sku": interactions.catalogue.sku, "item": np.arange(interactions.n_items)})
    return truth.join(customers, on="customer_id").join(items, on="sku", how="left")


@dataclass(frozen=True)
class _Examples:
    """Pairs of known outcome. is_second: whether the customer is of the second half, the same one in every window."""

    pairs: Pairs
    is_bought: NDArray[np.bool_]
    is_second: NDArray[np.bool_]


def _cross_fitted(
    comparisons: Sequence[_Comparison], extras: tuple[str, ...], seed: int
) -> tuple[RankingQuality | None, LearnedOrder | None]:
    """Quality in the newest window, each half of the customers by the order of the other; and the order of both."""
    examples = [comparison.examples(extras) for comparison in comparisons]
    pairs = Pairs(
        np.concatenate([one.pairs.rows for one in examples]),
        np.concatenate([one.pairs.items for one in examples]),
        np.concatenate([one.pairs.values for one in examples]),
        examples[0].pairs.names,
    )
    is_bought = np.concatenate([one.is_bought for one in examples])
    is_second = np.concatenate([one.is_second for one in examples])
    lists = []
    for half in (False, True):
        order = learn_order(_where(pairs, is_second != half), is_bought[is_second != half], extras, seed)
        if order is None:
            return None, None
        lists.append(comparisons[0].lists(order, of_second=half))
    quality = ranking_quality(pl.concat(lists), comparisons[0].truth, comparisons[0].k)
    return quality, learn_order(pairs, is_bought, extras, seed)


class _Comparison:
    """Orders on one hold-out."""

    def __init__(
        self, holdout: Holdout, products: pa.Table, settings: RecommendSettings, k: int, profiles: Profiles | None,
        stages: Sequence[StageSpan],
    ) -> None:  # fmt: skip
        self._settings = replace(settings, recent_days=None, max_repeat_share=1.0)
        self._interactions = encode(holdout.known.to_arrow(), products, holdout.as_of, self._settings, profiles)
        self._strategies = [(_Once(strategy), weight) for strategy, weight in strategies_of(self._settings, stages)]
        self._learners = _sampled(self._interactions, holdout.truth)
        self.truth = _coded(self._interactions, holdout.truth, self._learners)
        self.k = k
        ids = self._interactions.customers.gather(self._learners)
        self._is_second = (ids.hash(seed=1) % 2 == 1).to_numpy()

    @property
    def customers(self) -> int:
        """How many are measured."""
        return len(self._learners)

    def quality_of(self, order: Order | None) -> RankingQuality:
        """Of all learners."""
        return ranking_quality(self._lists(order, self._learners), self.truth, self.k)

    def lists(self, order: Order, *, of_second: bool) -> pl.DataFrame:
        """Lists of one half of the learners."""
        return self._lists(order, self._learners[self._is_second == of_second])

    def examples(self, extras: tuple[str, ...]) -> _Examples:
        """The candidates of all learners, and what of them they bought."""
        n_items = self._interactions.n_items
        pairs = self._blend(_Asking(extras)).candidates(self._learners, self.k)
        known = self.truth.drop_nulls("item")
        bought = known["row"].to_numpy() * n_items + known["item"].to_numpy()
        half = np.zeros(len(self._interactions.customers), dtype=bool)
        half[self._learners[self._is_second]] = True
        return _Examples(pairs, np.isin(pairs.rows * n_items + pairs.items, bought), half[pairs.rows])

    def _blend(self, order: Order | None) -> Blend:
        return Blend(self._strategies, self._interactions, self._settings, order)

    def _lists(self, order: Order | None, rows: IntArray) -> pl.DataFrame:
        picks = self._blend(order).pick(rows, self.k)
        return pl.DataFrame(
            {
                "customer_id": self._interactions.customers.gather(rows[picks.position]),
                "rank": picks.rank,
                "sku": self._interactions.catalogue.sku.gather(picks.item),
            }
        )


class _Once:
    """A strategy that is fitted when it is first asked for, and then serves every blend over the same interactions."""

    def __init__(self, strategy: Strategy) -> None:
        self.name = strategy.name
        self._strategy = strategy
        self._is_fitted = False

    def fit(self, interactions: Interactions) -> Self:
        if not self._is_fitted:
            self._strategy.fit(interactions)
            self._is_fitted = True
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        return self._strategy.score(rows, depth)

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        return self._strategy.explain(rows, items)


class _Asking:
    """Asks for strategies while nothing is learned yet."""

    def __init__(self, strategies: tuple[str, ...]) -> None:
        self.strategies = strategies

    def score(self, pairs: Pairs) -> np.ndarray:
        """All alike."""
        return np.ones(len(pairs.rows), dtype=np.float32)


def _where(pairs: Pairs, chosen: NDArray[np.bool_]) -> Pairs:
    return Pairs(pairs.rows[chosen], pairs.items[chosen], pairs.values[chosen], pairs.names)
