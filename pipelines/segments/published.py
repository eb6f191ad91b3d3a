"""Saved segments in the marts: their members and definitions beside those that RFM makes.

Belongs here: compiling against a snapshot, and the rows a publish adds. A segment whose definition no longer fits the
marts (a column that is gone) is left out with a word, and keeps no run from ending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.errors import ConfigurationError
from pipelines.segments.catalogue import CUSTOMER_TABLES, Column, columns_of
from pipelines.segments.compiler import Compiled, compile_segment
from pipelines.segments.definition import check
from pipelines.segments.saved import SavedSegment

Content = Callable[[duckdb.DuckDBPyConnection, str], None]


def columns_in(connection: duckdb.DuckDBPyConnection) -> dict[str, Column]:
    """The columns of a customer that this connection's schema `marts` has."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
    present = {name for (name,) in rows}
    schemas: dict[str, pa.Schema] = {
        table: connection.execute(f"FROM marts.{table} LIMIT 0").to_arrow_table().schema
        for table in CUSTOMER_TABLES
        if table in present
    }
    return columns_of(schemas)


def names_taken(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of the segments that RFM makes, which no saved one can have."""
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = 'segments'"
    ).fetchall()
    if ("kind",) not in found:
        return frozenset()
    rows = connection.execute("SELECT segment FROM marts.segments WHERE kind <> 'saved'").fetchall()
    return frozenset(name for (name,) in rows)


def compile_tree(connection: duckdb.DuckDBPyConnection, tree: Any, as_of: date) -> Compiled:
    """A definition as SQL over this connection's schema `marts`. Raises ConfigurationError if it doesn't fit it."""
    columns = columns_in(connection)
    return compile_segment(check(tree, columns), columns, as_of, "marts")


def with_saved(segments: Sequence[SavedSegment], say: Callable[[str], None]) -> dict[str, Content]:
    """What `snapshots.publish` is given, so that marts.segments and segment_members hold the saved segments too."""

    added: list[SavedSegment] = []

    def add_members(connection: duckdb.DuckDBPyConnection, target: str) -> None:
        as_of = _as_of(connection)
        taken = {name for (name,) in connection.execute("SELECT segment FROM marts.segments").fetchall()}
        for segment in segments:
            if segment.name in taken:
                say(f"segment {segment.name}: left out, segments.yml has one of that name")
                continue
            try:
                compiled = compile_tree(connection, segment.tree, as_of)
                connection.execute(
                    f"INSERT INTO {target} BY NAME SELECT $segment AS segment, customer_id, $since::DATE AS since "
                    f"FROM ({compiled.sql})",
                    compiled.parameters | {"segment": segment.name, "since": as_of},
                )
                added.append(segment)
            except (ConfigurationError, duckdb.Error) as error:
                say(f"segment {segment.name}: left out, {str(error).splitlines()[0]}")

    def add_definitions(connection: duckdb.DuckDBPyConnection, target: str) -> None:
        for segment in added:
            connection.execute(
                f"""
                INSERT INTO {target} BY NAME
                SELECT
                    $segment AS segment,
                    'saved' AS kind,
                    (SELECT coalesce(max(position), 0) + 1 FROM {target}) AS position,
                    $segment AS name_zh,
                    $segment AS name_en,
                    $definition AS definition_zh,
                    $definition AS definition_en
                """,
                {"segment": segment.name, "definition": f"v{segment.version} {segment.definition}"},
            )

    return {"segment_members": add_members, "segments": add_definitions} if segments else {}


def _as_of(connection: duckdb.DuckDBPyConnection) -> date:
    found = connection.execute("SELECT max(as_of)::DATE FROM marts.run_settings").fetchone()
    return found[0] if found and found[0] else date.min
