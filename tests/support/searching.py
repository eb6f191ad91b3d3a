"""Searching every file of a folder for values, whatever form a file keeps them in.

Belongs here: reading Parquet, DuckDB, SQLite, gzip, zip and plain files as data and as bytes, and the disguises a value
may wear. Does not belong here: what is looked for.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import sqlite3
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import duckdb


def disguises(values: Iterable[str]) -> dict[bytes, str]:
    """Byte forms by which a value can stand in a file, and whose form each is: as text in several encodings, JSON
    escapes, percent and base64 and hex, and hashed."""
    forms: dict[bytes, str] = {}
    for value in values:
        plain = value.encode()
        hashed = hashlib.sha256(plain).digest()
        for form in (
            plain,
            value.encode("gb18030"),
            value.encode("utf-16-le"),
            json.dumps(value)[1:-1].encode(),
            base64.b64encode(plain).rstrip(b"="),
            plain.hex().encode(),
            hashed,
            hashed.hex().encode(),
            hashlib.md5(plain, usedforsecurity=False).hexdigest().encode(),
        ):
            forms[form] = value
    return forms


def found_in(folder: Path, values: Collection[str], skipped: Collection[Path] = ()) -> list[tuple[str, str]]:
    """(file, value) wherever a file beneath the folder holds a value in any disguise; `skipped` are not looked into."""
    forms = disguises(values)
    found = set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or any(path.is_relative_to(place) for place in skipped):
            continue
        for content in contents(path):
            for form, value in forms.items():
                if form in content:
                    found.add((str(path.relative_to(folder)), value))
    return sorted(found)


def contents(path: Path) -> Iterator[bytes]:
    """The file's bytes, and what it holds as data."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            yield _rows(connection, f"SELECT * FROM read_parquet('{path}')")
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
            for schema, table in tables:
                yield _rows(connection, f'SELECT * FROM {schema}."{table}"')
    elif path.suffix == ".gz":
        yield gzip.decompress(path.read_bytes())
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    elif path.read_bytes()[:15] == b"SQLite format 3":
        yield from _sqlite(path)


def plain_of(row: Mapping[str, object]) -> list[str]:
    """The texts of a planted row, however deep."""
    texts: list[str] = []
    for value in row.values():
        match value:
            case str():
                texts.append(value)
            case dict():
                texts += plain_of(value)
            case list():
                texts += [item for item in value if isinstance(item, str)]
    return texts


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> bytes:
    return "\n".join(repr(row) for row in connection.execute(query).fetchall()).encode()


def _sqlite(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield "\n".join(repr(row) for row in connection.execute(f'SELECT * FROM "{table}"')).encode()
    finally:
        connection.close()
