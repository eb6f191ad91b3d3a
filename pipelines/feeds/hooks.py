"""Rows that a channel posts instead of dropping files: gathered in the landing folder as files of their own.

Belongs here: turning a posted body into lines, keeping them durably, giving the file its final name. Does not belong
here: HTTP and signatures (serve), or judging a row (load): a line that can't be used goes into quarantine from there.

Rows gather in LANDING/<channel>/<feed>/hook-growing.jsonl.part, which is synced before each answer; the file is renamed
to hook-<time>-<id>.jsonl at a size, at intervals, and by every run before it lists the landing folder.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipelines.durable_lines import append, locked, seal
from pipelines.settings import Settings

SEAL_BYTES = 32_000_000
"""A file gets its final name at this size."""

_GROWING = "hook-growing.jsonl.part"
_LANDING_MODE = 0o644
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a posted body, a line each: a JSON object, an array of objects, or JSON lines.

    Text of numbers is kept as it came. What is none of these comes back line by line, for ingest to judge. Characters
    beyond ASCII are written as JSON escapes, so that the file reads alike in every encoding a channel may declare.
    Raises UnicodeDecodeError if the body is not UTF-8, as all JSON is.
    """
    text = body.decode("utf-8-sig")
    try:
        rows = _json_rows(text)
    except (ValueError, RecursionError):
        rows = text.split("\n")
    return [_in_ascii(row).encode("ascii") for row in rows if row.strip()]


def keep(settings: Settings, channel: str, feed: str, rows: Sequence[bytes]) -> None:
    """Add rows to the growing file; when this returns they are on disk. Raises OSError, and then none was kept."""
    if not rows:
        return
    folder = settings.landing / channel / feed
    with locked(folder):
        if append(folder / _GROWING, b"".join(row + b"\n" for row in rows), _LANDING_MODE) >= SEAL_BYTES:
            _seal(folder)


def seal_hooks(settings: Settings) -> int:
    """Give every growing file its final name, so that a run takes it. Returns how many there were."""
    growing = sorted(settings.landing.glob(f"*/*/{_GROWING}")) if settings.landing.is_dir() else []
    sealed = 0
    for path in growing:
        with locked(path.parent):
            if path.exists():
                sealed += _seal(path.parent)
    return sealed


def _seal(folder: Path) -> bool:
    name = f"hook-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}.jsonl"
    return seal(folder / _GROWING, folder / name)


def _json_rows(text: str) -> list[str]:
    """Slices of the text. Raises ValueError unless the whole of it is one object or one array."""
    start = _after_space(text, 0)
    if not text.startswith("[", start):
        _, end = _DECODER.raw_decode(text, start)
        if _after_space(text, end) != len(text):
            raise ValueError("more than one value")
        return [_one_line(text[start:end])]
    rows: list[str] = []
    position = _after_space(text, start + 1)
    while not text.startswith("]", position):
        if rows:
            if not text.startswith(",", position):
                raise ValueError("no comma between two rows")
            position = _after_space(text, position + 1)
        _, end = _DECODER.raw_decode(text, position)
        rows.append(_one_line(text[position:end]))
        position = _after_space(text, end)
    if _after_space(text, position + 1) != len(text):
        raise ValueError("more after the array")
    return rows


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _one_line(row: str) -> str:
    """Line ends of a whole JSON value lie between its tokens: inside its strings they are escaped."""
    return row.replace("\r", " ").replace("\n", " ")


def _in_ascii(row: str) -> str:
    return row if row.isascii() else re.sub(r"[^\x00-\x7f]+", lambda found: json.dumps(found.group())[1:-1], row)
