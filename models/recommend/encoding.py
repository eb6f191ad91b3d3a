"""From tables of purchases and products to interactions.

Belongs here: integer codes, netting of returns, time decay, what may be offered. Does not belong here: any scoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from models.recommend.context import Context, Profiles, Sales, build_context, known_customers
from models.recommend.interactions import UNKNOWN, Catalogue, IntArray, Interactions
from models.recommend.settings import RecommendSettings

FAINTEST_WEIGHT = 1e-6
"""Floor of a decayed weight, so that products of very old purchases do not vanish in single precision."""

FRESH_HALF_LIFE_DAYS = 10.0
"""Of `Interactions.fresh`: what was bought in the last weeks."""

OLDEST_AGE = 36_500
"""Days from which purchases count as equally old; it keeps a date of the year 1 from widening the sort key."""

NOTHING_LEFT = 1e-6
"""Net quantity up to which all goods went back: weights in kilogrammes need not cancel exactly in floats."""


def encode(
    purchases: pa.Table,
    products: pa.Table,
    as_of: date,
    settings: RecommendSettings,
    profiles: Profiles | None = None,
) -> Interactions:
    """Encode purchases, products and what else is known of customers.

    purchases: customer_id (null: unidentified, counts for popularity alone), sku, ordered_on DATE, quantity. Rows
      after as_of, without sku or without date are left out. A quantity below zero is a return; a pair whose quantities
      sum to zero or less is no purchase, but still counts as just bought. A null quantity counts as one. Optional
      store_id: where it was bought.
    products: sku, name, category, is_sellable; optional spu (variants of one product), brand, stage (`line:number`,
      such as milk_powder:2) and is_durable. A sku on several rows (one a channel) is sellable where any row says so and
      takes its first name and category in row order.
    Raises ValueError naming the column that is missing.
    """
    _require(purchases, "purchases", ("customer_id", "sku", "ordered_on", "quantity"))
    _require(products, "products", ("sku", "name", "category", "is_sellable"))
    profiles = profiles or Profiles()
    known = known_customers(profiles)
    row, customers = _coded(purchases.column("customer_id"))
    row, customers = _with_known(row, customers, known["customer_id"])
    sku_code, skus = _coded(purchases.column("sku"))
    catalogue = _catalogue(products, skus)
    # Both are sorted alike, so an item's place among the purchased is found by search.
    item = np.append(catalogue.sku.search_sorted(skus).to_numpy().astype(np.int64), UNKNOWN)[sku_code]
    age = _ages(purchases.column("ordered_on"), as_of)
    quantity = _numbers(purchases.column("quantity"))
    counted = (item != UNKNOWN) & (age >= 0)
    sold = counted & (quantity > 0)
    stores = _stores(purchases).filter(pl.Series(sold))
    context = build_context(
        profiles, known, customers, catalogue.sku, Sales(stores, item[sold], age[sold]), as_of
    )  # fmt: skip
    days = _net_days(row[counted], item[counted], age[counted], quantity[counted], len(catalogue))
    del row, sku_code, item, age, quantity, counted, sold, stores
    return _assemble(catalogue, customers, days, context, settings)


def _stores(purchases: pa.Table) -> pl.Series:
    if "store_id" not in purchases.column_names:
        return pl.Series("store_id", [None], dtype=pl.String).new_from_index(0, purchases.num_rows)
    return pl.Series("store_id", purchases.column("store_id").cast(pa.large_string()))


def _with_known(row: IntArray, customers: pl.Series, known: pl.Series) -> tuple[IntArray, pl.Series]:
    """Rows and customers with those added of whom something is known beside purchases."""
    everybody = pl.concat([customers.rename("customer_id"), known]).unique().sort()
    place = np.append(everybody.search_sorted(customers).to_numpy().astype(np.int64), UNKNOWN)
    return place[row], everybody


def _require(table: pa.Table, what: str, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; it has {', '.join(table.column_names) or 'no columns'}")


def _coded(column: pa.ChunkedArray) -> tuple[IntArray, pl.Series]:
    """Numbers of the values in sort order (UNKNOWN for null), and the distinct values sorted.

    Encoded by Arrow, column by column: joining millions of strings would take several times the memory.
    """
    encoded = column.cast(pa.large_string()).dictionary_encode().unify_dictionaries().combine_chunks()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.full(len(order) + 1, UNKNOWN, dtype=np.int64)
    place[order] = np.arange(len(order))
    codes = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return place[codes], pl.Series(encoded.dictionary.take(pa.array(order)), dtype=pl.String)


def _ages(ordered_on: pa.ChunkedArray, as_of: date) -> IntArray:
    """Days from purchase to as-of; below zero for what comes later or has no date."""
    days = ordered_on.cast(pa.date32()).fill_null(as_of + timedelta(days=1)).cast(pa.int32()).to_numpy()
    today = np.datetime64(as_of, "D").astype(np.int64)
    return np.minimum(today - days.astype(np.int64), OLDEST_AGE)


def _numbers(quantity: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = quantity.cast(pa.float64()).fill_null(1.0).to_numpy()
    return numbers


def _catalogue(products: pa.Table, bought: pl.Series) -> Catalogue:
    offered = pl.DataFrame(products)
    nothing = pl.lit(None, pl.String)
    for column, default in (("spu", nothing), ("brand", nothing), ("stage", nothing), ("is_durable", pl.lit(False))):
        if column not in offered.columns:
            offered = offered.with_columns(default.alias(column))
    offered = (
        offered.with_columns(pl.col("sku", "name", "category", "spu", "brand", "stage").cast(pl.String))
        .filter(pl.col("sku").is_not_null())
        .group_by("sku", maintain_order=True)
        .agg(
            pl.col("name", "category", "spu", "brand", "stage").drop_nulls().first(),
            pl.col("is_sellable", "is_durable").cast(pl.Boolean).fill_null(False).any(),
        )
    )
    sold_only = pl.DataFrame({"sku": bought}).join(offered, on="sku", how="anti")
    merged = pl.concat([offered, sold_only], how="diagonal").sort("sku")
    product = pl.coalesce("spu:" + pl.col("spu"), "sku:" + pl.col("sku"))
    family, stage, families = _stages(merged["stage"])
    return Catalogue(
        sku=merged["sku"],
        name=merged["name"],
        category=_ranked(merged["category"]),
        group=_ranked(merged.select(product.alias("product"))["product"]),
        brand=_ranked(merged["brand"]),
        stage_family=family,
        stage=stage,
        families=families,
        is_sellable=merged["is_sellable"].fill_null(False).to_numpy(),
        is_durable=merged["is_durable"].fill_null(False).to_numpy(),
    )


def _stages(labels: pl.Series) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """Line and number of `line:number` labels and the lines' names; UNKNOWN for what does not read so."""
    line = labels.str.extract(r"^\s*(.+?)\s*:\s*\d{1,4}\s*$")
    number = labels.str.extract(r":\s*(\d{1,4})\s*$").cast(pl.Int64)
    names = tuple(line.drop_nulls().unique().sort().to_list())
    stage = np.where(line.is_not_null().to_numpy(), number.fill_null(UNKNOWN).to_numpy(), UNKNOWN)
    return _ranked(line), stage.astype(np.int64), names


