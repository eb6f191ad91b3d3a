"""CSV text as records (RFC 4180): where each begins, which are whole, and their cells as columns of text.

Belongs here: quoting, line breaks within quotes, cell counts, the header. Does not belong here: types and the contract.
A record that breaks the rules costs only itself: after a quotation mark that is never closed, reading goes on with the
next line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.feeds.faults import FileFault
from pipelines.feeds.text import BLOCK_BYTES, TextBlock, read_blocks, string_array

QUOTE, COMMA, RETURN, NEWLINE = b'",\r\n'
MAX_RECORD_BYTES = 4 * 2**20


@dataclass(frozen=True)
class CsvBlock:
    """Records of one file.

    header: the column names; header_text: the header as it stands in the file, for the quarantine.
    lines, raw: the physical line on which each record starts, and its text.
    cells: one text column a header name, null where the cell is empty; rows of broken records are all null.
    fault: per record, null or why it is broken.
    """

    header: tuple[str, ...]
    header_text: str
    lines: np.ndarray
    raw: pa.Array
    cells: pa.Table
    fault: pa.Array


def read_csv_blocks(path: Path, encoding: str, block_bytes: int = BLOCK_BYTES) -> Iterator[CsvBlock]:
    """The file's records in bounded blocks; none for an empty file. Raises FileFault if it can't be read."""
    header: tuple[str, ...] = ()
    header_text = ""
    rest, rest_line = b"", 1
    blocks = read_blocks(path, encoding, block_bytes)
    current = next(blocks, None)
    while current is not None:
        upcoming = next(blocks, None)
        block = TextBlock(rest + current.data, rest_line if rest else current.first_line)
        if not header:
            header, header_text, block = _take_header(block)
        records = _split(block, len(header), is_last=upcoming is None)
        rest, rest_line = block.data[records.end :], block.first_line + block.data.count(b"\n", 0, records.end)
        if len(records.lines):
            yield _with_cells(block.data, records, header, header_text)
        current = upcoming


def cells_of(records: pa.Array, header_text: str) -> CsvBlock:
    """Records that lie as texts (from quarantine), with the header that stood above them; lines are not known."""
    header = _header_names(header_text)
    newline, nothing = pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string())
    ended = pc.binary_join_element_wise(records, newline, nothing)
    cells, parsed = _parse_whole(ended, header), np.ones(len(records), bool)
    if cells is None:
        cells, parsed = _parse_singly(records, header)
        cells = cells.take(pa.array(np.where(parsed, np.cumsum(parsed) - 1, 0), mask=~parsed))
    reason = "is not a whole CSV record of as many cells as the header names"
    fault = pa.array([None if whole else reason for whole in parsed], pa.string())
    return CsvBlock(header, header_text, np.zeros(len(records), np.int64), records, cells, fault)


def parse_record(text: str, width: int) -> list[str] | None:
    """The cells of one record by the letter of RFC 4180; None if it is broken or has another number of cells."""
    try:
        rows = list(csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 and len(rows[0]) == width else None


@dataclass(frozen=True)
class _Records:
    """Where records begin (offsets; a blank line belongs to the record before it), and what they count.

    misquoted: a quotation mark opens within a cell, or closes before its end.
    end: offset at which an unfinished record begins, to be read on with the next block.
    """

    starts: np.ndarray
    lines: np.ndarray
    cell_counts: np.ndarray
    unclosed: np.ndarray
    misquoted: np.ndarray
    end: int

    def offsets(self) -> np.ndarray:
        return np.append(self.starts, self.end)


def _take_header(block: TextBlock) -> tuple[tuple[str, ...], str, TextBlock]:
    """The header, its text, and the block after it; the first line that is not blank, or the first record."""
    records = _split(block, None, is_last=True)
    if not len(records.lines):
        return (), "", block
    stop = int(records.offsets()[1])
    text = block.data[int(records.starts[0]) : stop].decode().rstrip("\r\n")
    names = _header_names(text)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or "" in names:
        raise FileFault("has a header that names a column twice or not at all; give each column one name of its own")
    rest = TextBlock(block.data[stop:], block.first_line + block.data.count(b"\n", 0, stop))
    return names, text, rest


def _header_names(text: str) -> tuple[str, ...]:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    return tuple(name.strip() for name in rows[0]) if rows else ()


def _split(block: TextBlock, width: int | None, *, is_last: bool) -> _Records:
    """The records of a block. With the header's width known, a record over several lines must have that many cells."""
    records = _split_by_quotes(block, None, is_last=is_last)
    if width is None:
        return records
    # The line after the last record; a blank line within a gap only makes the slower reading below more likely.
    after = block.first_line + len(block.line_starts) - 1
    spans_lines = np.diff(np.append(records.lines, after)) > 1
    if np.any(spans_lines & ((records.cell_counts != width) | records.misquoted)):
        return _split_by_quotes(block, width, is_last=is_last)
    return records


