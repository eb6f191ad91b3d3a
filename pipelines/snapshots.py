"""Publishing: a snapshot file written whole, then one atomic swap of the `current` link.

Readers hold the resolved path, so a publish disturbs nobody; the last few snapshots stay for them.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb

from pipelines.lookup_tables import create_lookup_tables
from pipelines.settings import Settings
from pipelines.warehouse import connect, current_snapshot

if TYPE_CHECKING:
    import pyarrow as pa

Content: TypeAlias = "pa.Table | Callable[[duckdb.DuckDBPyConnection, str], None]"
"""The rows of a mart, or what makes the table of that name."""

KEPT_SNAPSHOTS = 5


def new_snapshot_id() -> str:
    """Sorts by time of creation."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def publish(settings: Settings, snapshot_id: str, tables: Mapping[str, Content]) -> None:
    """Copy the warehouse's schema `marts` into a new snapshot, with the tables of look-ups, and make it current.

    tables: further marts that do not live in the warehouse, by name: the rows, or what makes the table of that name.
    """
    # Contexts leave in reverse: the file is closed before it gets its final name.
    with _new_snapshot(settings, snapshot_id) as part, connect(settings, part) as connection:
        connection.execute(f"ATTACH '{settings.warehouse}' AS warehouse (READ_ONLY)")
        connection.execute("CREATE SCHEMA marts")
        names = _tables_of(connection, "warehouse")
        for name in names:
            connection.execute(f'CREATE TABLE marts."{name}" AS FROM warehouse.marts."{name}"')
        connection.execute("DETACH warehouse")
        _replace_tables(connection, tables)
        create_lookup_tables(connection)
        _write_parquet(settings, connection, sorted({*names, *tables}))


def refresh(settings: Settings, snapshot_id: str, tables: Mapping[str, Content]) -> None:
    """Publish a copy of the current snapshot in which the given marts are replaced."""
    source = current_snapshot(settings)
    with _new_snapshot(settings, snapshot_id) as part:
        shutil.copyfile(source, part)
        with connect(settings, part) as connection:
            _replace_tables(connection, tables)
            _write_parquet(settings, connection, list(tables))


def rewrite(
    settings: Settings,
    snapshot_id: str,
    select: Callable[[str, str, list[tuple[str, str]]], str],
    tables: Mapping[str, Content],
) -> None:
    """Publish the current snapshot anew, each mart as `select` says, and delete every other snapshot.

    select: given a mart's name, where it lies and its columns (name, type), the SQL of its rows. Readers that hold an
    older snapshot open keep it until they let go.
    """
    source = current_snapshot(settings)
    with _new_snapshot(settings, snapshot_id) as part, connect(settings, part) as connection:
        connection.execute(f"ATTACH '{source}' AS old (READ_ONLY)")
        connection.execute("CREATE SCHEMA marts")
        names = _tables_of(connection, "old")
        for name in names:
            columns = connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'old' "
                "AND schema_name = 'marts' AND table_name = ? ORDER BY column_index",
                [name],
            ).fetchall()
            query = select(name, f'old.marts."{name}"', columns)
            connection.execute(f'CREATE TABLE marts."{name}" AS {query}')
        connection.execute("DETACH old")
        _replace_tables(connection, tables)
        create_lookup_tables(connection)
        _write_parquet(settings, connection, sorted({*names, *tables}))
    for other in settings.snapshots.glob("marts-*.duckdb*"):
        if other.name != f"marts-{snapshot_id}.duckdb":
            other.unlink()


@contextmanager
def _new_snapshot(settings: Settings, snapshot_id: str) -> Iterator[Path]:
    settings.snapshots.mkdir(parents=True, exist_ok=True)
    for leftover in settings.snapshots.glob("*.part*"):  # of a run that was killed; the caller holds the writer lock
        leftover.unlink()
    part = settings.snapshots / f"marts-{snapshot_id}.duckdb.part"
    yield part
    final = part.with_suffix("")
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.rename(final)
    link = settings.snapshots / "current.part"
    link.symlink_to(final.name)
    link.replace(settings.snapshots / "current")
    # By age, not by name: ids of one second come in any order.
    kept = sorted(settings.snapshots.glob("marts-*.duckdb"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for old in kept[:-KEPT_SNAPSHOTS]:
        if old != final:
            old.unlink()


def _tables_of(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' AND database_name = ? ORDER BY table_name",
        [database],
    ).fetchall()
    return [name for (name,) in rows]


def _replace_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Content]) -> None:
    for name, content in tables.items():
        if callable(content):
            content(connection, f'marts."{name}"')
            continue
        connection.register("replacement", content)
        connection.execute(f'CREATE OR REPLACE TABLE marts."{name}" AS FROM replacement')
        connection.unregister("replacement")


def _write_parquet(settings: Settings, connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    for name in names:
        folder = settings.marts / name
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.parquet.part"
        connection.execute(f"COPY marts.\"{name}\" TO '{part}' (FORMAT parquet, COMPRESSION zstd)")
        part.rename(folder / f"{name}.parquet")
