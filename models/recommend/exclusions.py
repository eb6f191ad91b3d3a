"""What must not be offered to a customer, whichever strategy thinks of it.

Belongs here: just bought, durables owned. Does not belong here: what is sellable at all (the catalogue says so and
every strategy keeps to it), ranking.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import Interactions
from models.recommend.settings import RecommendSettings


def exclusions(interactions: Interactions, settings: RecommendSettings) -> sp.csr_array:
    """Customers × items, 1 where the item is barred.

    Barred are the goods touched (bought, or bought and returned) in the last `recent_days` with all variants of the
    same product, and durables ever bought, with all variants too.
    """
    catalogue = interactions.catalogue
    touched = interactions.touched_age
    barred = catalogue.is_durable[touched.indices] & (_bought(interactions).data > 0)
    if settings.recent_days is not None:
        barred |= touched.data <= settings.recent_days + 1
    # Copied, since dropping zeros moves indices in place and other matrices share them.
    direct = sp.csr_array((barred.astype(np.float32), touched.indices, touched.indptr), shape=touched.shape, copy=True)
    direct.eliminate_zeros()
    n_items = len(catalogue)
    member = sp.csr_array(
        (np.ones(n_items, dtype=np.float32), (np.arange(n_items), catalogue.group)),
        shape=(n_items, int(catalogue.group.max(initial=-1)) + 1),
    )
    result = sp.csr_array((direct @ member) @ member.T)
    result.data[:] = 1
    result.sort_indices()
    return result


def _bought(interactions: Interactions) -> sp.csr_array:
    """Days of purchase on the pattern of `touched_age`, 0 for what went back."""
    touched, days = interactions.touched_age, interactions.days
    found = np.zeros(touched.nnz, dtype=np.float32)
    touched_key = _keys(touched)
    found[np.searchsorted(touched_key, _keys(days))] = days.data
    return sp.csr_array((found, touched.indices, touched.indptr), shape=touched.shape)


def _keys(matrix: sp.csr_array) -> np.ndarray:
    """One ascending number an entry of a matrix with sorted indices."""
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return row * matrix.shape[1] + matrix.indices
