"""Pulled rows become landing files: `.part`, synced, renamed, a bounded number of rows each.

Belongs here: names and durability of the files. Does not belong here: which rows are worth landing (pulling).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import TransientError

FILE_ROWS = 20_000
FILE_BYTES = 32 * 1024 * 1024
_PREFIX = "pull-"


class LandingError(TransientError):
    """The landing folder takes no rows: a full disk, a missing right."""


@dataclass
class LandingWriter:
    """Writes a channel's rows to LANDING/<channel>/<feed>/pull-<utc>-<n>.jsonl. One at a time per channel.

    Names sort as they are written, for ingest takes files by name: a later row of the same instant is the newer one.
    Every method raises LandingError if the disk won't take the rows.
    """

    folder: Path
    started_at: datetime
    files: int = 0
    _open: dict[str, tuple[Path, BinaryIO]] = field(default_factory=dict)
    _rows: int = 0
    _bytes: int = 0

    def clear_remains(self) -> None:
        """Remove what a killed pull left half-written; its rows are read again."""
        try:
            for part in self.folder.glob(f"*/{_PREFIX}*.part"):
                part.unlink(missing_ok=True)
        except OSError as error:
            raise _disk_fault(self.folder, error) from None

    @property
    def is_full(self) -> bool:
        """Whether the open files hold enough to be sealed."""
        return self._rows >= FILE_ROWS or self._bytes >= FILE_BYTES

    def write(self, feed: str, line: bytes) -> None:
        """One row, as the text of a JSON object without a line break."""
        try:
            if feed not in self._open:
                self._open[feed] = self._new_file(feed)
            self._open[feed][1].write(line + b"\n")
        except OSError as error:
            raise _disk_fault(self.folder, error) from None
        self._rows += 1
        self._bytes += len(line) + 1

    def seal(self) -> None:
        """Give the open files their final names; when this returns they survive a power cut."""
        try:
            for part, file in self._open.values():
                file.flush()
                os.fsync(file.fileno())
                file.close()
                part.rename(part.with_suffix(""))
                _sync_folder(part.parent)
        except OSError as error:
            raise _disk_fault(self.folder, error) from None
        self.files += len(self._open)
        self._open.clear()
        self._rows = self._bytes = 0

    def discard(self) -> None:
        """Remove what is not sealed."""
        for part, file in self._open.values():
            file.close()
            part.unlink(missing_ok=True)
        self._open.clear()
        self._rows = self._bytes = 0

    def _new_file(self, feed: str) -> tuple[Path, BinaryIO]:
        folder = self.folder / feed
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)
            _sync_folder(folder.parent.parent)
        number = self.files + len(self._open)
        part = folder / f"{_PREFIX}{self.started_at:%Y%m%dT%H%M%S%f}Z-{number:06d}.jsonl.part"
        return part, part.open("wb")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_fault(folder: Path, error: OSError) -> LandingError:
    return LandingError(f"Cannot write to {folder} ({error.strerror or type(error).__name__}); free space or mend it.")
