"""What lies in the landing folder: complete files, each with its channel, feed and format, in the order of their paths.

Belongs here: listing, the checks that stop a run at its start, content hashes. Does not belong here: reading rows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.channels import Channels
from pipelines.errors import ConfigurationError
from pipelines.feeds.contract import FEEDS, SHARED
from pipelines.feeds.faults import FileFault
from pipelines.settings import Settings

FORMATS = {".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
UNKNOWN_FORMAT = "unknown"


@dataclass(frozen=True)
class LandingFile:
    """A complete file as it was listed. `file` is its path relative to the landing folder, with forward slashes."""

    path: Path
    file: str
    channel: str
    feed: str
    format: str
    size: int
    mtime_ns: int

    def content_hash(self) -> str:
        """SHA-256 of its bytes, in hex. Raises FileFault if it can't be read."""
        try:
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise FileFault(f"can't be opened ({error.strerror}); check its permissions") from error

    @property
    def unreadable_hash(self) -> str:
        """What stands for the content of a file that can't be opened."""
        return f"unreadable-{self.size}-{self.mtime_ns}"

    def is_unchanged(self) -> bool:
        """Whether size and time are still those of the listing; a file that grows is taken by a later run."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


def list_landing(settings: Settings, channels: Channels, feeds: Collection[str] | None = None) -> list[LandingFile]:
    """All complete files, by path. Raises ConfigurationError for a folder or a file ending that nobody declared.

    `.part` files, hidden files and folders, and files that lie outside the channel folders are passed over.
    """
    unknown = set(feeds or ()) - FEEDS.keys()
    if unknown:
        raise ConfigurationError(f"Unknown feed {', '.join(sorted(unknown))}; the feeds are {', '.join(FEEDS)}.")
    if not settings.landing.is_dir():
        if settings.landing_dir:
            raise ConfigurationError(f"The landing folder {settings.landing} is no folder; name one with --landing.")
        return []
    _refuse_misplaced(settings.landing, f"{settings.landing}/<channel>/<feed>/")
    found = [file for channel in _folders(settings.landing) for file in _list_channel(settings, channels, channel)]
    return sorted((file for file in found if feeds is None or file.feed in feeds), key=lambda file: file.file)


def landing_file(settings: Settings, file: str, channel: str, feed: str) -> LandingFile | None:
    """The file that lies at that landing path now; None if there is none."""
    path = settings.landing / file
    ending = _ending(path.name)
    try:
        status = path.stat()
    except OSError:
        return None
    if ending is None:
        return None
    return LandingFile(
        path, file, channel, feed, FORMATS[ending] if ending else UNKNOWN_FORMAT, status.st_size, status.st_mtime_ns
    )


def _list_channel(settings: Settings, channels: Channels, folder: Path) -> Iterator[LandingFile]:
    if folder.name != SHARED and folder.name not in channels.channels:
        raise ConfigurationError(
            f"The landing folder {folder} belongs to no channel of {channels.path}; add a channel with id "
            f"{folder.name!r}, or rename the folder to one of {', '.join([*channels.channels, SHARED])}."
        )
    _refuse_misplaced(folder, f"{folder}/<feed>/")
    for feed in _folders(folder):
        if feed.name not in FEEDS:
            raise ConfigurationError(f"{feed} names no feed; rename it to one of {', '.join(FEEDS)}.")
        yield from _list_feed(settings, folder.name, feed.name, feed)


def _list_feed(settings: Settings, channel: str, feed: str, folder: Path) -> Iterator[LandingFile]:
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _list_feed(settings, channel, feed, Path(entry.path))
            continue
        if entry.name.endswith(".part") or not entry.is_file():
            continue
        ending = _ending(entry.name)
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue  # taken away since it was listed
        path = Path(entry.path)
        relative = path.relative_to(settings.landing).as_posix()
        yield LandingFile(
            path,
            relative,
            channel,
            feed,
            FORMATS[ending] if ending else UNKNOWN_FORMAT,
            status.st_size,
            status.st_mtime_ns,
        )


def _ending(name: str) -> str | None:
    return next((known for known in sorted(FORMATS, key=len, reverse=True) if name.endswith(known)), None)


def _refuse_misplaced(folder: Path, place: str) -> None:
    for entry in _entries(folder):
        if entry.is_file() and _ending(entry.name):
            raise ConfigurationError(f"{entry.path} lies outside the feed folders; move it to {place}.")


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(folder) if entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise ConfigurationError(f"Cannot list {folder} ({error.strerror}); check its permissions.") from error
