"""Read-only SQL on the published snapshot, for analysts and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from pipelines.errors import PermanentError
from pipelines.settings import Settings
from pipelines.warehouse import open_snapshot

FETCHED_ROWS = 10_000


@contextmanager
def stream_query(settings: Settings, sql: str) -> Iterator[tuple[Sequence[str], Iterator[Sequence[Any]]]]:
    """Column names and rows of one statement. The schema `marts` is searched first, so its name may be left out.

    The statement can neither change the snapshot nor reach files or the network.
    Raises PermanentError with DuckDB's words if the statement is wrong.
    """
    with open_snapshot(settings) as connection:
        connection.execute("SET search_path = 'marts'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise PermanentError("The statement returns no rows; query reads, it does not change anything.")
            yield [name for name, *_ in cursor.description], _rows(cursor)
        except duckdb.Error as error:
            raise PermanentError(f"Cannot run the query: {str(error).splitlines()[0]}") from error


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while batch := cursor.fetchmany(FETCHED_ROWS):
        yield from batch
