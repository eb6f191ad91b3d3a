"""Writing exports: Arrow batches to CSV, Parquet or XLSX, whole or not at all.

CSV: UTF-8 with a byte order mark, without which Excel takes Chinese for Latin; RFC 4180 quoting. People open these
files in spreadsheets, so a cell that starts with = + - @ TAB or CR and is no number gets a leading apostrophe, which
keeps it from running as a formula. XLSX cells are written as text or numbers, never as formulas, and need none; rows
beyond what a sheet can have go on in a further one. The same rows give the same bytes in every format at any time.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet
import xlsxwriter

from pipelines.errors import ConfigurationError, PermanentError

XLSX_ROWS = 1_048_576
"""The most rows a sheet can have, its header included."""

_WRITTEN = datetime.datetime(2000, 1, 1)
_FORMULA_START = r"^[=+\-@\t\r]"
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"


class Writer(Protocol):
    """Takes batches of one schema."""

    def write(self, batch: pa.Table) -> None: ...

    def close(self) -> None: ...


@contextmanager
def open_writer(form: str, path: Path, schema: pa.Schema, *, private: bool) -> Iterator[Writer]:
    """A writer that leaves `path` complete, or as it was if anything fails. private: readable by its owner alone.

    Raises ConfigurationError if the folder is missing or not writable.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644))
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}: {error.strerror}; name an existing folder of yours.") from error
    try:
        writer = WRITERS[form](part, schema)
        try:
            yield writer
        finally:
            writer.close()
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise PermanentError(f"Cannot write {path}: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class _CsvWriter:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._connection = duckdb.connect(config={"threads": 1})  # one thread aggregates in the order of the rows
        self._file = path.open("w", encoding="utf-8", newline="")
        cells = ", ".join(_as_cell(field) for field in schema)
        # A row of one empty cell would be a blank line, which readers skip.
        line = f"concat_ws(',', {cells})" if len(schema) > 1 else f"coalesce(nullif({cells}, ''), '\"\"')"
        self._query = f"SELECT string_agg({line}, chr(10)) FROM batch"
        self._file.write("\ufeff" + ",".join(schema.names) + "\n")

    def write(self, batch: pa.Table) -> None:
        if batch.num_rows:
            self._connection.register("batch", batch)
            self._file.write(self._connection.execute(self._query).fetchall()[0][0] + "\n")
            self._connection.unregister("batch")

    def close(self) -> None:
        self._file.close()
        self._connection.close()


def _as_cell(field: pa.Field) -> str:
    """SQL of one cell as it stands in the file: neutralised, quoted where it must be, empty for null."""
    name = f'"{field.name}"'
    text = f"array_to_string({name}, ';')" if pa.types.is_list(field.type) else f"CAST({name} AS VARCHAR)"
    safe = (
        f"CASE WHEN regexp_matches({text}, '{_FORMULA_START}') AND NOT regexp_full_match({text}, '{_NUMBER}') "
        f"THEN chr(39) || {text} ELSE {text} END"
    )
    quoted = f"chr(34) || replace({safe}, chr(34), chr(34) || chr(34)) || chr(34)"
    return f"coalesce(CASE WHEN regexp_matches({safe}, '[\",\\r\\n]') THEN {quoted} ELSE {safe} END, '')"


class _ParquetWriter:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pa.parquet.ParquetWriter(path, schema, compression="zstd")

    def write(self, batch: pa.Table) -> None:
        self._writer.write_table(batch)

    def close(self) -> None:
        self._writer.close()


class _XlsxWriter:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        # constant_memory flushes each row to disk, so that a full sheet doesn't have to fit into memory; beside the
        # export, not in the system's shared temporary folder, since it may be personal data.
        options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd", "tmpdir": str(path.parent)}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._book.set_properties({"created": _WRITTEN})
        self._names = schema.names
        self._start_sheet()

    def _start_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        for column, name in enumerate(self._names):
            self._sheet.write_string(0, column, name)
        self._row = 1

    def write(self, batch: pa.Table) -> None:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if self._row == XLSX_ROWS:
                self._start_sheet()
            for column, value in enumerate(row):
                self._cell(column, value)
            self._row += 1

    def _cell(self, column: int, value: Any) -> None:
        match value:
            case None:
                pass
            case bool():
                self._sheet.write_boolean(self._row, column, value)
            case int() | float() | Decimal():
                self._sheet.write_number(self._row, column, value)
            case datetime.date():
                self._sheet.write_datetime(self._row, column, value)
            case list():
                self._sheet.write_string(self._row, column, ";".join(map(str, value)))
            case _:
                self._sheet.write_string(self._row, column, str(value))

    def close(self) -> None:
        self._book.close()


WRITERS: dict[str, Callable[[Path, pa.Schema], Writer]] = {
    "csv": _CsvWriter,
    "parquet": _ParquetWriter,
    "xlsx": _XlsxWriter,
}
