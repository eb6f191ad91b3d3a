"""The activation log: every delivery and every decision not to deliver, for the marts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines.activation.exchange import create, insert, read_chunks
from pipelines.activation.tables import deliveries

ACTIVATION_LOG = {
    "delivery_id": "VARCHAR",
    "destination": "VARCHAR",
    "operation": "VARCHAR",
    "customer_id": "VARCHAR",
    "subject": "VARCHAR",
    "decided_at": "TIMESTAMP",
    "state": "VARCHAR",
    "reason": "VARCHAR",
    "attempts": "BIGINT",
    "idempotency_key": "VARCHAR",
    "campaign_id": "VARCHAR",
    "wave": "VARCHAR",
    "decided_on": "DATE",
    "valid_to": "DATE",
    "next_attempt_at": "TIMESTAMP",
    "settled_at": "TIMESTAMP",
}
"""Instants are UTC; decided_on is the as-of date of the snapshot that led to the decision; next_attempt_at is empty
unless the delivery waits, settled_at until it has ended."""


def activation_log(engine: sa.Engine) -> Callable[[duckdb.DuckDBPyConnection, str], None]:
    """`marts.activation_log`: makes the table of that name, one row per delivery_id, columns of ACTIVATION_LOG."""

    def load(connection: duckdb.DuckDBPyConnection, table: str) -> None:
        create(connection, table, ACTIVATION_LOG, kind="TABLE")
        insert(connection, table, ACTIVATION_LOG, read_chunks(engine, ACTIVATION_LOG, deliveries))

    return load


def log_rows(engine: sa.Engine) -> Iterator[dict[str, Any]]:
    """The same rows as mappings."""
    for chunk in read_chunks(engine, ACTIVATION_LOG, deliveries):
        for row in chunk:
            yield dict(zip(ACTIVATION_LOG, row, strict=False))
