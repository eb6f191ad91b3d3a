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

from models.evaluate.recommend import RankingQuality, ranking_quality
from models.recommend.blend import Blend
from models.recommend.context import Profiles
from models.recommend.encoding import encode
from models.recommend.holdout import Holdout
from models.recommend.interactions import IntArray, Interactions
from models.recommend.lineup import strategies_of
from models.recommend.next_stage import StageSpan
from models.recommend.order import ByFrequency, ByPopularity, LearnedOrder, Order, learn_order
from models.recommend.pairs import Pairs
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


def learn(
    holdout: Holdout,
    products: pa.Table,
    settings: RecommendSettings,
    k: int = 10,
    profiles: Profiles | None = None,
    stages: Sequence[StageSpan] = (),
) -> Learned:
    """Compare the orders on a hold-out and learn the best one again from all of it.

    Everything is offered while learning, repeats too: rules of what not to show come on top of the order.
    """
    offered = replace(settings, recent_days=None, max_repeat_share=1.0)
    interactions = encode(holdout.known.to_arrow(), products, holdout.as_of, offered, profiles)
    learners = _sampled(interactions, holdout.truth)
    truth = _coded(interactions, holdout.truth, learners)
    comparison = _Comparison(interactions, offered, stages, learners, truth, k)
    quality = {
        POPULARITY: comparison.quality_of(ByPopularity()),
        FREQUENCY: comparison.quality_of(ByFrequency()),
        WEIGHTS: comparison.quality_of(None),
    }
    orders: dict[str, Order | None] = {POPULARITY: ByPopularity(), FREQUENCY: ByFrequency(), WEIGHTS: None}
    for name, extras in EXTRAS.items():
        measured, order = comparison.learned(extras)
        if measured is not None and order is not None:
            quality[name], orders[name] = measured, order
    chosen = max(quality, key=lambda name: merit(quality[name]))
    return Learned(chosen, orders[chosen], quality, len(learners))


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
    offered = replace(settings, recent_days=None, max_repeat_share=1.0)
    interactions = encode(holdout.known.to_arrow(), products, holdout.as_of, offered, profiles)
    learners = _sampled(interactions, holdout.truth)
    truth = _coded(interactions, holdout.truth, learners)
    return _Comparison(interactions, offered, stages, learners, truth, k).quality_of(order)


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


class _Comparison:
    """Orders on one hold-out."""

    def __init__(
        self, interactions: Interactions, settings: RecommendSettings, stages: Sequence[StageSpan], learners: IntArray,
        truth: pl.DataFrame, k: int,
    ) -> None:  # fmt: skip
        self._interactions = interactions
        self._settings = settings
        self._strategies = [(_Once(strategy), weight) for strategy, weight in strategies_of(settings, stages)]
        self._learners = learners
        self._truth = truth
        self._k = k
        self._bought = np.unique(
            truth.drop_nulls("item")
            .select(pl.col("row") * interactions.n_items + pl.col("item"))
            .to_series()
            .to_numpy()
        )

    def quality_of(self, order: Order | None) -> RankingQuality:
        """Of all learners."""
        return ranking_quality(self._lists(self._blend(order), self._learners), self._truth, self._k)

    def learned(self, extras: tuple[str, ...]) -> tuple[RankingQuality | None, LearnedOrder | None]:
        """Cross-fitted quality: each half of the customers by the order of the other; and the order of both."""
        asked = _Asking(extras)
        pairs = self._blend(asked).candidates(self._learners, self._k)
        is_bought = np.isin(pairs.rows * self._interactions.n_items + pairs.items, self._bought)
        half = np.zeros(len(self._interactions.customers), dtype=bool)
        half[self._learners[1::2]] = True
        is_second = half[pairs.rows]
        lists = []
        for part in (False, True):
            order = learn_order(
                _where(pairs, is_second != part), is_bought[is_second != part], extras, self._settings.seed
            )
            if order is None:
                return None, None
            rows = self._learners[half[self._learners] == part]
            lists.append(self._lists(self._blend(order), rows))
        quality = ranking_quality(pl.concat(lists), self._truth, self._k)
        return quality, learn_order(pairs, is_bought, extras, self._settings.seed)

    def _blend(self, order: Order | None) -> Blend:
        return Blend(self._strategies, self._interactions, self._settings, order)

    def _lists(self, blend: Blend, rows: IntArray) -> pl.DataFrame:
        picks = blend.pick(rows, self._k)
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


def _where(pairs: Pairs, chosen: np.ndarray) -> Pairs:
    return Pairs(pairs.rows[chosen], pairs.items[chosen], pairs.values[chosen], pairs.names)
