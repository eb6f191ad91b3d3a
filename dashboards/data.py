"""The only reader: published snapshots, read-only, one short connection a query, results cached per snapshot.

Belongs here: finding the snapshot, running a query under a scope, caching, and the faults of both. Does not belong
here: the SQL of a page (`dashboards/queries`) and who may see what (`dashboards/access`).

A page reads the *resolved* path of `HOME/lake/snapshots/current`. A run that publishes swaps the link and may remove
the old file; cached results of the old file stay valid for the page that is being drawn, and a query that finds its
file gone raises `SnapshotGoneError`, upon which the page is drawn again from the new one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import streamlit as st

from dashboards.access import Scope, apply_scope, tables_named
from pipelines.settings import Settings
from pipelines.warehouse import connect

READER_MEMORY = "512MB"
CACHED_RESULTS = 512


class DashboardDataError(Exception):
    """A fault of reading a snapshot that a page has words for."""


class NoSnapshotError(DashboardDataError):
    """Nothing was published in this home yet."""


class SnapshotGoneError(DashboardDataError):
    """The snapshot was removed while the page was being drawn: look for the current one and draw again."""


class SnapshotUnreadableError(DashboardDataError):
    """The file exists and cannot be read as a snapshot: broken, foreign, or without permission."""


class MissingDataError(DashboardDataError):
    """A table or column that this snapshot does not have, as it was made by an older version. `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Snapshot:
    """One published file. `version` changes whenever the content may have; `published_at` is UTC."""

    path: Path
    version: str
    published_at: datetime
    is_fallback: bool = False

    @property
    def id(self) -> str:
        return self.path.stem.removeprefix("marts-")


def find_snapshot(settings: Settings) -> Snapshot:
    """The snapshot that `current` names; where the link dangles, the newest one that is left.

    Raises NoSnapshotError if there is none at all.
    """
    current = _snapshot(settings.snapshots / "current")
    if current is not None:
        return current
    left = [found for path in settings.snapshots.glob("marts-*.duckdb") if (found := _snapshot(path)) is not None]
    if not left:
        raise NoSnapshotError(str(settings.home))
    return replace(max(left, key=lambda found: found.published_at), is_fallback=True)


def _snapshot(link: Path) -> Snapshot | None:
    try:
        path = link.resolve(strict=True)
        status = path.stat()
    except OSError:
        return None
    version = f"{path}|{status.st_ino}|{status.st_mtime_ns}|{status.st_size}"
    return Snapshot(path, version, datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None))


@dataclass(frozen=True)
class Reader:
    """Queries of one page run: one snapshot, one scope. Table names in SQL are bare (`sales_daily`)."""

    settings: Settings
    snapshot: Snapshot
    scope: Scope

    def table(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The result as Arrow, decimals kept. `$name` in the SQL is bound from `parameters`; unused ones are left out.

        Raises MissingDataError, SnapshotGoneError or SnapshotUnreadableError; ForbiddenQueryError for SQL that names
        more than bare tables.
        """
        named = set(re.findall(r"\$(\w+)", sql))
        bound = tuple(sorted((name, value) for name, value in (parameters or {}).items() if name in named))
        return _fetch(self.snapshot.version, str(self.snapshot.path), self.scope.stores, sql, bound, self.settings)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The result as one dict a row."""
        return self.table(sql, parameters).to_pylist()

    def tables(self) -> frozenset[str]:
        """Names of the tables this snapshot has."""
        return _tables(self.snapshot.version, str(self.snapshot.path), self.settings)


@st.cache_data(max_entries=CACHED_RESULTS, show_spinner=False)
def _fetch(
    version: str,
    path: str,
    stores: tuple[str, ...] | None,
    sql: str,
    bound: tuple[tuple[str, Any], ...],
    _settings: Settings,
) -> pa.Table:
    # `version` is in the key alone: a file of the same path with other content is another result.
    del version
    try:
        with _attached(_settings, path) as (connection, database):
            apply_scope(connection, database, Scope(stores), tables_named(connection, sql))
            return connection.execute(sql, dict(bound)).to_arrow_table()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise MissingDataError(_missing_name(str(error))) from error


@st.cache_data(max_entries=4, show_spinner=False)
def _tables(version: str, path: str, _settings: Settings) -> frozenset[str]:
    del version
    with _attached(_settings, path) as (connection, database):
        found = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'marts'", [database]
        ).fetchall()
        return frozenset(name for (name,) in found)


@contextmanager
def _attached(settings: Settings, path: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A short connection to nothing, with the snapshot attached for reading under a name that can't be guessed.

    Raises SnapshotGoneError or SnapshotUnreadableError; a catalog or binder fault is the query's own.
    """
    database = f"snapshot_{secrets.token_hex(16)}"
    try:
        connection = connect(replace(settings, memory_limit=READER_MEMORY))
        try:
            # Else a table this snapshot lacks would be sought among the Python variables of this module.
            connection.execute("SET python_enable_replacements = false")
            quoted = path.replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS {database} (READ_ONLY)")
            yield connection, database
        finally:
            connection.close()
    except (duckdb.CatalogException, duckdb.BinderException):
        raise
    except (duckdb.Error, OSError) as error:
        if not Path(path).exists():
            raise SnapshotGoneError(path) from error
        raise SnapshotUnreadableError(f"{Path(path).name}: {str(error).splitlines()[0]}") from error


def _missing_name(message: str) -> str:
    found = re.search(r'Table with name (\S+) does not exist|(?:column|Column) "?([\w.]+)"?', message)
    if found is None:
        return message.splitlines()[0]
    return str(found[1] or found[2])
