"""Accepted rows on their way to the raw lake: Parquet parts, each written while the next rows are being judged.

Belongs here: the columns' order and types, the parts' names, when they are durable. Does not belong here: which rows
are accepted (intake.py), and when a part gets its final name (parts.py).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from pipelines.feeds.contract import Feed
from pipelines.feeds.parts import part_path, sync
from pipelines.feeds.sql import quoted


def raw_schema(connection: duckdb.DuckDBPyConnection, feed: Feed) -> pa.Schema:
    """Names and types of the feed's raw columns, in order."""
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in feed.raw_columns().items())
    return connection.execute(f"SELECT {columns} LIMIT 0").to_arrow_table().schema


class RawWriter:
    """Writes the parts of one load under their `.part` names; `names` are the final ones."""

    def __init__(self, folder: Path, load_id: str, schema: pa.Schema) -> None:
        self.names: list[str] = []
        self._folder, self._load_id, self._schema = folder, load_id, schema
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def add(self, rows: pa.Table) -> None:
        """Write these rows as a part. Columns of the schema that they lack are null; others are left out.

        One part is on its way at a time: waits for the one before, and raises what went wrong with it.
        """
        self._wait()
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = ThreadPoolExecutor(max_workers=1)
        name = f"{self._load_id}-{len(self.names) + 1:04d}.parquet"
        self.names.append(name)
        columns = {
            field.name: rows[field.name] if field.name in rows.column_names else pa.nulls(len(rows), field.type)
            for field in self._schema
        }
        self._pending = self._writer.submit(write_part, pa.table(columns), part_path(self._folder, name))

    def close(self) -> None:
        """Every part is durable when this returns."""
        try:
            self._wait()
        finally:
            if self._writer is not None:
                self._writer.shutdown()

    def discard(self) -> None:
        """Remove the parts."""
        if self._writer is not None:
            self._writer.shutdown()
        for name in self.names:
            part_path(self._folder, name).unlink(missing_ok=True)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def write_part(table: pa.Table, part: Path) -> None:
    """Write rows as a raw part, durably."""
    pyarrow.parquet.write_table(table, part, store_decimal_as_integer=True, use_dictionary=_texts(table.schema))
    sync(part)


def _texts(schema: pa.Schema) -> list[str]:
    """Columns whose values repeat: texts, also in lists and in what whole files share. Times and numbers hardly do."""
    paths = []
    for field in schema:
        kind = field.type
        if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
            paths.append(field.name)
        elif pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
            element = [kind.value_type.field(position) for position in range(kind.value_type.num_fields)]
            paths += [f"{field.name}.list.element.{child.name}" for child in element if pa.types.is_string(child.type)]
        elif pa.types.is_list(kind):
            paths.append(f"{field.name}.list.element")
    return paths
