"""Popularity: what sells lately, for customers of whom nothing is known and as the tie-breaker for everybody else."""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.strategy import NOBODY, Explanation
from models.recommend.top_k import position_within

NEVER_SOLD = 1e-9
"""Score of a sellable item that nobody bought: it comes last, but it comes, so that no list is short."""


class Popularity:
    """What sells, lately or ever.

    Score: purchases (with time decay, unless `ever`) of the item / those of the most popular sellable item;
    equal for every customer.

    Candidates come one variant a product first, so that a list filled from here is not five sizes of one shirt.
    """

    def __init__(self, *, ever: bool = False) -> None:
        self.name = "bestseller" if ever else "popular"
        self._ever = ever

    def fit(self, interactions: Interactions) -> Self:
        """Rank the sellable items."""
        catalogue = interactions.catalogue
        sellable = np.flatnonzero(catalogue.is_sellable)
        sold = (interactions.sold if self._ever else interactions.popularity)[sellable]
        scaled = np.maximum(sold / max(sold.max(initial=0.0), np.finfo(np.float64).tiny), NEVER_SOLD)
        by_group = np.lexsort((sellable, -scaled, catalogue.group[sellable]))
        variant = np.empty(len(sellable), dtype=np.int64)
        variant[by_group] = position_within(catalogue.group[sellable][by_group])
        self._ranking: IntArray = sellable[np.lexsort((sellable, -scaled, variant))]
        self._score: FloatArray = np.zeros(interactions.n_items, dtype=np.float32)
        self._score[sellable] = scaled
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """The same `depth` items for every row."""
        best = np.sort(self._ranking[:depth])
        n_rows = len(rows)
        return sp.csr_array(
            (np.tile(self._score[best], n_rows), np.tile(best, n_rows), np.arange(n_rows + 1) * len(best)),
            shape=(n_rows, len(self._score)),
        )

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """Popularity has no evidence in the customer's own purchases."""
        return Explanation(self._score[items], np.full(len(items), NOBODY, dtype=np.int64))