def _ranked(labels: pl.Series) -> IntArray:
    """Dense numbers of labels in their sort order; UNKNOWN for null."""
    ranks = labels.rank("dense").cast(pl.Int64) - 1
    return np.asarray(ranks.fill_null(UNKNOWN).to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class _Days:
    """Distinct (row, item, age) in that order with their net quantity; row UNKNOWN comes first."""

    row: NDArray[np.int32]
    item: NDArray[np.int32]
    age: NDArray[np.int32]
    quantity: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> _Days:
        return _Days(self.row[chosen], self.item[chosen], self.age[chosen], self.quantity[chosen])


def _net_days(row: IntArray, item: IntArray, age: IntArray, quantity: NDArray[np.float64], n_items: int) -> _Days:
    """Sum the lines of a customer, item and day; of unidentified customers every line stays a purchase of its own."""
    n_ages = int(age.max(initial=0)) + 1
    key = (row * n_items + item) * n_ages + age
    order = np.argsort(key, kind="stable")
    key, quantity = key[order], quantity[order]
    starts = _starts(key)
    key = key[starts]
    pair, day = np.divmod(key, n_ages)
    customer, product = np.divmod(pair, max(n_items, 1))
    net = _sums(quantity, starts)
    unidentified = np.flatnonzero(customer == UNKNOWN)
    net[unidentified] = _sums((quantity > 0).astype(np.float64), starts)[unidentified]
    return _Days(customer.astype(np.int32), product.astype(np.int32), day.astype(np.int32), net)


def _assemble(
    catalogue: Catalogue, customers: pl.Series, days: _Days, context: Context, settings: RecommendSettings
) -> Interactions:
    n_items = len(catalogue)
    pair_starts = _starts(days.row, days.item)
    pair_lengths = np.diff(np.append(pair_starts, len(days.row)))
    is_kept = np.repeat(_sums(days.quantity, pair_starts) > NOTHING_LEFT, pair_lengths)
    sold = days.where(is_kept & (days.quantity > NOTHING_LEFT))
    purchases = np.where(sold.row == UNKNOWN, sold.quantity, 1.0)
    freshness = purchases * np.power(0.5, sold.age / settings.popularity_half_life_days)
    bought = _PairMatrices(sold.where(sold.row != UNKNOWN), (len(customers), n_items))
    touched = _PairMatrices(days.where(days.row != UNKNOWN), (len(customers), n_items))
    decayed = np.power(0.5, bought.age / settings.history_half_life_days)
    fresh = np.power(0.5, bought.age / FRESH_HALF_LIFE_DAYS)
    return Interactions(
        catalogue=catalogue,
        customers=customers,
        weight=bought.reduced(np.add, np.maximum(decayed, FAINTEST_WEIGHT).astype(np.float32)),
        fresh=bought.reduced(np.add, np.maximum(fresh, FAINTEST_WEIGHT).astype(np.float32)),
        days=bought.reduced(np.add, np.ones(len(bought.age), dtype=np.float32)),
        visits=_visits(sold, len(customers)),
        last_age=bought.reduced(np.minimum, bought.age + np.float32(1)),
        first_age=bought.reduced(np.maximum, bought.age + np.float32(1)),
        touched_age=touched.reduced(np.minimum, touched.age + np.float32(1)),
        popularity=np.bincount(sold.item, freshness, minlength=n_items).astype(np.float64),
        sold=np.bincount(sold.item, purchases, minlength=n_items).astype(np.float64),
        sold_this_week=np.bincount(sold.item, purchases * (sold.age < 7), minlength=n_items).astype(np.float64),
        context=context,
    )


def _visits(sold: _Days, n_customers: int) -> NDArray[np.float32]:
    """Distinct days of purchase by customer."""
    known = sold.row != UNKNOWN
    day = np.unique(sold.row[known].astype(np.int64) * (OLDEST_AGE + 1) + sold.age[known])
    return np.bincount(day // (OLDEST_AGE + 1), minlength=n_customers).astype(np.float32)


class _PairMatrices:
    """Matrices with one entry a (row, item) of the days; they share their index arrays."""

    def __init__(self, days: _Days, shape: tuple[int, int]) -> None:
        self.age = days.age.astype(np.float32)
        self._shape = shape
        self._starts = _starts(days.row, days.item)
        self._indices = days.item[self._starts]
        indptr = np.searchsorted(days.row[self._starts], np.arange(shape[0] + 1))
        self._indptr = indptr.astype(np.int32 if len(self._indices) < np.iinfo(np.int32).max else np.int64)

    def reduced(self, reduce: np.ufunc, values: NDArray[np.float32]) -> sp.csr_array:
        """One value a day of purchase, reduced to one a pair."""
        data = reduce.reduceat(values, self._starts) if len(self._starts) else values
        return sp.csr_array((data, self._indices, self._indptr), shape=self._shape)


def _starts(*keys: NDArray[np.signedinteger[Any]]) -> IntArray:
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
