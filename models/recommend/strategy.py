"""What every way of recommending promises, so that the blend and one contract test know them all.

Belongs here: the protocol and the sparse look-up it needs. Does not belong here: any one strategy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import FloatArray, IntArray, Interactions

NOBODY = -1
"""Row of a customer without purchases, and evidence item where there is none."""


@dataclass(frozen=True)
class Explanation:
    """Of each (row, item) pair: its score, and the bought item that speaks most for it (NOBODY where none does)."""

    score: FloatArray
    evidence: IntArray


class Strategy(Protocol):
    """Fitted once, then asked for chunks of customers; asking is free of side effects and safe from several threads."""

    name: str

    def fit(self, interactions: Interactions) -> Self:
        """Learn from the interactions and keep what scoring needs."""
        ...

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """Scores, len(rows) × items, finite and above 0, of sellable items only; absent means no opinion.

        Each row holds at least the strategy's `depth` best items (all of them where it has fewer). A row may be NOBODY.
        A row's scores do not depend on which other rows are asked for.
        """
        ...

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """Score and evidence of single pairs; the score equals that of `score`, 0 where it has none."""
        ...


def take_rows(matrix: sp.csr_array, rows: IntArray) -> sp.csr_array:
    """Those rows of a matrix, empty for NOBODY."""
    known = rows != NOBODY
    if known.all():
        return matrix[rows]
    lengths = np.zeros(len(rows), dtype=np.int64)
    taken = matrix[rows[known]]
    lengths[known] = np.diff(taken.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(taken.indptr.dtype)
    return sp.csr_array((taken.data, taken.indices, indptr), shape=(len(rows), matrix.shape[1]))


def look_up(matrix: sp.csr_array, rows: IntArray, items: IntArray) -> FloatArray:
    """Entries of a matrix with sorted indices, 0 where it has none or the row is NOBODY."""
    found = np.zeros(len(rows), dtype=np.float32)
    known = np.flatnonzero(rows != NOBODY)
    if len(known) and matrix.nnz:
        found[known] = np.asarray(matrix[rows[known], items[known]]).ravel()
    return found
