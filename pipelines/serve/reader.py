"""Reading the current snapshot for many callers: opened once, swapped when a newer one is published.

Belongs here: which file is current, its connection, closing the old one when its last reader has gone. Does not belong
here: what is asked (lookups).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from pipelines.errors import PermanentError, TransientError
from pipelines.lookup_tables import lookup_key
from pipelines.nearby import Neighbour, Store, stores_near
from pipelines.serve.stock import StockCache
from pipelines.settings import Settings
from pipelines.warehouse import connect, current_snapshot

READER_MEMORY = "512MB"
KEPT_NAMES = 200_000
"""Names of articles kept at most."""


@dataclass
class _Open:
    """An open snapshot. tables: the marts it has. stores: those that are open, by id. near and names: what was asked
    before, of stores and of articles."""

    path: Path
    connection: duckdb.DuckDBPyConnection
    published_at: datetime
    tables: frozenset[str]
    stores: dict[str, Store]
    stock: StockCache
    near: dict[str, list[Neighbour]] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)
    readers: int = 0
    is_retired: bool = False


@dataclass(frozen=True)
class Reading:
    """One caller's view: every query of it sees the same snapshot."""

    _held: _Open = field(repr=False)
    _cursor: duckdb.DuckDBPyConnection = field(repr=False)

    @property
    def snapshot_id(self) -> str:
        return self._held.path.stem.removeprefix("marts-")

    @property
    def published_at(self) -> datetime:
        """UTC."""
        return self._held.published_at

    @property
    def tables(self) -> frozenset[str]:
        """The marts that the snapshot has."""
        return self._held.tables

    def rows(self, sql: str, *parameters: object) -> list[tuple]:
        """All rows of a query."""
        return self._cursor.execute(sql, parameters).fetchall()

    def near(self, store_id: str) -> list[Neighbour]:
        """The store and those near it."""
        known = self._held.near.get(store_id)
        if known is None:
            known = stores_near(self._held.stores, store_id)
            if store_id in self._held.stores:  # whatever callers may name must not fill the memory
                self._held.near[store_id] = known
        return known

    def names(self, skus: Sequence[str]) -> dict[str, str | None]:
        """What the articles are called; None where the catalogue doesn't say."""
        kept = self._held.names
        known = {sku: kept[sku] for sku in skus if sku in kept}
        missing = [sku for sku in skus if sku not in known]
        if missing:
            keys = ", ".join("?::UBIGINT" for _ in missing)
            query = f"SELECT sku, name FROM lookup.products WHERE key IN ({keys})"
            found = dict(self.rows(query, *(lookup_key(sku) for sku in missing)))
            fresh = {sku: found.get(sku) for sku in missing}
            known |= fresh
            if len(kept) < KEPT_NAMES:
                kept.update(fresh)
        return known

    def available(self, skus: Sequence[str], store_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Units above 0 by sku and store."""
        return self._held.stock.available(self._arrays, skus, store_ids)

    def _arrays(self, sql: str, parameters: Sequence[int]) -> Mapping[str, np.ndarray]:
        return self._cursor.execute(sql, parameters).fetchnumpy()


class SnapshotReader:
    """The current snapshot, for threads."""

    def __init__(self, settings: Settings) -> None:
        # One thread a query: many callers share the cores, and a point query has nothing to divide.
        self._settings = replace(settings, memory_limit=READER_MEMORY, threads=1)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._open: _Open | None = None

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """A cursor on the newest snapshot. Raises PermanentError if nothing was published yet, TransientError if the
        snapshot can't be opened."""
        held = self._acquire(current_snapshot(self._settings))
        cursor = held.connection.cursor()
        try:
            yield Reading(held, cursor)
        finally:
            cursor.close()
            self._release(held)

    def close(self) -> None:
        """Close what is open once its readers have gone."""
        with self._lock:
            held, self._open = self._open, None
            self._retire(held)

    def _acquire(self, path: Path) -> _Open:
        held = self._hold(path)
        if held is not None:
            return held
        if not self._opening.acquire(blocking=False):
            # Somebody opens it already: the one before answers meanwhile.
            held = self._hold(None)
            if held is not None:
                return held
            self._opening.acquire()
        try:
            held = self._hold(path)
            if held is not None:
                return held
            fresh = self._opened(path)
            with self._lock:
                self._retire(self._open)
                self._open = fresh
                fresh.readers += 1
                return fresh
        finally:
            self._opening.release()

    def _hold(self, path: Path | None) -> _Open | None:
        """What is open, if it is that path (None: whichever it is)."""
        with self._lock:
            if self._open is not None and path in (None, self._open.path):
                self._open.readers += 1
                return self._open
        return None

    def _opened(self, path: Path) -> _Open:
        try:
            published_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            connection = connect(self._settings, path, read_only=True)
        except (duckdb.Error, OSError) as error:
            raise TransientError(f"Snapshot {path.name} can't be opened; see `omnilake status`.") from error
        try:
            numbers = dict(connection.execute("SELECT store_id, store_no FROM lookup.stock_stores").fetchall())
            stock = StockCache(numbers)
            stock.load(lambda sql, parameters: connection.execute(sql, parameters).fetchnumpy())
            names = dict(connection.execute("SELECT sku, name FROM lookup.products LIMIT ?", [KEPT_NAMES]).fetchall())
            return _Open(path, connection, published_at, _marts(connection), _stores(connection), stock, names=names)
        except duckdb.Error as error:
            connection.close()
            raise PermanentError(
                f"Snapshot {path.name} has not the tables for look-ups: another version published it. "
                "Run `omnilake run` again."
            ) from error

    def _release(self, held: _Open) -> None:
        with self._lock:
            held.readers -= 1
            if held.is_retired and not held.readers:
                held.connection.close()

    @staticmethod
    def _retire(held: _Open | None) -> None:
        if held is not None:
            held.is_retired = True
            if not held.readers:
                held.connection.close()


def _marts(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
    return frozenset(name for (name,) in found)


def _stores(connection: duckdb.DuckDBPyConnection) -> dict[str, Store]:
    present = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = 'stores'"
    ).fetchall()
    wanted = ("store_id", "kind", "city", "latitude", "longitude")
    if not {*wanted, "closed_on"} <= {name for (name,) in present}:
        return {}
    rows = connection.execute(f"SELECT {', '.join(wanted)} FROM marts.stores WHERE closed_on IS NULL").fetchall()
    return {row[0]: Store(*row) for row in rows}
