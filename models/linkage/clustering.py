"""From scored pairs to persons, without chains.

Belongs here: average linkage of weights of evidence. Does not belong here: how a pair's weight comes about.

Two groups of records are one person if the mean weight (bits, the prior odds included) of all pairs between them is
above the threshold. One lucky pair cannot join two persons, as all other pairs speak against it: this is what
connected components get wrong. Then each record goes where most speaks for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LARGEST = 600
"""Records a group may have before its weakest pairs are left out to part it."""
_FARTHEST = 1e3
_GAIN = 1e-6
"""Bits below which a move is rounding."""


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
        component = components(n, left[joined], right[joined])
        sizes = np.bincount(component)
        n_joined = np.bincount(component[left[joined]], minlength=len(sizes))
        # All pairs of the group are above the threshold, and so is every mean of them.
        is_agreed = n_joined == sizes * (sizes - 1) // 2
        _join(labels, np.concatenate([left[joined], right[joined]]), component, is_agreed)
        inside = rows[component[left[rows]] == component[right[rows]]]
        inside = inside[~is_agreed[component[left[inside]]]]
        for rows_inside in _grouped(inside, component[left[inside]]):
            if sizes[component[left[rows_inside[0]]]] > LARGEST:
                todo.append((rows_inside, max(cutoff + 1.0, float(np.quantile(weights[rows_inside], 0.05)))))
            else:
                _average_link(labels, left[rows_inside], right[rows_inside], weights[rows_inside], unseen, threshold)
    return labels


def _join(labels: Integers, records: Integers, component: Integers, is_agreed: npt.NDArray[np.bool_]) -> None:
    """Give all these records, where their whole component agrees, the number of its first record."""
    agreed = records[is_agreed[component[records]]]
    first = np.full(len(is_agreed), len(labels), dtype=np.int64)
    np.minimum.at(first, component[agreed], labels[agreed])
    labels[agreed] = first[component[agreed]]


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
    joined = fcluster(linkage(distance, method="average"), t=_FARTHEST - threshold - _GAIN, criterion="distance")
    found = _settle(joined - 1, squareform(_FARTHEST - distance - threshold, checks=False))
    first: dict[int, int] = {}
    for record, number in zip(member.tolist(), found.tolist(), strict=True):
        labels[record] = first.setdefault(number, record)


def _settle(groups: Integers, weights: Floats) -> Integers:
    """Move records, one at a time, to the group that more speaks for, until none gains by a move.

    A strong wrong pair joins first and keeps its two records from where they belong; here they leave each other again.
    weights: square, above the threshold positive, its diagonal 0. Ends, as each move raises the sum within groups.
    """
    groups = groups.copy()
    records = np.arange(len(groups))
    for _ in range(len(groups)):
        members = np.zeros((len(groups), groups.max() + 2))
        members[records, groups] = 1.0  # the last group is empty: to stand alone
        support = weights @ members
        gains = support.max(axis=1) - support[records, groups]
        record = int(np.argmax(gains))
        if gains[record] <= _GAIN:
            break
        groups[record] = int(np.argmax(support[record]))
    return groups
