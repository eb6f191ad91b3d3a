"""Item-item neighbours: what is bought by customers who also buy what this customer buys.

Belongs here: BM25-weighted similarity, kept sparse, its scores and evidence. Does not belong here: filters, reasons.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY, Explanation, take_rows
from models.recommend.top_k import position_within, top_k

BM25_K1 = 100.0
BM25_B = 0.8
"""Saturation and length normalisation; the values with which BM25 item-item is commonly run (benfred/implicit)."""

CELLS_PER_BLOCK = 4_000_000
"""Most entries of the co-occurrence matrix, or of expanded explanations, that a thread holds at once."""


class ItemItem:
    """Score of item j: Σ over the customer's items i of log(1 + weight_i) × similarity(i, j).

    similarity = W'W without its diagonal, each item keeping its `neighbours` best sellable ones, of which at least
    `min_support` customers bought both; W = weight × (K1 + 1) / (K1 × (1 − B + B × length / average length) + weight)
    × sqrt(log(1 + customers / buyers of the item)), where a customer's length is the sum of the weights.
    """

    name = "item_item"

    def __init__(self, settings: RecommendSettings) -> None:
        self._settings = settings

    def fit(self, interactions: Interactions) -> Self:
        """Find every item's neighbours, blocks of items at a time, so that memory does not grow with the catalogue."""
        history = heaviest(interactions.weight, self._settings.max_history)
        self._neighbours = self._find_neighbours(bm25(history), interactions.catalogue.is_sellable)
        history.data = np.log1p(history.data)
        self._history = history
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """All items that neighbour the customers' own."""
        return take_rows(self._history, rows) @ self._neighbours

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """The evidence is the own item that adds most to the score, of equal ones the first by sku."""
        score = np.zeros(len(rows), dtype=np.float32)
        evidence = np.full(len(rows), NOBODY, dtype=np.int64)
        lengths = np.zeros(len(rows), dtype=np.int64)
        known = rows != NOBODY
        lengths[known] = np.diff(self._history.indptr)[rows[known]]
        ends = np.cumsum(lengths)
        start = 0
        while start < len(rows):
            done = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, done + CELLS_PER_BLOCK, side="right")))
            self._explain_block(slice(start, stop), rows, items, lengths, score, evidence)
            start = stop
        return Explanation(score, evidence)

    def _explain_block(
        self, block: slice, rows: IntArray, items: IntArray, lengths: IntArray, score: FloatArray, evidence: IntArray
    ) -> None:
        asked = block.start + np.flatnonzero(lengths[block])
        if not len(asked) or not self._neighbours.nnz:
            return
        pair = np.repeat(asked, lengths[asked])
        entry = np.repeat(self._history.indptr[rows[asked]], lengths[asked]) + position_within(pair)
        own = self._history.indices[entry]
        similarity = np.asarray(self._neighbours[own, items[pair]]).ravel()
        added = (self._history.data[entry] * similarity).astype(np.float32)
        starts = np.flatnonzero(np.append(True, pair[1:] != pair[:-1]))
        score[asked] = np.add.reduceat(added, starts)
        best = np.maximum.reduceat(added, starts)
        is_best = np.flatnonzero((added == np.repeat(best, lengths[asked])) & (added > 0))
        first = is_best[position_within(pair[is_best]) == 0]
        evidence[pair[first]] = own[first]

    def _find_neighbours(self, weighted: sp.csr_array, is_sellable: np.ndarray) -> sp.csr_array:
        n_items = weighted.shape[1]
        offered = sp.csr_array(weighted @ sp.diags_array(is_sellable.astype(np.float32), format="csr"))
        offered.eliminate_zeros()
        offered_pattern = _pattern(offered)
        customers_of = sp.csr_array(weighted.T)
        size = max(1, CELLS_PER_BLOCK // max(n_items, 1))

        def neighbours_of(start: int) -> sp.csr_array:
            block = customers_of[start : start + size]
            similarity = block @ offered
            # Both products walk the same pattern, so their entries stand in the same places.
            support = (_pattern(block) @ offered_pattern).data
            row_of = np.repeat(np.arange(block.shape[0]), np.diff(similarity.indptr))
            is_itself = similarity.indices == row_of + start
            similarity.data[is_itself | (support < self._settings.min_support)] = 0
            rows, columns, values = top_k(similarity, self._settings.neighbours)
            return sp.csr_array((values, (rows, columns)), shape=similarity.shape, dtype=np.float32)

        with ThreadPoolExecutor(self._settings.threads) as pool:
            blocks = list(pool.map(neighbours_of, range(0, n_items, size)))
        stacked = sp.csr_array(sp.vstack(blocks, format="csr")) if blocks else sp.csr_array((0, 0), dtype=np.float32)
        stacked.sort_indices()
        return stacked


def heaviest(weight: sp.csr_array, most: int) -> sp.csr_array:
    """Each row's `most` largest entries, of equal ones the first by item; a copy with sorted indices."""
    lengths = np.diff(weight.indptr)
    result = weight.copy()
    entries = np.flatnonzero(np.repeat(lengths > most, lengths))
    if len(entries):
        rows = np.repeat(np.arange(len(lengths)), lengths)[entries]
        order = np.lexsort((weight.indices[entries], -weight.data[entries], rows))
        result.data[entries[order[position_within(rows[order]) >= most]]] = 0
        result.eliminate_zeros()
    return result


def bm25(weight: sp.csr_array) -> sp.csr_array:
    """Customers × items weights to BM25 weights, with the square root of the idf, so that W'W carries it once."""
    n_customers, n_items = weight.shape
    length = np.asarray(weight.sum(axis=1)).ravel()
    average = length.mean() if n_customers else 1.0
    buyers = np.bincount(weight.indices, minlength=n_items)
    idf = np.log1p(n_customers / np.maximum(buyers, 1))
    norm = np.repeat(1 - BM25_B + BM25_B * length / max(average, np.finfo(np.float32).tiny), np.diff(weight.indptr))
    result = weight.copy()
    saturated = weight.data * (BM25_K1 + 1) / (BM25_K1 * norm + weight.data)
    result.data = (saturated * np.sqrt(idf[weight.indices])).astype(np.float32)
    return result


def _pattern(matrix: sp.csr_array) -> sp.csr_array:
    return sp.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
