"""Exports that write themselves: which are due, and the files that are old enough to go.

Belongs here: exports.yml, the period an export is due for, and keeping the folder of exports short. Does not belong
here: the export itself (exports).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pydantic
import sqlalchemy as sa
import yaml

from pipelines.activation.export_contacts import HASHES
from pipelines.activation.export_fields import PERSONAL
from pipelines.activation.export_log import is_done, utc_now
from pipelines.activation.exports import export_segment
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.published import read_published
from pipelines.settings import Settings
from pipelines.vault import Vault
from pipelines.warehouse import current_snapshot, open_snapshot

ACTOR = "schedule"


class ScheduledExport(pydantic.BaseModel):
    """One entry of exports.yml."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    segment: str
    format: Literal["csv", "xlsx", "parquet"]
    every: Literal["day", "week", "month"]
    fields: tuple[str, ...] | None = None
    hash: str | None = None
    purpose: str | None = None

    @pydantic.model_validator(mode="after")
    def _say_why(self) -> ScheduledExport:
        if self.hash is not None and self.hash not in HASHES:
            raise ValueError(f"hash is one of {', '.join(HASHES)}")
        if self.is_personal and not (self.purpose or "").strip():
            raise ValueError(f"fields has {', '.join(PERSONAL)} or one of them: say why with purpose")
        return self

    @property
    def is_personal(self) -> bool:
        """Whether the vault is needed."""
        return any(name in PERSONAL for name in self.fields or ())

    def period(self, as_of: date) -> str:
        """The day, ISO week or month that an as-of date is in, as part of a file's name."""
        if self.every == "day":
            return as_of.isoformat()
        if self.every == "month":
            return f"{as_of:%Y-%m}"
        year, week, _ = as_of.isocalendar()
        return f"{year}-W{week:02d}"


class Schedule(pydantic.BaseModel):
    """exports.yml."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    keep_days: int = pydantic.Field(default=30, ge=1, le=3650)
    exports: dict[str, ScheduledExport] = {}

    @pydantic.field_validator("exports")
    @classmethod
    def _names(cls, exports: dict[str, ScheduledExport]) -> dict[str, ScheduledExport]:
        wrong = [name for name in exports if not name.replace("_", "").replace("-", "").isalnum() or len(name) > 64]
        if wrong:
            raise ValueError(f"a name has letters, digits, _ and -: {', '.join(wrong)}")
        return exports


@dataclass(frozen=True)
class ExportRun:
    """What a round of scheduled exports did: a line for each file written, and what failed."""

    written: tuple[str, ...]
    failures: tuple[str, ...]


def load_schedule(settings: Settings) -> Schedule:
    """exports.yml of this home, checked. Raises ConfigurationError that names the entry."""
    path = settings.reference("exports.yml")
    try:
        return Schedule.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} is not readable as YAML ({type(error).__name__}).") from error


def run_due(settings: Settings, engine: sa.Engine, say: Callable[[str], None]) -> ExportRun:
    """Write every export whose period has none yet, and delete files beyond their time.

    One that fails keeps no other from being written, and is due again at the next round. Killed at any instant, the
    next round writes what is missing to the same name.
    """
    schedule = load_schedule(settings)
    prune(settings, schedule.keep_days)
    if not schedule.exports:
        return ExportRun((), ())
    with open_snapshot(settings) as connection:
        as_of = read_published(connection, current_snapshot(settings).stem).as_of
    written, failures = [], []
    for name, export in schedule.exports.items():
        period = export.period(as_of)
        key = f"{name}:{period}"
        if is_done(engine, key):
            continue
        folder = settings.exports / "scheduled" / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with ExitStack() as opened:
                reveal = opened.enter_context(Vault.open(settings)).reveal_members if export.is_personal else None
                receipt = export_segment(
                    settings, engine, export.segment, export.format, folder / f"{name}-{period}.{export.format}",
                    export.fields, export.hash, export.purpose, reveal, actor=ACTOR, schedule_key=key,
                )  # fmt: skip
        except (OmnilakeError, OSError) as error:
            failures.append(f"export {name}: {error}")
            say(failures[-1])
            continue
        written.append(receipt.words())
        say(f"export {name}: {receipt.words()}")
    return ExportRun(tuple(written), tuple(failures))


def prune(settings: Settings, keep_days: int) -> int:
    """Delete exported files and receipts older than so many days; the number of files."""
    oldest = (utc_now() - timedelta(days=keep_days)).timestamp()
    removed = 0
    for path in sorted(settings.exports.rglob("*")) if settings.exports.is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
            removed += 1
    _remove_empty_folders(settings.exports)
    return removed


def _remove_empty_folders(folder: Path) -> None:
    for place in sorted(folder.glob("pages/*")) if folder.is_dir() else ():
        if place.is_dir() and not any(place.iterdir()):
            shutil.rmtree(place, ignore_errors=True)
