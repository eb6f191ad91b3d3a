"""From scored pairs to persons, without chains.

Belongs here: average linkage of weights of evidence. Does not belong here: how a pair's weight comes about.

Two groups of records are one person if the mean weight (bits, the prior odds included) of all pairs between them is
above the threshold. One lucky pair cannot join two persons, as all other pairs speak against it: this is what
connected components get wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LARGEST = 600
"""Records a group may have before its weakest pairs are left out to part it."""
_FARTHEST = 1e3


def components(n: int, left: Integers, right: Integers) -> Integers:
    """A component number for each of n records."""
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def cluster(
    n: int, left: Integers, right: Integers, weights: Floats, unseen: float, threshold: float = 0.0
) -> Integers:
    """The cluster of each record: the number of its first record.

    left, right, weights: scored pairs, each once. unseen: the weight of a pair that nobody scored.
    """
    labels = np.arange(n, dtype=np.int64)
    todo = [(np.arange(len(left)), threshold)]
    while todo:
        rows, cutoff = todo.pop()
        joined = rows[weights[rows] > cutoff]
        if not len(joined):
            continue
        member, member_of = np.unique(np.concatenate([left[joined], right[joined]]), return_inverse=True)
        half = len(joined)
        component = components(len(member), member_of[:half], member_of[half:])
        sizes = np.bincount(component)
        of_record = np.full(n, -1, dtype=np.int64)
        of_record[member] = component
        inside = rows[(of_record[left[rows]] >= 0) & (of_record[left[rows]] == of_record[right[rows]])]
        for rows_inside in _grouped(inside, of_record[left[inside]]):
            size = sizes[of_record[left[rows_inside[0]]]]
            if size == 2:
                labels[right[rows_inside[0]]] = labels[left[rows_inside[0]]]
            elif size > LARGEST:
                todo.append((rows_inside, max(cutoff + 1.0, float(np.quantile(weights[rows_inside], 0.05)))))
            else:
                _average_link(labels, left[rows_inside], right[rows_inside], weights[rows_inside], unseen, threshold)
    return labels


def _grouped(rows: Integers, group: Integers) -> list[Integers]:
    order = np.argsort(group, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1) if len(rows) else []


def _average_link(
    labels: Integers, left: Integers, right: Integers, weights: Floats, unseen: float, threshold: float
) -> None:
    member, position = np.unique(np.concatenate([left, right]), return_inverse=True)
    size = len(member)
    half = len(left)
    low, high = np.minimum(position[:half], position[half:]), np.maximum(position[:half], position[half:])
    distance = np.full(size * (size - 1) // 2, _FARTHEST - unseen)
    distance[low * (2 * size - low - 1) // 2 + high - low - 1] = _FARTHEST - weights
    found = fcluster(linkage(distance, method="average"), t=_FARTHEST - threshold, criterion="distance")
    first: dict[int, int] = {}
    for record, number in zip(member.tolist(), found.tolist(), strict=True):
        labels[record] = first.setdefault(number, record)
