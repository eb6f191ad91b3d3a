"""Files as chunks: blocks of records in memory that go through one SQL statement together.

Belongs here: opening the three formats, and putting many small files of one kind together. Does not belong here: what
the records mean. A chunk's table has `file_no`, `line`, and `raw` or cells (parse.py says which).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from pipelines.feeds.contract import Feed
from pipelines.feeds.csv_records import CsvBlock, cells_of, read_csv_blocks
from pipelines.feeds.faults import FileFault
from pipelines.feeds.landing import FORMATS, LandingFile
from pipelines.feeds.outline import filled_fields
from pipelines.feeds.parse import cell_names, parse_csv, parse_jsonl, parse_parquet
from pipelines.feeds.text import read_blocks, string_array

PARQUET_ROWS = 100_000
SMALL_FILE_BYTES = 8 * 2**20
GROUP_BYTES = 32 * 2**20
_UNPACKED = 12
"""How much larger a packed file may be once it is unpacked, when sizes are added up."""


@dataclass(frozen=True)
class Chunk:
    """Records of one format and layout.

    layout: the CSV header or the Parquet schema; records with another one go into another chunk.
    header_text: a CSV header as it stands in the file.
    """

    format: str
    layout: object
    table: pa.Table
    header_text: str | None = None

    def parse_sql(self, feed: Feed, source: str, *, exact: bool = False) -> str:
        """The SELECT that makes text records of `source`; `exact` as in parse_jsonl."""
        match self.format:
            case "jsonl":
                return parse_jsonl(feed, source, exact=exact)
            case "csv":
                return parse_csv(feed, source, self.names)
            case _:
                return parse_parquet(feed, source, self.layout)

    def absent(self, feed: Feed) -> tuple[str, ...]:
        """Required columns that this layout may do without: the lines of CSV orders, which come as order_lines."""
        return ("lines",) if self.format == "csv" and feed.name == "orders" and "lines" not in self.names else ()

    def rows(self, first: int, end: int) -> Chunk:
        """The records from `first` up to, not including, `end`."""
        return replace(self, table=self.table.slice(first, end - first))

    def without(self, positions: pa.ChunkedArray) -> Chunk:
        """The records but those at these positions."""
        remains = np.ones(self.table.num_rows, bool)
        remains[positions.to_numpy()] = False
        return replace(self, table=self.table.filter(pa.array(remains)))

    @property
    def names(self) -> tuple[str, ...]:
        """The column names of a CSV header or Parquet schema."""
        return self.layout if isinstance(self.layout, tuple) else tuple(getattr(self.layout, "names", ()))


def unpacked_size(file: LandingFile) -> int:
    """About how many bytes the file is in memory."""
    packed = file.file.endswith(".gz") or file.format == "parquet"
    return file.size * _UNPACKED if packed else file.size


def read_chunks(feed: Feed, file: LandingFile, encoding: str, file_no: int) -> Iterator[Chunk]:
    """One file's records, in bounded chunks. Raises FileFault, perhaps after some chunks."""
    if file.size == 0:
        return
    try:
        match file.format:
            case "jsonl":
                yield from _read_jsonl(file, encoding, file_no)
            case "csv":
                yield from _read_csv(feed, file, encoding, file_no)
            case "parquet":
                yield from _read_parquet(feed, file, file_no)
            case _:
                raise FileFault(f"has an ending that no feed has; deliver {', '.join(FORMATS)}")
    except OSError as error:
        raise FileFault(
            f"can't be read ({error.strerror or type(error).__name__}); check the disk and permissions"
        ) from error


def read_ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks, each read while the one before it is being worked on; faults come where they belong."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        upcoming = reader.submit(next, chunks, None)
        while (chunk := upcoming.result()) is not None:
            upcoming = reader.submit(next, chunks, None)
            yield chunk


def rejected_chunk(
    file_format: str, header_text: str | None, file_nos: list[int], lines: list[int], raw: list[str]
) -> Chunk:
    """Rows from quarantine as a chunk; a Parquet row was kept as JSON."""
    texts = pa.array(raw, pa.large_string())
    numbers = {"file_no": pa.array(file_nos, pa.int32()), "line": pa.array(lines, pa.int64())}
    if file_format != "csv" or header_text is None:
        return Chunk("jsonl", None, pa.table(numbers | {"raw": texts}))
    block = cells_of(texts, header_text)
    columns = {"raw": texts, "broken": block.fault} | dict(zip(cell_names(block.header), _cells(block), strict=True))
    return Chunk("csv", block.header, pa.table(numbers | columns), header_text)


