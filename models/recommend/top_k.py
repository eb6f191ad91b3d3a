"""The k largest entries of each row of a sparse matrix, exactly and without depending on the order of storage.

Belongs here: selection. Does not belong here: what the entries mean.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

GROUPS_PER_PLACE = 4
"""Entries are dealt into this many groups per place; more groups mean a tighter threshold and a wider maximum."""


def top_k(matrix: sp.csr_array, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and values of each row's k largest positive entries, by row, then value descending, then column.

    The k-th largest of any k group maxima is a lower bound for the k-th largest entry, and maxima are far cheaper than
    partitioning: what passes that bound is a handful a row, which is then sorted.
    """
    lengths = np.diff(matrix.indptr)
    width = int(lengths.max(initial=0))
    if width == 0:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty(0, dtype=np.float32)
    groups = GROUPS_PER_PLACE * k
    depth = -(-width // groups)
    padded = np.zeros((len(lengths), depth * groups), dtype=np.float32)
    filled = np.arange(depth * groups) < lengths[:, None]
    padded[filled] = matrix.data
    maxima = padded.reshape(len(lengths), depth, groups).max(axis=1)
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    passed = np.flatnonzero(matrix.data >= np.maximum(np.repeat(bound, lengths), np.finfo(np.float32).tiny))
    rows = np.searchsorted(matrix.indptr, passed, side="right") - 1
    columns, values = matrix.indices[passed], matrix.data[passed]
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    kept = position_within(rows) < k
    return rows[kept].astype(np.int64), columns[kept].astype(np.int64), values[kept].astype(np.float32)


def position_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each element of an array whose equal values stand together: how many of the same value stand before it."""
    if not len(groups):
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))
