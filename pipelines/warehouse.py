"""The one place that opens DuckDB: the warehouse for its single writer, snapshots for readers.

A plain DuckDB file cannot be read while another process writes it, so nothing but a run opens the warehouse, and
readers open the resolved path of a published snapshot.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.errors import PermanentError, TransientError
from pipelines.settings import Settings

_held: set[Path] = set()


class NothingPublishedError(PermanentError):
    """The home has no snapshot yet."""


def connect(
    settings: Settings, database: Path | str = ":memory:", *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection with the memory limit, threads, spill folder and UTC that every query here runs under."""
    settings.tmp.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        str(database),
        read_only=read_only,
        config={
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "temp_directory": str(settings.tmp / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, for a step of the run that holds `single_writer`. Short-lived: closed before dbt starts."""
    settings.lake.mkdir(parents=True, exist_ok=True)
    try:
        connection = connect(settings, settings.warehouse)
    except duckdb.IOException as error:
        raise TransientError(
            f"Cannot open {settings.warehouse}: another process holds it ({error}). "
            "Wait for the other run, or see `omnilake status`."
        ) from error
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def single_writer(settings: Settings) -> Iterator[None]:
    """Hold the home's writer lock; it is released by the system even when the process is killed.

    Re-entrant within a process: a run holds it for its whole length, each of its steps for their own.
    Raises TransientError at once if another process holds it.
    """
    if settings.home in _held:
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = (settings.home / ".writer.lock").open("w")
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError(
                f"Another run is writing {settings.home}; one writer at a time. Try again when it has ended "
                "(`omnilake status` shows it)."
            ) from error
        _held.add(settings.home)
        yield
    finally:
        _held.discard(settings.home)
        lock.close()


def current_snapshot(settings: Settings) -> Path:
    """Resolved path of the published snapshot. Raises NothingPublishedError if nothing was published yet."""
    link = settings.snapshots / "current"
    if not link.exists():
        raise NothingPublishedError(f"Nothing is published in {settings.home} yet; run `omnilake run` first.")
    return link.resolve()


@contextmanager
def open_snapshot(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The current snapshot, read-only, by its resolved path."""
    connection = connect(settings, current_snapshot(settings), read_only=True)
    try:
        yield connection
    finally:
        connection.close()