def _split_by_quotes(block: TextBlock, width: int | None, *, is_last: bool) -> _Records:
    data, starts = block.data, block.line_starts
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == QUOTE)
    continues, end = _continuations(data, starts, quotes, width, is_last=is_last)
    first_bytes, lengths = view[starts[:-1]], np.diff(starts)
    blank = (first_bytes == NEWLINE) | ((first_bytes == RETURN) & (lengths <= 2))
    is_record = ~continues & ~blank & (starts[:-1] < end)
    record_starts = starts[:-1][is_record]
    bounds = np.append(record_starts, end)
    commas = np.flatnonzero(view[:end] == COMMA)
    owner = np.searchsorted(record_starts, commas, side="right") - 1
    quotes_before = np.searchsorted(quotes, bounds)
    commas, owner = commas[owner >= 0], owner[owner >= 0]
    outside = (np.searchsorted(quotes, commas) - quotes_before[owner]) % 2 == 0
    counts = np.bincount(owner[outside], minlength=len(record_starts)) + 1
    numbers = np.arange(len(starts) - 1, dtype=np.int64) + block.first_line
    misquoted = _misquoted(view, quotes[: quotes_before[-1]], record_starts, quotes_before)
    return _Records(record_starts, numbers[is_record], counts, np.diff(quotes_before) % 2 == 1, misquoted, end)


def _misquoted(
    view: np.ndarray, quotes: np.ndarray, record_starts: np.ndarray, quotes_before: np.ndarray
) -> np.ndarray:
    """Records in which a quotation mark opens elsewhere than at a cell's start, or closes elsewhere than at its end."""
    wrong = np.zeros(len(record_starts), bool)
    if len(quotes):
        owner = np.searchsorted(record_starts, quotes, side="right") - 1
        opens = (np.arange(len(quotes)) - quotes_before[owner]) % 2 == 0
        neighbour = np.where(opens, quotes - 1, quotes + 1)
        outside = (neighbour < 0) | (neighbour >= len(view))
        beside = np.where(outside, NEWLINE, view[np.clip(neighbour, 0, len(view) - 1)])
        wrong[owner[~np.isin(beside, (QUOTE, COMMA, RETURN, NEWLINE))]] = True
    return wrong


def _continuations(
    data: bytes, starts: np.ndarray, quotes: np.ndarray, width: int | None, *, is_last: bool
) -> tuple[np.ndarray, int]:
    """Which lines go on within a quoted cell, and where a record begins that this block does not finish."""
    continues = np.zeros(len(starts) - 1, bool)
    # Only lines with an odd number of quotation marks can open or close a cell that runs over lines: few of all.
    odd = np.flatnonzero(np.diff(np.searchsorted(quotes, starts)) % 2).tolist()
    position = 0
    while position < len(odd):
        first = odd[position]
        last = odd[position + 1] if position + 1 < len(odd) else None
        position += 1
        if not _ends_within_quotes(data[starts[first] : starts[first + 1]]):
            continue  # a stray quotation mark: the record ends with its line, and its cells judge it
        if last is None:
            if not is_last and len(data) - starts[first] <= MAX_RECORD_BYTES:
                return continues, int(starts[first])
        elif starts[last + 1] - starts[first] <= MAX_RECORD_BYTES and (
            width is None or parse_record(data[starts[first] : starts[last + 1]].decode(), width) is not None
        ):
            continues[first + 1 : last + 1] = True
            position += 1
    return continues, len(data)


def _ends_within_quotes(line: bytes) -> bool:
    """Whether a line that begins outside quotes leaves a quoted cell open; only at a cell's start does a mark open."""
    within = False
    for cell in line.split(b","):
        if within or cell.startswith(b'"'):
            within ^= cell.count(b'"') % 2 == 1
    return within


def _with_cells(data: bytes, records: _Records, header: tuple[str, ...], header_text: str) -> CsvBlock:
    raw = string_array(data, records.offsets())
    good = (records.cell_counts == len(header)) & ~records.unclosed
    cells = _parse_whole(raw if good.all() else raw.filter(pa.array(good)), header)
    if cells is None:
        cells, parsed = _parse_singly(raw.filter(pa.array(good)), header)
        good[np.flatnonzero(good)[~parsed]] = False
    if not good.all():
        positions = np.cumsum(good) - 1
        cells = cells.take(pa.array(np.where(good, positions, 0), mask=~good))
    faults = (
        [
            None if is_good else _reason(int(count), bool(unclosed), len(header))
            for is_good, count, unclosed in zip(good, records.cell_counts, records.unclosed, strict=True)
        ]
        if not good.all()
        else None
    )
    fault = pa.nulls(len(raw), pa.string()) if faults is None else pa.array(faults, pa.string())
    return CsvBlock(header, header_text, records.lines, raw, cells, fault)


def _reason(cells: int, unclosed: bool, width: int) -> str:
    if unclosed:
        return "a quotation mark is not closed; double the quotation marks within a cell"
    if cells == width:
        return "quotation marks or line breaks stand where CSV allows none; quote the cell"
    return f"has {cells} cells where the header names {width}; quote cells that hold commas"


def _parse_whole(raw: pa.Array, header: tuple[str, ...]) -> pa.Table | None:
    """All records in one go; None if the parser sees other records than we do."""
    if not len(raw):
        return pa.table({name: pa.array([], pa.string()) for name in header})
    offsets = np.frombuffer(raw.buffers()[1], np.int64)[raw.offset : raw.offset + len(raw) + 1]
    text = raw.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            pyarrow.csv.ReadOptions(column_names=list(header), block_size=max(2**20, len(text) // 8)),
            pyarrow.csv.ParseOptions(newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in header},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == len(raw) else None


def _parse_singly(raw: pa.Array, header: tuple[str, ...]) -> tuple[pa.Table, np.ndarray]:
    """Record by record, for a block that holds something odd: the cells of the whole ones, and which those are."""
    rows = [parse_record(text, len(header)) for text in raw.to_pylist()]
    whole = [row for row in rows if row is not None]
    columns = {
        name: pa.array([row[position] or None for row in whole], pa.string()) for position, name in enumerate(header)
    }
    return pa.table(columns), np.array([row is not None for row in rows], bool)
