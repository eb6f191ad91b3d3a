"""How good clusters of records are against the truth.

Belongs here: pairwise and B-cubed figures of two partitions. Does not belong here: making clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClusterQuality:
    """Shares from 0 to 1. pairs_found, pairs_true, pairs_right: pairs of records in one cluster, in one truth, in both.

    precision, recall, f1: over pairs. bcubed_*: means over records (Bagga and Baldwin 1998). Where there are no pairs
    to find, recall is 1; where none is found, precision is 1.
    """

    pairs_found: int
    pairs_true: int
    pairs_right: int
    precision: float
    recall: float
    f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float


def cluster_quality(clusters: Integers, truth: Integers) -> ClusterQuality:
    """Compare two labels for each record. Raises ValueError where there is no record or the lengths differ."""
    if len(clusters) != len(truth):
        raise ValueError(f"{len(clusters)} cluster labels for {len(truth)} records")
    if not len(truth):
        raise ValueError("there is no record to measure")
    found, cluster = _sizes(clusters)
    true, entity = _sizes(truth)
    _, cell, together = np.unique(cluster * len(true) + entity, return_inverse=True, return_counts=True)
    right, n_found, n_true = (int(_pairs(sizes).sum()) for sizes in (together, found, true))
    precision = right / n_found if n_found else 1.0
    recall = right / n_true if n_true else 1.0
    same = together[cell]
    b_precision = float((same / found[cluster]).mean())
    b_recall = float((same / true[entity]).mean())
    return ClusterQuality(
        n_found, n_true, right, precision, recall, _harmonic(precision, recall),
        b_precision, b_recall, _harmonic(b_precision, b_recall),
    )  # fmt: skip


def _sizes(labels: Integers) -> tuple[Integers, Integers]:
    """The size of each group, and for each record its group's number."""
    _, number, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(sizes, dtype=np.int64), np.asarray(number, dtype=np.int64)


def _pairs(sizes: Integers) -> Integers:
    return np.asarray(sizes * (sizes - 1) // 2)


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
