"""What is known beside the purchases: where customers shop, what lies and sells there, how old the children are.

Belongs here: those tables as integer codes and sparse matrices. Does not belong here: purchases (encoding.py), what any
strategy makes of it.
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

from models.recommend.interactions import TREND_BASELINE_DAYS, TREND_DAYS, UNKNOWN, Context, IntArray


@dataclass(frozen=True)
class Profiles:
    """What is known of customers, bought or not.

    customers: customer_id, and optionally store_id (where they shop) and child_birth_month (text, YYYY-MM; what does
    not read so is unknown). stock: store_id, sku of what can be had where; None where no stock is known, which is not
    the same as an empty one.
    """

    customers: pa.Table | None = None
    stock: pa.Table | None = None

    def __post_init__(self) -> None:
        for table, what, needed in (
            (self.customers, "profiles", ("customer_id",)),
            (self.stock, "stock", ("store_id", "sku")),
        ):
            missing = [column for column in needed if table is not None and column not in table.column_names]
            if missing:
                raise ValueError(f"{what} lacks {', '.join(missing)}")


def month_number(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def known_customers(profiles: Profiles) -> pl.DataFrame:
    """customer_id, store_id, birth_month, one row each, of customers of whom any of it is known, sorted."""
    if profiles.customers is None:
        return pl.DataFrame(schema={"customer_id": pl.String, "store_id": pl.String, "birth_month": pl.Int64})
    frame = pl.DataFrame(profiles.customers)
    for column in ("store_id", "child_birth_month"):
        if column not in frame.columns:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(column))
    text = pl.col("child_birth_month").cast(pl.String)
    year, month = (text.str.extract(r"^(\d{4})-(\d{2})$", group).cast(pl.Int64) for group in (1, 2))
    is_month = month.is_between(1, 12) & (year > 0)
    return (
        frame.select(
            pl.col("customer_id", "store_id").cast(pl.String),
            pl.when(is_month).then(year * 12 + month - 1).alias("birth_month"),
        )
        .filter(
            pl.col("customer_id").is_not_null() & pl.any_horizontal(pl.col("store_id", "birth_month").is_not_null())
        )
        .group_by("customer_id")
        .agg(pl.col("store_id", "birth_month").drop_nulls().first())
        .sort("customer_id")
    )


def build_context(
    profiles: Profiles,
    known: pl.DataFrame,
    customers: pl.Series,
    skus: pl.Series,
    sales: Sales,
    as_of: date,
) -> Context:
    """Code what is known by the places that customers shop at.

    known: of `known_customers`. customers, skus: in their coded order. sales: lines that count.
    """
    place_ids = known["store_id"].drop_nulls().unique().sort()
    own = customers.to_frame("customer_id").join(known, on="customer_id", how="left", maintain_order="left")
    n_places, n_items = len(place_ids), len(skus)
    at = codes_of(sales.store, place_ids)
    recent = sales.age < TREND_DAYS
    earlier = (sales.age >= TREND_DAYS) & (sales.age < TREND_DAYS + TREND_BASELINE_DAYS)
    return Context(
        place_ids=place_ids,
        place=codes_of(own["store_id"], place_ids),
        birth_month=own["birth_month"].fill_null(UNKNOWN).to_numpy(),
        stock=None if profiles.stock is None else _stock(profiles.stock, place_ids, skus),
        recent=_counts(at[recent], sales.item[recent], n_places, n_items),
        earlier=_counts(at[earlier], sales.item[earlier], n_places, n_items),
        as_of_month=month_number(as_of),
    )


@dataclass(frozen=True)
class Sales:
    """Lines of sale: store (null where none), item, days before as-of."""

    store: pl.Series
    item: IntArray
    age: IntArray


def codes_of(values: pl.Series, labels: pl.Series) -> IntArray:
    """Numbers of values among sorted labels, UNKNOWN where they are not there."""
    if not len(labels):
        return np.full(len(values), UNKNOWN, dtype=np.int64)
    numbered = labels.alias("label").to_frame().with_row_index("number")
    found = values.cast(pl.String).to_frame("label").join(numbered, on="label", how="left", maintain_order="left")
    return np.asarray(found["number"].cast(pl.Int64).fill_null(UNKNOWN).to_numpy(), dtype=np.int64)


def _stock(stock: pa.Table, place_ids: pl.Series, skus: pl.Series) -> sp.csr_array:
    frame = pl.DataFrame(stock.select(["store_id", "sku"])).unique()
    place, item = codes_of(frame["store_id"], place_ids), codes_of(frame["sku"], skus)
    kept = (place != UNKNOWN) & (item != UNKNOWN)
    return _matrix(place[kept], item[kept], (len(place_ids), len(skus)))


def _counts(place: IntArray, item: IntArray, n_places: int, n_items: int) -> sp.csr_array:
    known = place != UNKNOWN
    rows = np.concatenate([place[known], np.full(len(item), n_places)])
    return _matrix(rows, np.concatenate([item[known], item]), (n_places + 1, n_items))


def _matrix(rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> sp.csr_array:
    counted = sp.csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    counted.sum_duplicates()
    return counted
