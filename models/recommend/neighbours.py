"""Neighbours: what customers with like baskets buy (TIFU-KNN without its groups).

Belongs here: similar customers and what they buy. Does not belong here: the customer's own repeats (personal.py).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import IntArray, Interactions
from models.recommend.item_item import heaviest
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY, Explanation, take_rows
from models.recommend.top_k import top_k

CELLS_PER_BLOCK = 4_000_000
"""Most similarities that are held at once."""

MOST_ITEMS = 50
"""Items of a customer that similarity looks at, the most telling first."""


class Neighbours:
    """Score of item j: mean over the nearest customers, weighted by similarity, of their decayed days of purchase of j.

    Similarity is the cosine of log(1 + decayed days of purchase) × log(customers / buyers of the item), so that what
    everybody buys makes nobody alike. Neighbours are searched among at most `reference_customers`, evenly spaced by
    customer id, which bounds the cost whatever the number of customers. After Hu et al., "Modeling Personalized Item
    Frequency Information for Next-basket Recommendation" (SIGIR 2020), whose second term this is; days stand for its
    groups of baskets.
    """

    name = "neighbours"

    def __init__(self, settings: RecommendSettings) -> None:
        self._settings = settings

    def fit(self, interactions: Interactions) -> Self:
        """Choose the references and weigh their items."""
        weight = heaviest(interactions.weight, self._settings.max_history)
        self._vectors = _unit_rows(_telling(weight))
        buyers = np.flatnonzero(np.diff(weight.indptr))
        step = max(1, -(-len(buyers) // self._settings.reference_customers))
        self._references = buyers[::step]
        offered = sp.csr_array(weight[self._references] @ sp.diags_array(interactions.catalogue.is_sellable * 1.0))
        offered.eliminate_zeros()
        self._profiles = sp.csr_array(offered, dtype=np.float32)
        self._towards = sp.csr_array(self._vectors[self._references].T)
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """Everything that the nearest customers bought."""
        size = max(1, CELLS_PER_BLOCK // max(len(self._references), 1))
        blocks = [self._score_block(rows[start : start + size]) for start in range(0, len(rows), size)]
        return sp.csr_array(sp.vstack(blocks, format="csr")) if blocks else sp.csr_array((0, self._profiles.shape[1]))

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """Like customers are no single purchase that could be named."""
        asked, place = np.unique(rows, return_inverse=True)
        scores = self.score(asked, 0)
        scores.sort_indices()
        found = np.asarray(scores[place, items]).ravel() if len(items) and scores.nnz else np.zeros(len(items))
        return Explanation(found.astype(np.float32), np.full(len(items), NOBODY, dtype=np.int64))

    def _score_block(self, rows: IntArray) -> sp.csr_array:
        similar = sp.csr_array(take_rows(self._vectors, rows) @ self._towards)
        row_of = np.repeat(rows, np.diff(similar.indptr))
        similar.data[self._references[similar.indices] == row_of] = 0
        row, neighbour, value = top_k(similar, self._settings.similar_customers)
        total = np.bincount(row, value, minlength=len(rows))
        shares = sp.csr_array((value / total[row].astype(np.float32), (row, neighbour)), shape=similar.shape)
        shares.sort_indices()
        return sp.csr_array(shares @ self._profiles, dtype=np.float32)


def _telling(weight: sp.csr_array) -> sp.csr_array:
    n_customers, n_items = weight.shape
    buyers = np.bincount(weight.indices, minlength=n_items)
    rarity = np.log(max(n_customers, 1) / np.maximum(buyers, 1))
    vectors = weight.copy()
    vectors.data = (np.log1p(weight.data) * rarity[weight.indices]).astype(np.float32)
    vectors.eliminate_zeros()
    return heaviest(vectors, MOST_ITEMS)


def _unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data = matrix.data / np.repeat(np.maximum(lengths, 1e-12), np.diff(matrix.indptr)).astype(np.float32)
    return matrix
