"""Lake files that appear whole or not at all: written as `.part`, named by the ledger, then renamed.

Belongs here: that protocol and its recovery after a kill. Does not belong here: what the files hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from pipelines.errors import ConfigurationError
from pipelines.feeds import ledger
from pipelines.settings import Settings


def part_path(folder: Path, name: str) -> Path:
    """Where a lake file lies until the ledger names it."""
    return folder / f"{name}.part"


def sync(path: Path) -> None:
    """Make a file's bytes (a folder's entries) durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(settings: Settings, engine: sa.Engine, load: ledger.Load) -> None:
    """Give the files of a recorded load their names. Repeatable: what is renamed already stays."""
    for folder, names in _files(settings, load):
        for name in names:
            part = part_path(folder, name)
            if part.exists():
                part.replace(folder / name)
        if names:
            sync(folder)
    ledger.mark_published(engine, [load.load_id])


def recover(settings: Settings, engine: sa.Engine) -> None:
    """Finish what the ledger names, remove the `.part` files it does not.

    Raises ConfigurationError if the lake holds files that this ledger never wrote: the wrong state database.
    """
    known = {
        path
        for load in ledger.all_loads(engine)
        for folder, names in _files(settings, load)
        for path in _in(folder, names)
    }
    lake_files = {path for path in _lake_files(settings) if path.suffix == ".parquet"}
    if strangers := sorted(lake_files - known):
        raise ConfigurationError(
            f"{settings.lake} holds {len(strangers)} files that the state database does not know, such as "
            f"{strangers[0].name}. Point OMNILAKE_STATE_URL at (or restore) the database that belongs to this home."
        )
    for load in ledger.unpublished_loads(engine):
        publish(settings, engine, load)
    for path in _lake_files(settings):
        if path.suffix == ".part":
            path.unlink()


def _files(settings: Settings, load: ledger.Load) -> list[tuple[Path, tuple[str, ...]]]:
    return [
        (settings.raw / load.feed, load.raw_files),
        (settings.quarantine / load.feed, load.quarantine_files),
    ]


def _in(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [folder / name for name in names]


def _lake_files(settings: Settings) -> Iterator[Path]:
    for place in (settings.raw, settings.quarantine):
        if place.is_dir():
            yield from (path for path in place.rglob("*") if path.is_file())
