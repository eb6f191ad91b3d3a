"""What suits the place that a customer shops at: what sells better there than it did, and what lies there now.

Belongs here: strategies that score alike for all customers of a place. Does not belong here: which of their stores has
a recommended item (the nightly job looks that up).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import (
    TREND_BASELINE_DAYS,
    TREND_DAYS,
    UNKNOWN,
    FloatArray,
    IntArray,
    Interactions,
)
from models.recommend.strategy import NOBODY, Explanation, look_up
from models.recommend.top_k import top_k

LEAST_TREND_SALES = 3
"""Purchases of the last days below which a rise is an accident."""

TREND_PRIOR = 3.0
"""Purchases added to both periods, so that 1 after 0 is no trend."""

MOST_ITEMS = 200
"""Best items that a place keeps: nobody is shown more."""


class PlaceStrategy:
    """Looks scores up in a places × items matrix; the last row is for customers without a place."""

    name = ""

    def fit(self, interactions: Interactions) -> Self:
        """Score the items of every place."""
        self._place = interactions.context.place
        scores = sp.csr_array(self._scores(interactions) @ sp.diags_array(interactions.catalogue.is_sellable * 1.0))
        self._by_place = _best_scaled(scores, MOST_ITEMS)
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """The best items of each row's place, at most MOST_ITEMS."""
        return self._by_place[self._places_of(rows)]

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """A place has no evidence in the customer's own purchases."""
        found = look_up(self._by_place, self._places_of(rows), items)
        return Explanation(found, np.full(len(items), NOBODY, dtype=np.int64))

    def _scores(self, interactions: Interactions) -> sp.csr_array:
        raise NotImplementedError

    def _places_of(self, rows: IntArray) -> IntArray:
        nowhere = self._by_place.shape[0] - 1
        place = np.append(self._place, UNKNOWN)[rows]
        return np.where(place == UNKNOWN, nowhere, place)


class Trending(PlaceStrategy):
    """Score: recent purchases × log((recent + prior) / (expected + prior)) where that is above 0, scaled to 1 a place.

    Recent: the last 14 days at the customer's store, over all stores for customers without one. Expected: the 56 days
    before, per 14 days. A rise in a handful of purchases is none.
    """

    name = "trending"

    def _scores(self, interactions: Interactions) -> sp.csr_array:
        recent = interactions.context.recent.tocoo()
        rows, items = (np.asarray(index, dtype=np.int64) for index in recent.coords)
        expected = look_up(interactions.context.earlier, rows, items) * (TREND_DAYS / TREND_BASELINE_DAYS)
        lift = np.log((recent.data + TREND_PRIOR) / (expected + TREND_PRIOR))
        score = np.where((lift > 0) & (recent.data >= LEAST_TREND_SALES), recent.data * lift, 0.0)
        return sp.csr_array((score.astype(np.float32), (rows, items)), shape=recent.shape)


class Nearby(PlaceStrategy):
    """Score: purchases of the last 70 days at the customer's store of what lies there now, scaled to 1 a place.

    Of items in stock that the store hasn't sold lately, the chain's purchases count for a hundredth. Customers without
    a store, and shops without stock figures, get nothing from it.
    """

    name = "nearby"

    def _scores(self, interactions: Interactions) -> sp.csr_array:
        context = interactions.context
        sold = sp.csr_array(context.recent + context.earlier)
        if context.stock is None:
            return sp.csr_array(sold.shape, dtype=np.float32)
        overall = np.asarray(sold[[-1]].todense()).ravel()
        stock = context.stock.tocoo()
        rows, items = (np.asarray(index, dtype=np.int64) for index in stock.coords)
        score = look_up(sold, rows, items) + 0.01 * overall[items]
        return sp.csr_array((score.astype(np.float32), (rows, items)), shape=sold.shape)


def _best_scaled(scores: sp.csr_array, most: int) -> sp.csr_array:
    """Each row's `most` largest entries, divided by its largest; only what is above 0."""
    rows, items, values = top_k(scores, most)
    largest: FloatArray = np.zeros(scores.shape[0], dtype=np.float32)
    np.maximum.at(largest, rows, values)
    kept = sp.csr_array((values / largest[rows], (rows, items)), shape=scores.shape)
    kept.sort_indices()
    return kept
