"""Selection of each row's largest entries."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from models.recommend.item_item import heaviest
from models.recommend.top_k import position_within, top_k


def naive_top_k(dense: np.ndarray, k: int) -> list[tuple[int, int, float]]:
    return [
        (row, int(column), float(dense[row, column]))
        for row in range(dense.shape[0])
        for column in np.argsort(-dense[row], kind="stable")[:k]
        if dense[row, column] > 0
    ]


@examples(max_examples=150, deadline=None)
@given(
    n_rows=st.integers(1, 6),
    n_columns=st.integers(1, 150),
    k=st.integers(1, 12),
    levels=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_selection_equals_a_full_sort(n_rows: int, n_columns: int, k: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(-1, levels, (n_rows, n_columns)).astype(np.float32) * (rng.random((n_rows, n_columns)) < 0.7)
    rows, columns, values = top_k(sp.csr_array(dense), k)
    found = list(zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True))
    assert found == naive_top_k(dense, k)


def test_order_of_storage_changes_nothing() -> None:
    tidy = sp.csr_array(np.array([[3, 1, 3, 2]], dtype=np.float32))
    untidy = sp.csr_array((np.array([2, 3, 1, 3], dtype=np.float32), np.array([3, 2, 1, 0]), np.array([0, 4])))
    for one, other in zip(top_k(tidy, 2), top_k(untidy, 2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_stored_selects_nothing() -> None:
    assert [len(part) for part in top_k(sp.csr_array((3, 4), dtype=np.float32), 2)] == [0, 0, 0]


def test_position_counts_within_equal_neighbours() -> None:
    assert position_within(np.array([4, 4, 4, 7, 9, 9])).tolist() == [0, 1, 2, 0, 0, 1]


def test_heaviest_keeps_the_weightiest_and_the_first_of_equals() -> None:
    weight = sp.csr_array(np.array([[1, 5, 5, 5], [0, 2, 0, 0]], dtype=np.float32))
    assert heaviest(weight, 2).toarray().tolist() == [[0, 5, 5, 0], [0, 2, 0, 0]]
    assert weight.nnz == 5
