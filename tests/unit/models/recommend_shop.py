"""A small shop to recommend in: builders of purchases and products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import pyarrow as pa

AS_OF = date(2026, 3, 31)

Purchase = tuple[str | None, str, int]
"""customer, sku, days before AS_OF."""


def purchases(rows: Iterable[Purchase], quantity: Sequence[int] | None = None) -> pa.Table:
    bought = list(rows)
    return pa.table(
        {
            "customer_id": pa.array([customer for customer, _, _ in bought], pa.string()),
            "sku": pa.array([sku for _, sku, _ in bought], pa.string()),
            "ordered_on": pa.array([AS_OF - timedelta(days=age) for _, _, age in bought], pa.date32()),
            "quantity": pa.array(quantity or [1] * len(bought), pa.int64()),
        }
    )


def products(skus: Iterable[str], unsellable: Iterable[str] = (), **columns: Sequence[object]) -> pa.Table:
    listed = list(skus)
    withdrawn = set(unsellable)
    return pa.table(
        {
            "sku": pa.array(listed, pa.string()),
            "name": pa.array([f"Product {sku}" for sku in listed], pa.string()),
            "category": pa.array(["all"] * len(listed), pa.string()),
            "is_sellable": pa.array([sku not in withdrawn for sku in listed], pa.bool_()),
            **{name: pa.array(values) for name, values in columns.items()},
        }
    )


def customers(*ids: str | None) -> pa.Array:
    return pa.array(ids, pa.string())
