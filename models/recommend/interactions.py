"""Who bought what, as integer codes and sparse matrices: the one form that every strategy is fitted on.

Belongs here: encoding, netting of returns, time decay, what may be offered. Does not belong here: any scoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from models.recommend.settings import RecommendSettings

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

FAINTEST_WEIGHT = 1e-6
"""Floor of a decayed weight, so that products of very old purchases do not vanish in single precision."""


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of their sku; every array is indexed by item.

    group: number of the product (spu) that the item is a variant of, its own where that is unknown.
    category: number of the category, -1 where unknown.
    """

    sku: list[str]
    name: list[str | None]
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


def encode(purchases: pa.Table, products: pa.Table, as_of: date, settings: RecommendSettings) -> Interactions:
    """Encode purchases and products.

    purchases: customer_id (null: unidentified, counts for popularity alone), sku, ordered_on DATE, quantity. Rows
      after as_of, without sku or without date are left out. A quantity below zero is a return; a pair whose quantities
      sum to zero or less is no purchase, but still counts as just bought. A null quantity counts as one.
    products: sku, name, category, is_sellable; optional spu (variants of one product) and is_durable. A sku on several
      rows (one a channel) is sellable where any row says so and takes its first name and category in row order.
    Raises ValueError naming the column that is missing.
    """
    _require(purchases, "purchases", ("customer_id", "sku", "ordered_on", "quantity"))
    lines = _lines(purchases, as_of)
    catalogue = _catalogue(products, lines)
    items = pl.DataFrame({"sku": catalogue.sku, "item": np.arange(len(catalogue), dtype=np.int64)})
    customers = lines["customer_id"].drop_nulls().unique().sort()
    rows = pl.DataFrame({"customer_id": customers, "row": np.arange(len(customers), dtype=np.int64)})
    coded = (
        lines.join(items, on="sku", how="left")
        .join(rows, on="customer_id", how="left")
        .select(pl.col("row").fill_null(-1), "item", "age", "quantity")
    )
    days = _days_of_purchase(coded)
    return _assemble(catalogue, customers, days, settings)


def _require(table: pa.Table, what: str, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; it has {', '.join(table.column_names) or 'no columns'}")


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"expected a table, got {type(table).__name__}")
    return frame


def _lines(purchases: pa.Table, as_of: date) -> pl.DataFrame:
    return (
        _frame(purchases.select(["customer_id", "sku", "ordered_on", "quantity"]))
        .select(
            pl.col("customer_id").cast(pl.String),
            pl.col("sku").cast(pl.String),
            (pl.lit(as_of) - pl.col("ordered_on").cast(pl.Date)).dt.total_days().alias("age"),
            pl.col("quantity").cast(pl.Float64).fill_null(1.0),
        )
        .filter(pl.col("sku").is_not_null() & (pl.col("age") >= 0))
    )


def _catalogue(products: pa.Table, lines: pl.DataFrame) -> Catalogue:
    _require(products, "products", ("sku", "name", "category", "is_sellable"))
    offered = _frame(products)
    for column, default in (("spu", pl.lit(None, pl.String)), ("is_durable", pl.lit(False))):
        if column not in offered.columns:
            offered = offered.with_columns(default.alias(column))
    offered = (
        offered.with_columns(pl.col("sku", "name", "category", "spu").cast(pl.String))
        .filter(pl.col("sku").is_not_null())
        .group_by("sku", maintain_order=True)
        .agg(
            pl.col("name", "category", "spu").drop_nulls().first(),
            pl.col("is_sellable", "is_durable").cast(pl.Boolean).fill_null(False).any(),
        )
    )
    sold_only = lines.select(pl.col("sku").unique()).join(offered, on="sku", how="anti")
    merged = pl.concat([offered, sold_only], how="diagonal").sort("sku")
    return Catalogue(
        sku=merged["sku"].to_list(),
        name=merged["name"].to_list(),
        category=_codes(merged["category"]),
        group=_codes(pl.select(pl.coalesce("spu:" + merged["spu"], "sku:" + merged["sku"])).to_series()),
        is_sellable=merged["is_sellable"].fill_null(False).to_numpy(),
        is_durable=merged["is_durable"].fill_null(False).to_numpy(),
    )


