"""Who bought what, as integer codes and sparse matrices: the one form that every strategy is fitted on.

Belongs here: the shapes and their meaning. Does not belong here: making them (encoding.py), any scoring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of their sku; every array is indexed by item.

    group: number of the product (spu) that the item is a variant of, its own where that is unknown.
    category: number of the category, -1 where unknown.
    """

    sku: pl.Series
    name: pl.Series
    category: IntArray
    group: IntArray
    is_sellable: NDArray[np.bool_]
    is_durable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sku)


@dataclass(frozen=True)
class Interactions:
    """Purchases up to as-of, one entry a (customer, item) pair; matrices are customers × items with sorted indices.

    customers: customer ids with purchases, sorted; the row of each matrix.
    weight: sum over the days of purchase of 0.5^(age / half-life).
    days: number of distinct days of purchase.
    last_age, first_age: days from the last and the first purchase to as-of, plus one (so that today is stored).
    touched_age: like last_age, but of pairs whose goods all went back as well.
    popularity: decayed purchases per item, unidentified customers included.
    sold_this_week: buyers' days of purchase per item in the seven days up to as-of.
    """

    catalogue: Catalogue
    customers: pl.Series
    weight: sp.csr_array
    days: sp.csr_array
    last_age: sp.csr_array
    first_age: sp.csr_array
    touched_age: sp.csr_array
    popularity: NDArray[np.float64]
    sold_this_week: NDArray[np.float64]

    @property
    def n_items(self) -> int:
        return len(self.catalogue)
