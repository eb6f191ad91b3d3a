"""A user's file of transactions as order days, and what of it could not be used.

Belongs here: reading dates and amounts as files have them. Does not belong here: reading CSV and Parquet (tables), and
what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.evaluation.tables import parse_map, read_table

FIELDS = ("customer_id", "date", "amount")
REQUIRED = ("customer_id", "date")

DAY_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y")
"""Forms of a day that can be read without a doubt; a time of day and a zone may follow. The day is the one written."""

DOUBTFUL_FORMS = ("%m/%d/%Y", "%d/%m/%Y")
"""Tried where none of the others fits, and taken if just one of them fits every row."""


@dataclass(frozen=True)
class Used:
    """Rows of the file, and those that are no orders: without a customer or a readable day, dated after today, or
    returns (a negative amount: its money is taken from the day's orders, where there are any)."""

    rows: int
    rows_unreadable: int
    rows_in_the_future: int
    rows_returned: int

    def as_dict(self) -> dict[str, int]:
        """For a row of figures."""
        return asdict(self)


@contextmanager
def order_days(data: Path, map_text: str | None, today: date) -> Iterator[tuple[duckdb.DuckDBPyConnection, Used]]:
    """A connection with `order_days` (customer_id, day, amount), one row per customer and day with an order.

    Raises ConfigurationError if the file lacks a column or its days can't be read, PermanentError if no row is left.
    """
    mapping = parse_map(map_text, FIELDS)
    table = read_table(data, mapping, FIELDS)
    for field in REQUIRED:
        if field not in table.column_names:
            raise ConfigurationError(f"--map: say which column of {data.name} is the {field}, as {field}=COLUMN.")
    if "amount" not in table.column_names:
        table = table.append_column("amount", [[None] * table.num_rows])
    with duckdb.connect() as connection:
        connection.register("file_rows", table)
        form = _form_of_days(connection, data)
        connection.execute(
            f"""
            CREATE TABLE transactions AS
            SELECT
                nullif(trim(customer_id), '') AS customer_id,
                CAST(try_strptime({_DAY}, ?) AS DATE) AS day,
                TRY_CAST(CAST(amount AS VARCHAR) AS DECIMAL(18, 4)) AS amount
            FROM file_rows
            """,
            [form],
        )
        ((rows, unreadable, future, returned),) = connection.execute(
            """
            SELECT
                count(*),
                count(*) FILTER (customer_id IS NULL OR day IS NULL),
                count(*) FILTER (customer_id IS NOT NULL AND day > $today),
                count(*) FILTER (customer_id IS NOT NULL AND day <= $today AND amount < 0)
            FROM transactions
            """,
            {"today": today},
        ).fetchall()
        connection.execute(
            """
            CREATE TABLE order_days AS
            SELECT
                customer_id,
                day,
                coalesce(sum(amount), 0) AS amount
            FROM transactions
            WHERE customer_id IS NOT NULL AND day <= $today
            GROUP BY customer_id, day
            HAVING count(*) FILTER (amount IS NULL OR amount >= 0) > 0
            """,
            {"today": today},
        )
        if not connection.execute("SELECT 1 FROM order_days LIMIT 1").fetchall():
            raise PermanentError(
                f"--data: no row of {data.name} is an order: of {rows:,} rows {unreadable:,} have no customer or no "
                f"readable date, {future:,} are dated after today, {returned:,} are returns."
            )
        yield connection, Used(rows, unreadable, future, returned)


_DAY = "regexp_extract(trim(CAST(date AS VARCHAR)), '^[^ T]*')"


def _form_of_days(connection: duckdb.DuckDBPyConnection, data: Path) -> str:
    """The form that the days are written in."""
    forms = (*DAY_FORMS, *DOUBTFUL_FORMS)
    counts = ", ".join(f"count(try_strptime({_DAY}, '{form}'))" for form in forms)
    ((rows, *read),) = connection.execute(f"SELECT count(nullif(trim(date), '')), {counts} FROM file_rows").fetchall()
    found = dict(zip(forms, read, strict=True))
    best = max(DAY_FORMS, key=lambda form: found[form])
    if found[best]:
        return best
    whole = [form for form in DOUBTFUL_FORMS if rows and found[form] == rows]
    if len(whole) == 1:
        return whole[0]
    if whole:
        raise ConfigurationError(
            f"--data: the dates of {data.name} could be day/month or month/day; write them as 2026-06-30."
        )
    raise ConfigurationError(f"--data: no date of {data.name} can be read; write them as 2026-06-30.")


def check_end(connection: duckdb.DuckDBPyConnection, calibration_end: date) -> tuple[date, date]:
    """First and last day of the orders. Raises ConfigurationError unless some are on either side of the end."""
    ((first, last),) = connection.execute("SELECT min(day), max(day) FROM order_days").fetchall()
    if not first <= calibration_end < last:
        raise ConfigurationError(
            f"--calibration-end is {calibration_end}; give a day from {first} on and before {last}, which are the "
            "first and the last day with an order."
        )
    return first, last
