"""A small shop's orders: weekly, monthly and seldom buyers, some of whom stop."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np

LAST = date(2026, 6, 30)
DAYS = 420


def orders(n_customers: int = 400, seed: int = 11) -> list[tuple[str, date, int]]:
    """(customer_id, business_date, net amount in cents) of the days up to LAST."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n_customers):
        gap = (9, 33, 120)[number % 3] * rng.uniform(0.7, 1.4)
        day = rng.uniform(0, DAYS * 0.8)
        worth = rng.gamma(3, 1500)
        while day < DAYS:
            when = LAST - timedelta(days=DAYS - 1 - int(day))
            found.append((f"c{number:04d}", when, int(100 + worth * rng.uniform(0.6, 1.4))))
            if rng.random() < 0.05:
                break
            day += gap * rng.gamma(3, 1 / 3) + 1
    return found


def fill(connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, date, int]]) -> None:
    """`marts.orders` and `order_days` of those orders."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
    connection.execute(
        "CREATE OR REPLACE TABLE marts.orders (customer_id VARCHAR, business_date DATE, net_amount DECIMAL(18, 2), "
        "refunded_amount DECIMAL(18, 2), is_qualified BOOLEAN)"
    )
    if rows:
        connection.register("shop", _table(rows))
        connection.execute("INSERT INTO marts.orders SELECT customer_id, business_date, cents / 100, 0, true FROM shop")
        connection.unregister("shop")
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW order_days AS SELECT customer_id, business_date AS day, sum(net_amount) AS amount "
        "FROM marts.orders GROUP BY ALL"
    )


def _table(rows: list[tuple[str, date, int]]) -> object:
    import pyarrow as pa

    names = ("customer_id", "business_date", "cents")
    return pa.table(dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)))
