"""What every import shares: reading a source's Parquet files with DuckDB and writing feeds whole.

Belongs here: checks of source and target, `.part` and rename. Does not belong here: the meaning of any data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.errors import ConfigurationError

MEMORY_LIMIT = "2GB"


@dataclass
class ImportReport:
    """Rows written by feed, and the bridge from the source's total to net sales: (label, amount) in its currency."""

    rows: dict[str, int] = field(default_factory=dict)
    bridge: list[tuple[str, str]] = field(default_factory=list)


def open_source(dataset: str, folder: Path | None, tables: Mapping[str, tuple[str, ...]]) -> duckdb.DuckDBPyConnection:
    """A connection with one view a table of the source; `_row` is the row's place in its file, from 0.

    tables: file stem to the columns that are needed. Raises ConfigurationError naming what is missing.
    """
    if folder is None:
        raise ConfigurationError(f"{dataset} needs its data: give the folder of its Parquet files with --source.")
    if not folder.is_dir():
        raise ConfigurationError(f"--source {folder} is not a folder; give the folder of {dataset}'s Parquet files.")
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 2})
    connection.execute("set timezone = 'UTC'")
    for table, columns in tables.items():
        path = folder / f"{table}.parquet"
        if not path.is_file():
            raise ConfigurationError(f"--source {folder} has no {path.name}; {dataset} consists of {_stems(tables)}.")
        quoted = str(path).replace("'", "''")
        try:
            found = {row[0] for row in connection.execute(f"describe from read_parquet('{quoted}')").fetchall()}
        except duckdb.Error as error:
            raise ConfigurationError(f"{path} cannot be read as Parquet: {error}") from error
        if missing := [column for column in columns if column not in found]:
            raise ConfigurationError(f"{path} has no column {', '.join(missing)}; is it {dataset}'s own file?")
        connection.execute(
            f"create view {table} as select * exclude (file_row_number), file_row_number as _row "
            f"from read_parquet('{quoted}', file_row_number = true)"
        )
    return connection


def _stems(tables: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{table}.parquet" for table in tables)


def prepare_target(out: Path, dataset: str, channels_yml: str) -> None:
    """Make the landing folder with its channels.yml; one that an import of the same data set began is written again.

    Raises ConfigurationError if it holds other files.
    """
    marker = out / ".import"
    begun = marker.is_file() and marker.read_text(encoding="utf-8") == dataset
    if not begun and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigurationError(
            f"{out} is not an empty folder; import into a new one, so that no old file is mixed in."
        )
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text(dataset, encoding="utf-8")
    (out / "channels.yml").write_text(channels_yml, encoding="utf-8")


def write_feed(
    connection: duckdb.DuckDBPyConnection,
    out: Path,
    channel: str,
    feed: str,
    query: str,
    report: ImportReport,
    progress: Callable[[str], None] | None = None,
    name: str | None = None,
) -> None:
    """Write the query's rows as one Parquet file of the feed (`<feed>.parquet` unless named), whole or not at all."""
    folder = out / channel / feed
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (name or f"{feed}.parquet")
    part = target.with_name(target.name + ".part")
    quoted = str(part).replace("'", "''")
    written = connection.execute(
        f"copy ({query}) to '{quoted}' (format parquet, compression zstd, row_group_size 20000)"
    ).fetchall()
    part.replace(target)
    report.rows[feed] = report.rows.get(feed, 0) + int(written[0][0])
    if progress:
        progress(f"{channel}/{feed}/{target.name}: {int(written[0][0])} rows")
