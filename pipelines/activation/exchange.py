"""Rows between the state database and DuckDB, as JSON by the chunk.

Belongs here: moving rows. Neither Arrow nor pandas takes part: the process that sends would carry both for nothing
(100 MB). Does not belong here: what the rows mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import sqlalchemy as sa

CHUNK = 5_000

Columns = Mapping[str, str]
"""Names to DuckDB types."""


@contextmanager
def without_pandas() -> Iterator[None]:
    """Within: DuckDB doesn't import pandas, which it does at the first parameter only to recognise pandas.NA."""
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pandas"]


def create(connection: duckdb.DuckDBPyConnection, name: str, columns: Columns, kind: str = "TEMP TABLE") -> None:
    """An empty table in the place of an earlier one."""
    defined = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
    connection.execute(f"CREATE OR REPLACE {kind} {name} ({defined})")


def insert(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Columns, chunks: Iterable[Sequence[Sequence[Any]]]
) -> None:
    """Append rows whose values stand in the order of `columns`."""
    shape = json.dumps([dict(columns)])
    statement = f"INSERT INTO {table} SELECT unnest(from_json($rows, '{shape}'), max_depth := 2)"
    for chunk in chunks:
        rows = [dict(zip(columns, row, strict=False)) for row in chunk]
        connection.execute(statement, {"rows": json.dumps(rows, ensure_ascii=False, default=str)})


def copy_into(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    name: str,
    columns: Columns,
    table: sa.Table,
    *conditions: Any,
) -> None:
    """Make the DuckDB temporary table `name` of the rows of a state table that meet the conditions."""
    create(connection, name, columns)
    insert(connection, name, columns, read_chunks(engine, columns, table, *conditions))


def read_chunks(engine: sa.Engine, columns: Columns, table: sa.Table, *conditions: Any) -> Iterator[list[Any]]:
    """The rows of a state table, at most some thousand at a time, in the order of its key; further columns follow.

    Read by key range in short transactions, so that a long read never keeps other writers of the state waiting.
    """
    key = list(table.primary_key.columns)
    # The key comes along behind the columns asked for, which need not hold all of it.
    wanted = [*(table.c[name] for name in columns), *(column.label(f"key_{column.name}") for column in key)]
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(*wanted).where(*conditions).order_by(*key).limit(CHUNK)
        if after is not None:
            statement = statement.where(sa.tuple_(*key) > sa.tuple_(*map(sa.literal, after)))
        with engine.begin() as transaction:
            rows = list(transaction.execute(statement).all())
        if rows:
            yield rows
        if len(rows) < CHUNK:
            return
        after = tuple(rows[-1][len(columns) :])


def fetch_chunks(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a query as mappings, some thousand at a time. The connection is busy until the last is taken."""
    result = connection.execute(query, dict(parameters or {}))
    names = [column[0] for column in result.description or []]
    while rows := result.fetchmany(CHUNK):
        yield [dict(zip(names, row, strict=True)) for row in rows]
