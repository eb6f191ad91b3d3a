"""Text files as blocks of whole lines: bytes, unpacked, decoded and checked, in bounded memory.

Belongs here: gzip, encodings, the byte order mark, where lines end. Does not belong here: what a line means (JSON,
CSV records). Nothing is written to disk.
"""

from __future__ import annotations

import codecs
import functools
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from pipelines.feeds.faults import FileFault

BLOCK_BYTES = 48 * 2**20
"""Text handed on at a time: large enough for set-based work, small against any memory limit."""

MAX_LINE_BYTES = 64 * 2**20
_NEWLINE = 10


@dataclass(frozen=True)
class TextBlock:
    """Whole lines of one file, valid UTF-8, the last line perhaps without its newline.

    first_line: physical number of the first line, from 1.
    """

    data: bytes
    first_line: int

    @functools.cached_property
    def line_starts(self) -> np.ndarray:
        """Offset of each line's first byte, and the end of the block after the last."""
        # Block by block: one pass over a large array would fault in a page of temporaries for every page of text.
        view = np.frombuffer(self.data, np.uint8)
        pieces = [
            np.flatnonzero(view[start : start + 2**20] == _NEWLINE) + (start + 1)
            for start in range(0, len(view), 2**20)
        ]
        ends = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
        if len(view) and (not len(ends) or ends[-1] != len(view)):
            ends = np.append(ends, len(view))
        return np.concatenate(([0], ends)).astype(np.int64)


def read_blocks(path: Path, encoding: str, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The file's text in blocks of whole lines. Raises FileFault if it can't be unpacked or decoded."""
    number, pending = 1, b""
    with path.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw  # type: ignore[assignment]
        for piece in _decoded(stream, encoding, block_bytes):
            cut = piece.rfind(b"\n") + 1
            if cut:
                # One copy of the text, not three: a block is tens of megabytes.
                block = TextBlock(b"".join((pending, memoryview(piece)[:cut])), number)
                number += len(block.line_starts) - 1
                pending = piece[cut:]
                yield _checked(block, encoding)
            else:
                pending += piece
            if len(pending) > MAX_LINE_BYTES:
                raise FileFault(f"has a line longer than {MAX_LINE_BYTES // 2**20} MiB; check the line ends")
    if pending:
        yield _checked(TextBlock(pending, number), encoding)


def string_array(data: bytes, offsets: np.ndarray) -> pa.Array:
    """The slices of `data` between neighbouring offsets, as strings, without copying."""
    return pa.Array.from_buffers(
        pa.large_string(), len(offsets) - 1, [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    )


def _checked(block: TextBlock, encoding: str) -> TextBlock:
    # Validation of one long string: a newline is never part of a longer UTF-8 sequence.
    try:
        string_array(block.data, np.array([0, len(block.data)], np.int64)).validate(full=True)
    except pa.ArrowInvalid as error:
        raise FileFault(
            f"is not {encoding} text; save it as UTF-8, or declare the channel's `encoding` in channels.yml"
        ) from error
    return block


def _decoded(stream: IO[bytes], encoding: str, block_bytes: int) -> Iterator[bytes]:
    """Pieces of UTF-8 of about `block_bytes`, without byte order mark."""
    piece = _read(stream, block_bytes)
    marked = piece.startswith(codecs.BOM_UTF8)
    piece = piece.removeprefix(codecs.BOM_UTF8)
    is_utf8 = marked or codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
    decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)("strict")
    while piece:
        yield piece if decoder is None else _decode(decoder, piece, encoding, final=False)
        piece = _read(stream, block_bytes)
    if decoder is not None:
        yield _decode(decoder, b"", encoding, final=True)


def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, encoding: str, *, final: bool) -> bytes:
    try:
        return decoder.decode(piece, final).encode()
    except UnicodeError as error:
        raise FileFault(f"is not {encoding} text, which channels.yml declares for its channel") from error


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except EOFError as error:
        raise FileFault("is a gzip file that ends too early; deliver it again, whole") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFault("is not a sound gzip file; deliver it again, whole") from error
