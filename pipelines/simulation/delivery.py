"""Files of the landing folder: rows rendered in a door's format and written whole, or not at all.

Belongs here: formats, encodings, time styles, `.part` and rename. Does not belong here: what the rows say, or faults
that are planted in them (faults).
"""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from pipelines.feeds.contract import SHARED
from pipelines.simulation.doors import TIMEZONE, Door

SHARED_FORMAT = {"products": "jsonl", "stores": "csv", "staff": "csv", "campaigns": "jsonl", "fx_rates": "csv"}


@dataclass
class Landing:
    """The folder being written; counts files and rows by feed."""

    root: Path
    files: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    payloads: dict[str, tuple[str, str]] = field(default_factory=dict)

    def write(self, channel: str, feed: str, name: str, payload: bytes, rows: int) -> str:
        """Write one file through `.part`; returns its path relative to the landing folder."""
        folder = self.root / channel / feed
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / name
        part = target.with_name(name + ".part")
        part.write_bytes(payload)
        part.replace(target)
        self.files += 1
        self.rows[feed] = self.rows.get(feed, 0) + rows
        return f"{channel}/{feed}/{name}"


@dataclass(frozen=True)
class Style:
    """How a channel's files look; see Door."""

    format: str
    times: str
    timezone: str = TIMEZONE
    encoding: str = "utf-8"
    bom: bool = False
    money_as_text: bool = False


def style_of(door: Door | None, feed: str) -> Style:
    """The style of a door's feed, or of a shared feed where door is None."""
    if door is None:
        return Style(SHARED_FORMAT[feed], "offset")
    return Style(door.format, door.times, door.timezone, door.encoding, door.bom, door.money_as_text)


def text_lines(rows: pl.DataFrame, style: Style) -> tuple[str | None, list[str]]:
    """Header (CSV only) and one text line a row."""
    shaped = write_times(rows, style)
    if style.format.startswith("csv"):
        buffer = io.BytesIO()
        _json_cells(shaped).write_csv(buffer)
        header, *lines = buffer.getvalue().decode().split("\n")[:-1]
        return header, lines
    buffer = io.BytesIO()
    used = [column for column in shaped.columns if shaped[column].null_count() < len(shaped)]
    shaped = shaped.select(used)
    (shaped if style.money_as_text else _numbers(shaped)).write_ndjson(buffer)
    return None, buffer.getvalue().decode().split("\n")[:-1]


def text_payload(header: str | None, lines: list[str], style: Style) -> bytes:
    """The bytes of a text file: encoding, byte order mark, and gzip without a time of its own."""
    text = "\n".join([*([header] if header is not None else []), *lines, ""])
    payload = (b"\xef\xbb\xbf" if style.bom else b"") + text.encode(style.encoding)
    return gzip.compress(payload, compresslevel=1, mtime=0) if style.format.endswith(".gz") else payload


def parquet_payload(rows: pl.DataFrame, style: Style) -> bytes:
    """The bytes of a Parquet file."""
    buffer = io.BytesIO()
    write_times(rows, style).write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def write_times(rows: pl.DataFrame, style: Style) -> pl.DataFrame:
    """Turn every `<column>_s` of UTC seconds into the column itself, in the style's way of writing instants."""
    expressions = []
    for column in rows.columns:
        if not column.endswith("_s"):
            expressions.append(pl.col(column))
            continue
        instant = pl.from_epoch(pl.col(column), time_unit="s").dt.replace_time_zone("UTC")
        local = instant.dt.convert_time_zone(style.timezone)
        name = column.removesuffix("_s")
        if style.format == "parquet":
            written = instant if style.times == "utc" else local.dt.replace_time_zone(None)
        elif style.times == "utc":
            written = instant.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif style.times == "offset":
            written = local.dt.strftime("%Y-%m-%dT%H:%M:%S%:z")
        else:
            written = local.dt.strftime("%Y-%m-%d %H:%M:%S")
        expressions.append(written.alias(name))
    return rows.select(expressions)


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Decimals as numbers of two places in JSON, also within lists of structs."""

    def plain(dtype: pl.DataType | DataTypeClass) -> pl.DataType | DataTypeClass:
        if isinstance(dtype, pl.Decimal):
            return pl.Float64()
        if isinstance(dtype, pl.List):
            return pl.List(plain(dtype.inner))
        if isinstance(dtype, pl.Struct):
            return pl.Struct({item.name: plain(item.dtype) for item in dtype.fields})
        return dtype

    return rows.cast({name: plain(dtype) for name, dtype in rows.schema.items()})


def _json_cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Nested values as JSON text, for CSV."""
    expressions = []
    for name, dtype in rows.schema.items():
        if not isinstance(dtype, (pl.List, pl.Struct)):
            expressions.append(pl.col(name))
            continue
        wrapped = _numbers(rows.select(pl.col(name).alias("_")))
        buffer = io.BytesIO()
        wrapped.write_ndjson(buffer)
        cells = pl.Series(name, buffer.getvalue().decode().split("\n")[:-1]).str.slice(5)
        expressions.append(pl.when(rows[name].is_not_null()).then(cells.str.head(-1)).otherwise(None).alias(name))
    return rows.select(expressions)


def file_name(feed: str, day: date, style: Style, note: str = "") -> str:
    """A file's name: feed, the day its week ends on, and the format."""
    return f"{feed}-{day:%Y%m%d}{note}.{style.format}"


def channel_of(door: Door | None) -> str:
    """Landing folder of a door, or of the shared feeds."""
    return SHARED if door is None else door.id
