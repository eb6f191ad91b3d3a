"""A user's file as a table with our fields.

Belongs here: reading CSV and Parquet, and `field=column` maps. Does not belong here: what any model does with them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import ConfigurationError

_READERS = {
    ".parquet": "read_parquet({})",
    ".pq": "read_parquet({})",
    ".csv": "read_csv({}, all_varchar = true, header = true)",
    ".tsv": "read_csv({}, all_varchar = true, header = true, delim = '\t')",
}


def parse_map(text: str | None, fields: Collection[str]) -> dict[str, str]:
    """`field=column,…` as a mapping. Raises ConfigurationError for another form, an unknown field or one said twice."""
    mapping: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        field, sign, column = (piece.strip() for piece in part.partition("="))
        if not sign or not column:
            raise ConfigurationError(f"--map: {part.strip()!r} is not of the form field=column.")
        if field not in fields:
            raise ConfigurationError(f"--map: there is no field {field!r}; the fields are {', '.join(fields)}.")
        if field in mapping:
            raise ConfigurationError(f"--map: {field!r} stands there twice; name each field once.")
        mapping[field] = column
    return mapping


def read_columns(data: Path) -> list[str]:
    """Names of a file's columns. Raises ConfigurationError if it is neither CSV nor Parquet, or cannot be read."""
    with _source(data) as source, duckdb.connect() as connection:
        return _describe(connection, data, source)


def read_table(data: Path, mapping: Mapping[str, str], fields: Collection[str]) -> pa.Table:
    """The mapped columns of a file as text, named by field; a field without a map takes the column of its own name.

    `first+last` maps a field to several columns, joined with a space. Raises ConfigurationError if the file is neither
    CSV nor Parquet, cannot be read, or lacks a column.
    """
    with _source(data) as source, duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")  # it would be written among the results
        columns = _describe(connection, data, source)
        chosen = {field: field for field in fields if field in columns} | dict(mapping)
        sql = ", ".join(f"{_expression(column, columns, data)} as {_quoted(field)}" for field, column in chosen.items())
        if not chosen:
            raise ConfigurationError(f"--map: name the columns of {data.name}, which are {', '.join(columns)}.")
        try:
            return connection.execute(f"select {sql} from {source}").to_arrow_table()
        except duckdb.Error as error:
            raise ConfigurationError(
                f"--data: {data.name} cannot be read to its end ({type(error).__name__})."
            ) from error


@contextmanager
def _source(data: Path) -> Iterator[str]:
    """SQL: the file as a relation."""
    reader = _READERS.get(data.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"--data: {data.name} must end in one of {', '.join(_READERS)}.")
    with _as_utf8(data) as readable:
        yield reader.format("'" + str(readable).replace("'", "''") + "'")


def _describe(connection: duckdb.DuckDBPyConnection, data: Path, source: str) -> list[str]:
    try:
        return [name for name, *_ in connection.execute(f"describe select * from {source}").fetchall()]
    except duckdb.Error as error:
        raise ConfigurationError(
            f"--data: {data.name} cannot be read as {data.suffix[1:]} ({type(error).__name__})."
        ) from error


@contextmanager
def _as_utf8(data: Path) -> Iterator[Path]:
    """The file itself, or a copy in UTF-8 of a text in UTF-16 (by its mark) or GB 18030, which GBK is part of.

    The copy is gone at the end. A text that is none of them is left as it is: its reader says so.
    """
    encoding = _encoding(data) if data.suffix.lower() in (".csv", ".tsv") else None
    if encoding is None:
        yield data
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / data.name
        with data.open(encoding=encoding, newline="") as text, copy.open("w", encoding="utf-8", newline="") as written:
            shutil.copyfileobj(text, written)
        yield copy


def _encoding(data: Path) -> str | None:
    """The first encoding that the whole text is in; None where that is UTF-8, or nothing that is known."""
    with data.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
    for encoding in ("utf-8", "gb18030"):
        try:
            with data.open(encoding=encoding) as text:
                while text.read(1_000_000):
                    pass
        except UnicodeError:
            continue
        return None if encoding == "utf-8" else encoding
    return None


def _expression(column: str, columns: Collection[str], data: Path) -> str:
    """SQL: a column's text, or several columns' joined."""
    parts = [column] if column in columns else column.split("+")
    for part in parts:
        if part not in columns:
            raise ConfigurationError(f"--map: {data.name} has no column {part!r}; it has {', '.join(columns)}.")
    if len(parts) == 1:
        return f"{_quoted(parts[0])}::varchar"
    return f"nullif(concat_ws(' ', {', '.join(f'{_quoted(part)}::varchar' for part in parts)}), '')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
