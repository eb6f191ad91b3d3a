"""Tables of text as files: CSV or Parquet, written so that a file is there whole or not at all.

Belongs here: the two formats and durability. Does not belong here: what the columns mean (files).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

FORMATS = ("csv", "parquet")

Row = Sequence[str | None]


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Row], *, private: bool = False) -> None:
    """Write the table in the format that the path's ending names, as `.part`, flush it to disk and rename it.

    private: readable for its owner alone.
    """
    content = _csv(header, rows) if path.suffix == ".csv" else _parquet(header, rows)
    part = path.with_name(path.name + ".part")
    with open(part, "wb", opener=_private if private else None) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself must survive a power cut, since its outcome is recorded next
    finally:
        os.close(directory)


def read_rows(path: Path) -> tuple[list[str], list[list[str | None]]]:
    """Header and rows of such a file; an empty cell of CSV is an empty text."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        return header, [list(row) for row in rows]
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    columns = [column.to_pylist() for column in table.columns]
    return table.column_names, [list(row) for row in zip(*columns, strict=True)]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _csv(header: Sequence[str], rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def _parquet(header: Sequence[str], rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(header, columns, strict=True)})
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()