def unreadable_chunk(chunk: Chunk, reason: str) -> Chunk:
    """The same records, broken for that reason: their text is kept, and nothing in it is looked at."""
    table = chunk.table
    if "raw" in table.column_names:
        texts = table["raw"]
    else:
        rows = table.drop_columns(["file_no", "line"]).rename_columns(list(chunk.names)).to_pylist()
        texts = pa.chunked_array([pa.array([json.dumps(row, default=str) for row in rows], pa.large_string())])
    broken = pa.array([reason] * table.num_rows, pa.string())
    return Chunk(
        "csv", (), table.select(["file_no", "line"]).append_column("raw", texts).append_column("broken", broken)
    )


def merge(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Chunks of the same format and layout put together, in the order in which each first came."""
    groups: dict[object, list[Chunk]] = {}
    for chunk in chunks:
        key = (chunk.format, str(chunk.layout), chunk.header_text)
        groups.setdefault(key, []).append(chunk)
    return [
        Chunk(
            group[0].format, group[0].layout, pa.concat_tables([chunk.table for chunk in group]), group[0].header_text
        )
        for group in groups.values()
    ]


def _read_jsonl(file: LandingFile, encoding: str, file_no: int) -> Iterator[Chunk]:
    for block in read_blocks(file.path, encoding):
        starts = block.line_starts
        lines = np.arange(len(starts) - 1, dtype=np.int64) + block.first_line
        yield Chunk(
            "jsonl",
            None,
            _table(
                file_no,
                lines,
                {"raw": string_array(block.data, starts), "filled": pa.array(filled_fields(block.data, starts))},
            ),
        )


def _read_csv(feed: Feed, file: LandingFile, encoding: str, file_no: int) -> Iterator[Chunk]:
    for block in read_csv_blocks(file.path, encoding):
        _require_columns(feed, block.header, "csv")
        columns = {"raw": block.raw, "broken": block.fault}
        columns |= dict(zip(cell_names(block.header), _cells(block), strict=True))
        yield Chunk("csv", block.header, _table(file_no, block.lines, columns), block.header_text)


def _cells(block: CsvBlock) -> list[pa.ChunkedArray]:
    return [block.cells.column(name) for name in block.header]


def _read_parquet(feed: Feed, file: LandingFile, file_no: int) -> Iterator[Chunk]:
    try:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            names = parquet.schema_arrow.names
            if len(set(names)) < len(names):
                raise FileFault("names a column twice; give each column one name of its own")
            _require_columns(feed, names, "parquet")
            line = 1
            for batch in parquet.iter_batches(batch_size=PARQUET_ROWS):
                table = pa.table({field.name: _plain(batch.column(field.name)) for field in batch.schema})
                lines = np.arange(line, line + batch.num_rows, dtype=np.int64)
                line += batch.num_rows
                columns = dict(zip(cell_names(names), table.columns, strict=True))
                if batch.num_rows:
                    yield Chunk("parquet", table.schema, _table(file_no, lines, columns))
    except pa.ArrowException as error:
        raise FileFault("is not a sound Parquet file; deliver it again, whole") from error


def _plain(column: pa.Array) -> pa.Array:
    """Types that DuckDB has as well; text that was stored as bytes becomes text."""
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pc.cast(pc.cast(column, pa.large_binary()), pa.large_string())
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if (pa.types.is_decimal(kind) and kind.precision > 38) or pa.types.is_null(kind):
        return column.cast(pa.string())
    return column


def _require_columns(feed: Feed, names: Iterable[str], file_format: str) -> None:
    optional = {"lines"} if feed.name == "orders" and file_format == "csv" else set()
    missing = [name for name in feed.required if name not in names and name not in optional]
    if missing:
        raise FileFault(f"lacks the column {', '.join(missing)}; every {feed.name} file needs it")


def _table(file_no: int, lines: np.ndarray, columns: dict[str, pa.Array]) -> pa.Table:
    return pa.table({"file_no": pa.array(np.full(len(lines), file_no, np.int32)), "line": pa.array(lines)} | columns)
