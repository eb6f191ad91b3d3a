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

UNKNOWN = -1
"""Number of what has none."""

TREND_DAYS = 14
TREND_BASELINE_DAYS = 56
"""Sales of the last 14 days are judged by those of the 56 days before."""


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of their sku; every array is indexed by item.

    group: number of the product (spu) that the item is a variant of, its own where that is unknown.
    category, brand: number of it, UNKNOWN where unknown. stage_family: number of the line of products that follow each
    other as a child grows, UNKNOWN outside of any. stage: the product's place in it (milk powder 2: 2).
    families: names of the lines by number.
    """

    sku: pl.Series
    name: pl.Series
    category: IntArray
    group: IntArray
    brand: IntArray
    stage_family: IntArray
    stage: IntArray
    families: tuple[str, ...]
    is_sellable: NDArray[np.bool_]
    is_durable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sku)


@dataclass(frozen=True)
class Context:
    """By place (a store that customers shop at) and by customer.

    place_ids: sorted. place: each customer's, UNKNOWN where none is. birth_month: of the child, as year × 12 + month
    (January = 0), UNKNOWN. stock: places × items, 1 where it can be had; None where no stock is known. recent, earlier:
    (places + 1) × items, purchases of the last TREND_DAYS and of the TREND_BASELINE_DAYS before; the last row is the
    sum over all sales. as_of_month: of the as-of date, like birth_month.
    """

    place_ids: pl.Series
    place: IntArray
    birth_month: IntArray
    stock: sp.csr_array | None
    recent: sp.csr_array
    earlier: sp.csr_array
    as_of_month: int


@dataclass(frozen=True)
class Interactions:
    """Purchases up to as-of, one entry a (customer, item) pair; matrices are customers × items with sorted indices.

    customers: ids of customers with purchases or with something in the context, sorted; the row of each matrix.
    weight: sum over the days of purchase of 0.5^(age / half-life). fresh: the same with a short half-life.
    days: number of distinct days of purchase.
    visits: number of each customer's days of purchase.
    last_age, first_age: days from the last and the first purchase to as-of, plus one (so that today is stored).
    touched_age: like last_age, but of pairs whose goods all went back as well.
    popularity: decayed purchases per item, unidentified customers included. sold: the same without decay.
    sold_this_week: buyers' days of purchase per item in the seven days up to as-of.
    """

    catalogue: Catalogue
    customers: pl.Series
    weight: sp.csr_array
    fresh: sp.csr_array
    days: sp.csr_array
    visits: FloatArray
    last_age: sp.csr_array
    first_age: sp.csr_array
    touched_age: sp.csr_array
    popularity: NDArray[np.float64]
    sold: NDArray[np.float64]
    sold_this_week: NDArray[np.float64]
    context: Context

    @property
    def n_items(self) -> int:
        return len(self.catalogue)
