"""Clusters without chains, and the figures that measure them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluate.clusters import cluster_quality
from models.linkage.clustering import cluster


def clusters_of(n: int, pairs: dict[tuple[int, int], float], unseen: float = -12.0) -> list[int]:
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    return cluster(n, left, right, np.array(list(pairs.values()), dtype=float), unseen).tolist()


def test_one_lucky_pair_does_not_join_two_persons() -> None:
    together = {(0, 1): 9.0, (0, 2): 8.0, (1, 2): 9.0, (3, 4): 9.0, (3, 5): 8.0, (4, 5): 9.0}
    assert clusters_of(6, together | {(2, 3): 11.0}) == [0, 0, 0, 3, 3, 3]


def test_a_weak_record_joins_if_all_together_speak_for_it() -> None:
    assert clusters_of(3, {(0, 1): 9.0, (0, 2): 5.0, (1, 2): -2.0}) == [0, 0, 0]
    assert clusters_of(3, {(0, 1): 9.0, (0, 2): 2.0, (1, 2): -5.0}) == [0, 0, 2]


def test_a_pair_below_the_threshold_stays_apart() -> None:
    assert clusters_of(4, {(0, 1): 0.1, (2, 3): -0.1}) == [0, 0, 2, 3]


def test_a_crowd_that_a_chain_holds_together_is_parted() -> None:
    n = 1500
    chain = {(row, row + 1): 6.0 + (row % 2) * 20.0 for row in range(n - 1)}
    found = clusters_of(n, chain)
    sizes = np.unique(found, return_counts=True)[1]
    assert sizes.max() <= 3
    assert all(found[row] == found[row + 1] for row in range(1, n - 1, 2))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]), st.floats(-20, 20)
    )
)
def test_clusters_are_named_by_their_first_record_and_each_hangs_together(pairs: dict[tuple[int, int], float]) -> None:
    found = clusters_of(12, pairs)
    for record, label in enumerate(found):
        assert label <= record
        assert found[label] == label
        if label != record:
            others = [other for other in range(12) if other != record and found[other] == label]
            assert any(pairs.get((min(record, other), max(record, other)), -12.0) > 0 for other in others)


def test_figures_equal_a_case_worked_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    found = np.array([5, 5, 6, 6, 6, 7])
    quality = cluster_quality(found, truth)
    assert (quality.pairs_found, quality.pairs_true, quality.pairs_right) == (4, 4, 2)
    assert (quality.precision, quality.recall, quality.f1) == (0.5, 0.5, 0.5)
    assert quality.bcubed_precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3 + 1) / 6)
    assert quality.bcubed_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6)


def test_nothing_to_find_and_nothing_found_is_no_error() -> None:
    quality = cluster_quality(np.arange(4), np.arange(4))
    assert (quality.precision, quality.recall, quality.f1, quality.bcubed_f1) == (1.0, 1.0, 1.0, 1.0)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 cluster labels for 3 records"):
        cluster_quality(np.arange(2), np.arange(3))
    with pytest.raises(ValueError, match="no record"):
        cluster_quality(np.arange(0), np.arange(0))
