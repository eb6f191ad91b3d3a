"""The ledger, the quarantine and drift as tables of the warehouse, schema `ops`, for dbt.

Belongs here: copying them. Does not belong here: counting or judging (reconcile.py).
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipelines.feeds import ledger
from pipelines.feeds.quarantine import list_quarantine
from pipelines.settings import Settings

BATCH_SCHEMA = pa.schema(
    [
        ("batch_id", pa.string()),
        ("batch_seq", pa.int64()),
        ("run_id", pa.string()),
        ("channel", pa.string()),
        ("feed", pa.string()),
        ("file", pa.string()),
        ("content_hash", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("taken_at", pa.timestamp("us")),
        ("rows_received", pa.int64()),
        ("rows_accepted", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("identifiers_dropped", pa.int64()),
        ("kind", pa.string()),
    ]
)
DRIFT_SCHEMA = pa.schema(
    [
        ("feed", pa.string()),
        ("channel", pa.string()),
        ("column_name", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("batches", pa.int64()),
        ("rows", pa.int64()),
    ]
)


def load_ops(connection: duckdb.DuckDBPyConnection, settings: Settings, engine: sa.Engine) -> None:
    """Make `ops.batches`, `ops.quarantine` (columns of marts.quarantine) and `ops.drift` anew from the ledger."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ops")
    names = [field.name for field in fields(ledger.Batch) if field.name in BATCH_SCHEMA.names]
    batches = [{name: getattr(batch, name) for name in names} for batch in ledger.all_batches(engine)]
    _create(connection, "batches", pa.Table.from_pylist(batches, schema=BATCH_SCHEMA))
    _create(connection, "quarantine", list_quarantine(settings, engine))
    drift: list[dict[str, Any]] = ledger.all_drift(engine)
    _create(connection, "drift", pa.Table.from_pylist(drift, schema=DRIFT_SCHEMA))


def _create(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("ops_rows", rows)
    connection.execute(f"CREATE OR REPLACE TABLE ops.{name} AS SELECT * FROM ops_rows")
    connection.unregister("ops_rows")
