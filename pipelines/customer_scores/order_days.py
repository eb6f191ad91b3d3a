"""Orders as days, and what was known of each customer on a day: the SQL that models of value and churn read.

Belongs here: queries over a table `order_days` (customer_id, day, amount; one row per customer and day), and their
results as the models' inputs. Does not belong here: fitting or writing anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.churn import Known
from models.clv import DAYS_PER_PERIOD, Histories, group_histories

SUMMARY = f"""
    SELECT
        customer_id,
        count(*) - 1 AS repeats,
        date_diff('day', min(day), max(day)) AS last_days,
        date_diff('day', min(day), CAST($until AS DATE)) AS age_days,
        coalesce(sum(ln(gap / {DAYS_PER_PERIOD})), 0) AS log_gaps
    FROM (
        SELECT
            customer_id,
            day,
            date_diff('day', lag(day) OVER (PARTITION BY customer_id ORDER BY day), day) AS gap
        FROM order_days
        WHERE day <= CAST($until AS DATE)
    ) AS gaps
    WHERE customer_id IN (SELECT customer_id FROM order_days WHERE day <= CAST($since AS DATE))
    GROUP BY customer_id
    ORDER BY customer_id
"""
"""Histories up to $until of the customers who had come by $since. `repeats` are days after the first; `last_days` its
distance from the last; `age_days` from $until: the definition of `lifetimes.utils.summary_data_from_transaction_data`.
"""

KNOWN = """
    SELECT
        customer_id,
        count(*) AS order_days,
        date_diff('day', min(day), max(day)) AS span_days,
        date_diff('day', min(day), CAST($as_of AS DATE)) AS age_days,
        coalesce(stddev_pop(ln(gap)), 0) AS deviation_log_gap,
        coalesce(arg_max(gap, day) FILTER (gap IS NOT NULL), 0) AS last_gap,
        coalesce(max(gap), 0) AS longest_gap,
        count(*) FILTER (day > CAST($as_of AS DATE) - 30) AS days_30,
        count(*) FILTER (day > CAST($as_of AS DATE) - 90) AS days_90,
        count(*) FILTER (day > CAST($as_of AS DATE) - 180) AS days_180,
        CAST(sum(amount) AS DOUBLE) AS amount,
        CAST(arg_max(amount, day) AS DOUBLE) AS last_amount
    FROM (
        SELECT
            customer_id,
            day,
            amount,
            date_diff('day', lag(day) OVER (PARTITION BY customer_id ORDER BY day), day) AS gap
        FROM order_days
        WHERE day <= CAST($as_of AS DATE)
    ) AS gaps
    GROUP BY customer_id
    ORDER BY customer_id
"""

_LATER = """
    SELECT
        known.customer_id,
        count(later.day) AS days,
        coalesce(CAST(sum(later.amount) AS DOUBLE), 0) AS amount
    FROM (SELECT DISTINCT customer_id FROM order_days WHERE day <= CAST($since AS DATE)) AS known
    LEFT JOIN order_days AS later
        ON
            known.customer_id = later.customer_id
            AND later.day > CAST($since AS DATE)
            AND later.day <= CAST($until AS DATE)
    GROUP BY known.customer_id
    ORDER BY known.customer_id
"""

_SAMPLE = """
    CREATE OR REPLACE TEMP TABLE {name} AS
    SELECT order_days.*
    FROM {source} AS order_days
    SEMI JOIN (
        SELECT customer_id
        FROM (SELECT DISTINCT customer_id FROM {source}) AS customers
        ORDER BY md5(CAST(customer_id AS VARCHAR) || $seed), customer_id
        LIMIT {most}
    ) AS drawn ON order_days.customer_id = drawn.customer_id
"""


@dataclass(frozen=True)
class Customers:
    """What is known of customers on a day; `ids` in the order of every array."""

    ids: pa.ChunkedArray
    known: Known

    @property
    def value_per_day(self) -> NDArray[np.float64]:
        """Mean money of an order day."""
        return self.known.amount / self.known.order_days


def read_customers(connection: duckdb.DuckDBPyConnection, as_of: date) -> Customers:
    """Every customer with an order by `as_of`, in order of id; nothing later than it is looked at."""
    table = connection.execute(KNOWN, {"as_of": as_of}).to_arrow_table()
    columns = {field.name: _floats(table[field.name]) for field in fields(Known)}
    return Customers(table["customer_id"], Known(**columns))


def read_histories(connection: duckdb.DuckDBPyConnection, since: date, until: date) -> Histories:
    """Histories up to `until` of the customers who had come by `since`, in order of id."""
    table = connection.execute(SUMMARY, {"since": since, "until": until}).to_arrow_table()
    repeats, last_days, age_days = (
        table[name].to_numpy().astype(np.int64) for name in ("repeats", "last_days", "age_days")
    )
    return group_histories(repeats, last_days, age_days, _floats(table["log_gaps"]))


def read_later(
    connection: duckdb.DuckDBPyConnection, since: date, until: date
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Order days and money after `since` up to `until`, of the customers who had come by `since`, in order of id."""
    table = connection.execute(_LATER, {"since": since, "until": until}).to_arrow_table()
    return _floats(table["days"]), _floats(table["amount"])


def read_span(connection: duckdb.DuckDBPyConnection) -> tuple[date, date] | None:
    """First and last day with an order; None without any."""
    ((first, last),) = connection.execute("SELECT min(day), max(day) FROM order_days").fetchall()
    return None if first is None else (first, last)


def draw_customers(connection: duckdb.DuckDBPyConnection, source: str, name: str, most: int, seed: int) -> None:
    """A temporary table `name` of the orders of at most so many customers of `source`, the same ones for a seed."""
    connection.execute(_SAMPLE.format(source=source, name=name, most=most), {"seed": str(seed)})


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return column.to_numpy().astype(np.float64)
