"""The blend: weighs fitted strategies against each other and picks each customer's k items.

Belongs here: scaling, exclusion, variety, attribution to a strategy, chunking. Does not belong here: any strategy's own
scores, wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.recommend.exclusions import exclusions
from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.order import Order
from models.recommend.pairs import PairFeatures, Pairs
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY, Strategy, take_rows
from models.recommend.top_k import position_within, top_k

CELLS_PER_CHUNK = 1_500_000
"""Most candidate scores that a thread holds at once."""

VARIANTS_LOOKED_THROUGH = 3
"""Candidates per place, so that dropping variants of one product leaves enough others."""

PROPOSALS = 30
"""Items that each strategy may propose to a learned order, beside the customer's own."""

LEAST_ATTRIBUTION = 0.005
"""Weight with which a strategy that only an order asks for competes for being named as the reason."""

BARRED = np.float32(-1e6)


@dataclass(frozen=True)
class Picks:
    """The chosen pairs, by customer and rank.

    position: index into the rows asked for. rank: from 1. strategy: index into the blend's strategies.
    evidence: item that explains the pick, NOBODY where none does.
    """

    position: IntArray
    rank: IntArray
    item: IntArray
    score: FloatArray
    strategy: IntArray
    evidence: IntArray


class Blend:
    """Score: Σ weight × strategy score / the customer's largest of that strategy, divided by the sum of the weights.

    With an order, its score instead, for customers with purchases; candidates are then the customer's own items and
    the best of each strategy.
    """

    def __init__(
        self,
        strategies: Sequence[tuple[Strategy, float]],
        interactions: Interactions,
        settings: RecommendSettings,
        order: Order | None = None,
    ) -> None:
        """Fit every strategy that has a weight or that the order asks for."""
        asked = () if order is None else order.strategies
        used = [(strategy, weight) for strategy, weight in strategies if weight > 0 or strategy.name in asked]
        total = sum(weight for _, weight in used)
        self.strategies: list[Strategy] = [strategy.fit(interactions) for strategy, _ in used]
        self._weights = [weight / total for _, weight in used]
        self._order = order
        self._attention = 0.0 if order is None else LEAST_ATTRIBUTION / total
        self._features = None if order is None else PairFeatures(interactions)
        self._offered = interactions.catalogue.is_sellable
        self._settings = settings
        self._group = interactions.catalogue.group
        self._has_variants = len(np.unique(self._group)) < len(self._group)
        self._excluded = exclusions(interactions, settings)
        self._owned = interactions.days

    def pick(self, rows: IntArray, k: int) -> Picks:
        """The k best of each row of the interactions (NOBODY: a customer without purchases).

        Fewer only where fewer sellable items are left. Chunks hold customers of like history, so that their padding
        and depth stay small; customers without any history share one answer.
        """
        known = np.flatnonzero(rows != NOBODY)
        widths = np.diff(self._owned.indptr)[rows[known]] if len(known) else np.empty(0, dtype=np.int64)
        by_width = np.argsort(widths, kind="stable")
        chunks = self._chunks(known[by_width], widths[by_width], k)
        with ThreadPoolExecutor(self._settings.threads) as pool:
            parts = list(pool.map(lambda chunk: self._pick_chunk(rows[chunk], chunk, k), chunks))
        unknown = np.flatnonzero(rows == NOBODY)
        if len(unknown):
            parts.append(_repeat_for(unknown, self._pick_chunk(np.array([NOBODY]), np.array([0]), k)))
        return _concatenated(parts)

    def _chunks(self, positions: IntArray, widths: IntArray, k: int) -> list[IntArray]:
        reach = (widths + 1) * (self._settings.neighbours + 1) + k
        boundary = np.cumsum(np.minimum(reach, len(self._group) + 1)) // CELLS_PER_CHUNK
        return [chunk for chunk in np.split(positions, np.flatnonzero(np.diff(boundary)) + 1) if len(chunk)]

    def candidates(self, rows: IntArray, k: int) -> Pairs:
        """The pairs that the order is asked about when k are picked for each of these rows of the interactions.

        Raises ValueError without an order.
        """
        parts = []
        for chunk in self._chunks(np.arange(len(rows)), np.diff(self._owned.indptr)[rows], k):
            scores, barred = self._scores(rows[chunk], k)
            parts.append(self._pairs(rows[chunk], scores, barred, k)[2])
        names = parts[0].names if parts else ()
        return Pairs(
            np.concatenate([part.rows for part in parts]) if parts else np.empty(0, dtype=np.int64),
            np.concatenate([part.items for part in parts]) if parts else np.empty(0, dtype=np.int64),
            np.concatenate([part.values for part in parts]) if parts else np.empty((0, 0), dtype=np.float32),
            names,
        )

    def _pick_chunk(self, rows: IntArray, positions: IntArray, k: int) -> Picks:
        scores, barred = self._scores(rows, k)
        largest = [_row_maxima(matrix) for matrix in scores]
        owned = take_rows(self._owned, rows)
        if self._order is not None and owned.nnz:
            local, item, pairs = self._pairs(rows, scores, barred, k)
            ordered = sp.csr_array((self._order.score(pairs), (local, item)), shape=barred.shape)
            # Without a purchase there is nothing that an order could have learned from.
            has_none = (np.diff(owned.indptr) == 0).astype(np.float32)
            scored = sp.csr_array(ordered + sp.diags_array(has_none) @ self._blend(scores, largest))
        else:
            scored = self._blend(scores, largest)
        allowed = scored + barred * BARRED
        allowed.data = np.maximum(allowed.data, 0)
        repeats = sp.csr_array(allowed.multiply(owned > 0))
        local, item, score, is_filler = self._candidates(repeats, sp.csr_array(allowed - repeats), k)
        in_order = np.lexsort((item, -score, is_filler, local))
        local, item, score = local[in_order], item[in_order], score[in_order]
        rank = position_within(local)
        kept = rank < k
        local, item, score, rank = local[kept], item[kept], score[kept], rank[kept]
        scales = [
            _inverse(most) * max(weight, self._attention) for most, weight in zip(largest, self._weights, strict=True)
        ]
        strategy, evidence = self._attribute(rows[local], item, [scale[local] for scale in scales])
        return Picks(positions[local], rank + 1, item, _never_rising(score, rank, local, k), strategy, evidence)

    def _scores(self, rows: IntArray, k: int) -> tuple[list[sp.csr_array], sp.csr_array]:
        """Each strategy's scores of the rows, deep enough to fill k places, and what is barred."""
        barred = take_rows(self._excluded, rows)
        owned = take_rows(self._owned, rows)
        depth = k + int((np.diff(barred.indptr) + np.diff(owned.indptr)).max(initial=0))
        return [strategy.score(rows, depth) for strategy in self.strategies], barred

    def _blend(self, scores: list[sp.csr_array], largest: list[FloatArray]) -> sp.csr_array:
        """The weighted sum; each strategy is scaled to at most 1 a row."""
        blended = sp.csr_array(scores[0].shape, dtype=np.float32)
        for matrix, most, weight in zip(scores, largest, self._weights, strict=True):
            if weight > 0:
                scale = (_inverse(most) * weight).astype(np.float32)
                data = matrix.data * np.repeat(scale, np.diff(matrix.indptr))
                blended = blended + sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
        return sp.csr_array(blended)

    def _pairs(
        self, rows: IntArray, scores: list[sp.csr_array], barred: sp.csr_array, k: int
    ) -> tuple[IntArray, IntArray, Pairs]:
        """Local row and item of the candidates of rows with purchases, and their features."""
        if self._features is None:
            raise ValueError("only a blend with an order has candidates")
        owned = take_rows(self._owned, rows)
        own = owned.tocoo()
        found = [own.coords[0] * np.int64(owned.shape[1]) + own.coords[1]]
        for matrix in scores:
            matrix.sort_indices()
            others = matrix + (barred + owned) * BARRED
            others.data = np.maximum(others.data, 0)
            local, item, _ = top_k(sp.csr_array(others), max(PROPOSALS, VARIANTS_LOOKED_THROUGH * k))
            found.append(local * np.int64(owned.shape[1]) + item)
        local, item = np.divmod(np.unique(np.concatenate(found)), owned.shape[1])
        kept = self._offered[item] & (np.diff(owned.indptr)[local] > 0)
        local, item = local[kept], item[kept]
        opinions = {
            strategy.name: np.asarray(matrix[local, item]).ravel() if matrix.nnz else np.zeros(len(item))
            for strategy, matrix in zip(self.strategies, scores, strict=True)
        }
        return local, item, self._features.of(rows[local], item, opinions)

    def _candidates(
        self, repeats: sp.csr_array, others: sp.csr_array, k: int
    ) -> tuple[IntArray, IntArray, FloatArray, NDArray[np.bool_]]:
        """Local row, item, score, and whether the item only fills a list that would else be short.

        Fillers are repeats beyond their share and further variants of a product that the list already has.
        """
        repeat_row, repeat_item, repeat_score = top_k(repeats, k)
        other_row, other_item, other_score = top_k(others, VARIANTS_LOOKED_THROUGH * k if self._has_variants else k)
        most_repeats = int(self._settings.max_repeat_share * k)
        local = np.concatenate([repeat_row, other_row])
        item = np.concatenate([repeat_item, other_item])
        score = np.concatenate([repeat_score, other_score])
        is_filler = np.concatenate([position_within(repeat_row) >= most_repeats, np.zeros(len(other_row), dtype=bool)])
        if self._has_variants:
            by_product = np.lexsort((item, -score, is_filler, self._group[item], local))
            product = local[by_product] * (int(self._group.max(initial=0)) + 1) + self._group[item[by_product]]
            is_filler[by_product] |= position_within(product) > 0
        return local, item, score, is_filler

    def _attribute(self, rows: IntArray, items: IntArray, scales: list[FloatArray]) -> tuple[IntArray, IntArray]:
        """The strategy that adds most to each pick, of equal ones the first, and its evidence."""
        most = np.full(len(rows), -1.0, dtype=np.float32)
        chosen = np.zeros(len(rows), dtype=np.int64)
        evidence = np.full(len(rows), NOBODY, dtype=np.int64)
        for number, (strategy, scale) in enumerate(zip(self.strategies, scales, strict=True)):
            explanation = strategy.explain(rows, items)
            added = explanation.score * scale
            better = added > most
            most[better], chosen[better] = added[better], number
            evidence[better] = explanation.evidence[better]
        return chosen, evidence


