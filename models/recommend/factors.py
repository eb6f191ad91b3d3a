"""Matrix factorisation: tastes as vectors, from purchases of customers who need not share a single item.

Belongs here: learning item vectors, folding customers in, dense scores by block. Does not belong here: filters.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.item_item import bm25, heaviest
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY, Explanation

FACTORS = 32
ITERATIONS = 10
REGULARISATION = 0.05
CELLS_PER_BLOCK = 2_000_000
"""Most dense scores that are held at once."""


class Factors:
    """Score of item j: the dot product of the customer's and the item's vector, where it is above 0.

    Item vectors by alternating least squares with confidences (Hu, Koren, Volinsky, "Collaborative Filtering for
    Implicit Feedback Datasets", ICDM 2008; implementation: implicit) on BM25 weights of at most
    `reference_customers` customers. Every customer is then folded in as the ridge regression of their weights on the
    item vectors, w V (V'V + λI)⁻¹, so that a new customer needs no new fit and a score depends on nobody else's.
    """

    name = "factors"

    def __init__(self, settings: RecommendSettings) -> None:
        self._settings = settings

    def fit(self, interactions: Interactions) -> Self:
        """Learn item vectors from the references."""
        weight = bm25(heaviest(interactions.weight, self._settings.max_history))
        buyers = np.flatnonzero(np.diff(weight.indptr))
        step = max(1, -(-len(buyers) // self._settings.reference_customers))
        self._vectors: FloatArray = np.zeros((weight.shape[1], FACTORS), dtype=np.float32)
        if len(buyers):
            # Two levels of threads would wait for each other; ours are those of implicit.
            with threadpool_limits(limits=1, user_api="blas"):
                model = AlternatingLeastSquares(
                    factors=FACTORS, regularization=REGULARISATION, iterations=ITERATIONS,
                    num_threads=self._settings.threads, random_state=self._settings.seed,
                )  # fmt: skip
                model.fit(sp.csr_matrix(weight[buyers[::step]]), show_progress=False)
            self._vectors = np.ascontiguousarray(model.item_factors, dtype=np.float32)
        gram = self._vectors.T @ self._vectors + REGULARISATION * np.eye(FACTORS, dtype=np.float32)
        self._customers: FloatArray = np.asarray(weight @ self._vectors @ np.linalg.inv(gram), dtype=np.float32)
        self._offered = interactions.catalogue.is_sellable
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """The `depth` best items of each row, the first by sku of equal ones."""
        n_items = len(self._offered)
        size = max(1, CELLS_PER_BLOCK // max(n_items, 1))
        parts = [self._best(rows[start : start + size], min(depth, n_items)) for start in range(0, len(rows), size)]
        return sp.csr_array(sp.vstack(parts, format="csr")) if parts else sp.csr_array((0, n_items), dtype=np.float32)

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """A vector names no single purchase."""
        products = np.einsum("ij,ij->i", self._of(rows), self._vectors[items])
        score = np.where(self._offered[items], np.maximum(products, 0), 0).astype(np.float32)
        return Explanation(score, np.full(len(items), NOBODY, dtype=np.int64))

    def _of(self, rows: IntArray) -> FloatArray:
        nobody = np.zeros((1, FACTORS), dtype=np.float32)
        return np.concatenate([self._customers, nobody])[rows] if NOBODY in rows else self._customers[rows]

    def _best(self, rows: IntArray, depth: int) -> sp.csr_array:
        # Row by row the same sums whatever the block: BLAS would choose another order for another shape.
        scores = np.einsum("ik,jk->ij", self._of(rows), self._vectors)
        scores[:, ~self._offered] = 0
        np.maximum(scores, 0, out=scores)
        if depth < scores.shape[1]:
            bound = np.partition(scores, scores.shape[1] - depth, axis=1)[:, scores.shape[1] - depth]
            scores[scores < bound[:, None]] = 0
        return sp.csr_array(scores)
