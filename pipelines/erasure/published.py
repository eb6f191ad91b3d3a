"""The warehouse and the snapshots, written anew without a person.

Belongs here: which tables stay, and swapping files. A DuckDB file keeps deleted rows in its free blocks, so nothing is
deleted in place. Does not belong here: recomputing marts; the next run does that from the raw lake.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import duckdb

from pipelines.erasure.traces import FACTS, Traces
from pipelines.feeds.sql import quoted
from pipelines.settings import Settings
from pipelines.snapshots import Content, new_snapshot_id, rewrite
from pipelines.warehouse import NothingPublishedError, connect, current_snapshot, open_warehouse

Columns = dict[tuple[str, str], list[tuple[str, str]]]
"""Names and types of columns by (schema, table)."""


def rewrite_warehouse(settings: Settings, traces: Traces) -> None:
    """Keep what only the warehouse knows: marts (their history), the log of merges, who was which customer.

    Everything else is made anew by the next run, which rebuilds identity as its watermarks are gone. The new file takes
    the old one's place at once.
    """
    if not settings.warehouse.exists():
        return
    with open_warehouse(settings) as connection:
        connection.execute("CHECKPOINT")  # what a killed process left in the log beside the file
    part = settings.warehouse.with_name(f"{settings.warehouse.name}.part")
    for leftover in (part, part.with_name(f"{part.name}.wal")):
        leftover.unlink(missing_ok=True)
    connection = connect(settings, part)
    try:
        connection.execute(f"ATTACH '{settings.warehouse}' AS old (READ_ONLY)")
        tables = _tables(connection, "old")
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE SCHEMA identity")
        for (schema, table), columns in tables.items():
            place, source = f"{schema}.{quoted(table)}", f"old.{schema}.{quoted(table)}"
            if schema == "marts":
                select = traces.select(table, source, columns, keep=table in FACTS)
            elif schema == "identity":
                select = _identity_select(table, source, columns, traces)
            else:
                continue
            connection.execute(f"CREATE TABLE {place} AS {select}")
        connection.execute("DETACH old")
    finally:
        connection.close()
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(settings.warehouse)
    settings.warehouse.with_name(f"{settings.warehouse.name}.wal").unlink(missing_ok=True)


def rewrite_snapshots(settings: Settings, traces: Traces, tables: Mapping[str, Content]) -> str | None:
    """Publish the current snapshot without the person, and delete every older one; the new one's id, None if nothing
    was published yet.

    tables: marts that are made anew instead.
    """
    try:
        current_snapshot(settings)
    except NothingPublishedError:
        return None
    snapshot_id = new_snapshot_id()

    def select(table: str, source: str, columns: list[tuple[str, str]]) -> str:
        return traces.select(table, source, columns, keep=table in FACTS)

    rewrite(settings, snapshot_id, select, tables)
    return snapshot_id


def _identity_select(table: str, source: str, columns: list[tuple[str, str]], traces: Traces) -> str:
    """Customers of nodes and how nodes are known stay, for the log of merges; the rest of the state is made anew."""
    theirs = f"SELECT node_no FROM old.identity.assignment WHERE customer_id IN ({_listed(traces.customers)})"
    if table in ("assignment", "memberships", "guest_nodes"):
        return f"SELECT * FROM {source} WHERE node_no NOT IN ({theirs})"
    if table == "merges":
        return traces.select(table, source, columns, keep=False)
    return f"SELECT * FROM {source} LIMIT 0"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "NULL"


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> Columns:
    rows = connection.execute(
        """
        SELECT columns.schema_name, columns.table_name, columns.column_name, columns.data_type
        FROM duckdb_columns() AS columns
        INNER JOIN duckdb_tables() AS tables
            ON columns.database_name = tables.database_name AND columns.schema_name = tables.schema_name
                AND columns.table_name = tables.table_name
        WHERE columns.database_name = ?
        ORDER BY columns.schema_name, columns.table_name, columns.column_index
        """,
        [database],
    ).fetchall()
    tables: Columns = {}
    for schema, table, column, kind in rows:
        tables.setdefault((schema, table), []).append((column, kind))
    return tables