def _inverse(largest: FloatArray) -> FloatArray:
    """1 / x, 0 where x is 0."""
    return np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)


def _row_maxima(scores: sp.csr_array) -> FloatArray:
    largest = np.zeros(scores.shape[0], dtype=np.float32)
    filled = np.flatnonzero(np.diff(scores.indptr))
    if len(filled):
        largest[filled] = np.maximum.reduceat(scores.data, scores.indptr[filled])
    return largest


def _never_rising(score: FloatArray, rank: IntArray, local: IntArray, k: int) -> FloatArray:
    """Fillers stand last whatever they score: bound their scores by those before, so that rank and score agree."""
    n_rows = int(local.max(initial=-1)) + 1
    table = np.full((n_rows, k), np.inf, dtype=np.float32)
    table[local, rank] = score
    bounded: FloatArray = np.minimum.accumulate(table, axis=1)[local, rank]
    return bounded


def _repeat_for(positions: IntArray, picks: Picks) -> Picks:
    """One customer's picks for several positions."""
    n_picks, n_positions = len(picks.item), len(positions)
    return Picks(
        np.repeat(positions, n_picks),
        np.tile(picks.rank, n_positions),
        np.tile(picks.item, n_positions),
        np.tile(picks.score, n_positions),
        np.tile(picks.strategy, n_positions),
        np.tile(picks.evidence, n_positions),
    )


def _concatenated(parts: list[Picks]) -> Picks:
    nothing = np.empty(0, dtype=np.int64)
    if not parts:
        return Picks(nothing, nothing, nothing, np.empty(0, dtype=np.float32), nothing, nothing)
    position = np.concatenate([part.position for part in parts])
    rank = np.concatenate([part.rank for part in parts])
    order = np.lexsort((rank, position))
    return Picks(
        position[order],
        rank[order],
        np.concatenate([part.item for part in parts])[order],
        np.concatenate([part.score for part in parts])[order],
        np.concatenate([part.strategy for part in parts])[order],
        np.concatenate([part.evidence for part in parts])[order],
    )