def _codes(labels: pl.Series) -> IntArray:
    """Dense numbers of labels in their sort order; -1 for null."""
    ranks = labels.rank("dense").cast(pl.Int64) - 1
    return np.asarray(ranks.fill_null(-1).to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class _Days:
    """Distinct (row, item, age) in that order with their net quantity; row -1 is the unidentified."""

    row: IntArray
    item: IntArray
    age: IntArray
    quantity: NDArray[np.float64]


def _days_of_purchase(coded: pl.DataFrame) -> _Days:
    """Net lines to days. Sorted before summing, so that float sums never depend on threads."""
    identified = coded.filter(pl.col("row") >= 0).sort("row", "item", "age", "quantity")
    unidentified = coded.filter((pl.col("row") < 0) & (pl.col("quantity") > 0)).sort("item", "age")
    row, item, age = (identified[name].to_numpy() for name in ("row", "item", "age"))
    starts = _starts(row, item, age)
    return _Days(
        row=np.concatenate([row[starts], np.full(len(unidentified), -1)]),
        item=np.concatenate([item[starts], unidentified["item"].to_numpy()]),
        age=np.concatenate([age[starts], unidentified["age"].to_numpy()]),
        quantity=np.concatenate([_sums(identified["quantity"].to_numpy(), starts), np.ones(len(unidentified))]),
    )


def _assemble(catalogue: Catalogue, customers: pl.Series, days: _Days, settings: RecommendSettings) -> Interactions:
    known = days.row >= 0
    row, item, age, quantity = days.row[known], days.item[known], days.age[known], days.quantity[known]
    starts = _starts(row, item)
    kept = np.repeat(_sums(quantity, starts) > 0, np.diff(np.append(starts, len(row))))
    bought = kept & (quantity > 0)
    shape = (len(customers), len(catalogue))

    def matrix(select: NDArray[np.bool_], values: NDArray[np.floating[Any]], reduce: np.ufunc) -> sp.csr_array:
        pair_starts = _starts(row[select], item[select])
        data = reduce.reduceat(values[select], pair_starts) if len(pair_starts) else values[:0]
        rows, columns = row[select][pair_starts], item[select][pair_starts]
        indptr = np.searchsorted(rows, np.arange(shape[0] + 1))
        index_type = np.int32 if max(len(data), *shape) < np.iinfo(np.int32).max else np.int64
        return sp.csr_array(
            (data.astype(np.float32), columns.astype(index_type), indptr.astype(index_type)), shape=shape
        )

    decayed = np.maximum(np.power(0.5, age / settings.history_half_life_days), FAINTEST_WEIGHT)
    stored_age = age + 1.0
    counted = np.concatenate([bought, np.ones(len(days.row) - len(row), dtype=bool)])
    freshness = np.power(0.5, days.age / settings.popularity_half_life_days)
    return Interactions(
        catalogue=catalogue,
        customers=customers,
        weight=matrix(bought, decayed, np.add),
        days=matrix(bought, np.ones(len(row)), np.add),
        last_age=matrix(bought, stored_age, np.minimum),
        first_age=matrix(bought, stored_age, np.maximum),
        touched_age=matrix(np.ones(len(row), dtype=bool), stored_age, np.minimum),
        popularity=np.bincount(days.item[counted], freshness[counted], minlength=shape[1]).astype(np.float64),
        sold_this_week=np.bincount(days.item[counted & (days.age < 7)], minlength=shape[1]).astype(np.float64),
    )


def _starts(*keys: IntArray) -> IntArray:
    """Where a new combination begins in arrays that are sorted by it."""
    if not len(keys[0]):
        return np.empty(0, dtype=np.int64)
    changes = np.zeros(len(keys[0]), dtype=bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


def _sums(values: NDArray[np.float64], starts: IntArray) -> NDArray[np.float64]:
    return np.add.reduceat(values, starts) if len(starts) else values[:0]
