"""Files of lines that survive a kill: appended whole and synced, sealed by a rename, one holder at a time.

Belongs here: the lock, the append that heals a torn end, the seal. Does not belong here: what a line says (inbox,
landed hooks) or when many callers share one append (serve).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 65_536
_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against every other thread and process; the system releases it when the holder is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def append(path: Path, lines: bytes, mode: int = 0o600) -> int:
    """Add whole lines and sync them to disk; returns the file's size. The caller holds the folder.

    mode: of a file that is made new, before the umask.

    A line that a killed process left unfinished is cut off first: nobody was told that it was kept. Raises OSError
    (a full disk), and then nothing was added.
    """
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        size = _whole_lines(file, os.fstat(file).st_size)
        os.ftruncate(file, size)
        os.lseek(file, size, os.SEEK_SET)
        try:
            _write(file, lines)
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
    if is_new:
        sync_folder(path.parent)
    return size + len(lines)


def seal(path: Path, final: Path) -> bool:
    """Cut off an unfinished line and give the file its final name; an empty one is dropped. The caller holds the
    folder. Returns whether there is a final file."""
    file = os.open(path, os.O_RDWR)
    try:
        size = _whole_lines(file, os.fstat(file).st_size)
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)
    if size:
        path.rename(final)
    else:
        path.unlink()
    sync_folder(path.parent)
    return size > 0


def sync_folder(folder: Path) -> None:
    """Make the folder's names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _whole_lines(file: int, size: int) -> int:
    """Bytes up to and with the last line end."""
    end = size
    while end:
        start = max(0, end - _CHUNK)
        position = os.pread(file, end - start, start).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0
