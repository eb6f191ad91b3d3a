"""The inbox: which records of a channel its webhooks say have changed, until a pull has read them again.

Belongs here: keeping notices durably, handing them to a pull, forgetting them. Does not belong here: signatures
(connectors), HTTP (serve), reading the records (pulling). A notice says which record changed and nothing of what is in
it. HOME/inbox/<channel>/ holds one growing file and the sealed ones that a pull takes; a killed process loses no notice
whose `append` returned.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.connectors.protocol import WebhookEvent
from pipelines.durable_lines import append as append_lines
from pipelines.durable_lines import locked, seal
from pipelines.settings import Settings

SEAL_BYTES = 4_000_000
"""A growing file is sealed at this size, so that a pull reads notices in portions."""

TAKEN_RECORDS = 100_000
"""`take` stops at the end of the file with which it has this many records."""

_GROWING = "growing.jsonl"


@dataclass(frozen=True)
class Taken:
    """What a pull has to read again: one event a record, its newest notice. files: what `done` forgets.

    unreadable: lines that are no notice, such as those of a broken disk; they are counted, never fatal.
    """

    events: tuple[WebhookEvent, ...] = ()
    files: tuple[Path, ...] = ()
    unreadable: int = 0


def inbox_folder(settings: Settings, channel: str) -> Path:
    """Where the channel's notices lie."""
    return settings.home / "inbox" / channel


def append(settings: Settings, channel: str, events: Sequence[WebhookEvent]) -> None:
    """Keep the notices; when this returns they are on disk. One sync however many they are.

    Raises OSError (a full disk), and then none of them was kept.
    """
    if not events:
        return
    received_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    lines = b"".join(_line(event, received_at) for event in events)
    folder = inbox_folder(settings, channel)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder):
        if append_lines(folder / _GROWING, lines) >= SEAL_BYTES:
            _seal(folder)


def take(settings: Settings, channel: str) -> Taken:
    """The oldest notices, `TAKEN_RECORDS` records or a file more; nothing is forgotten before `done`.

    A pull calls it again, after `done`, until `files` is empty. Notices that come meanwhile go to the next call.
    """
    folder = inbox_folder(settings, channel)
    if not folder.is_dir():
        return Taken()
    with locked(folder):
        if (folder / _GROWING).exists():
            _seal(folder)
    newest: dict[tuple[str, str], WebhookEvent] = {}
    files: list[Path] = []
    unreadable = 0
    for path in sealed_files(settings, channel):
        with path.open("rb") as lines:
            for line in lines:
                event = _event(line)
                if event is None:
                    unreadable += 1
                else:
                    newest[event.feed, event.source_id] = event
        files.append(path)
        if len(newest) >= TAKEN_RECORDS:
            break
    return Taken(tuple(newest.values()), tuple(files), unreadable)


def done(settings: Settings, taken: Taken) -> None:
    """Forget what was taken: its records are landed. Calling it again is harmless."""
    for path in taken.files:
        path.unlink(missing_ok=True)


def sealed_files(settings: Settings, channel: str) -> list[Path]:
    """The files that no `append` touches any more, oldest first."""
    return sorted(inbox_folder(settings, channel).glob("sealed-*.jsonl"))


def waiting_files(settings: Settings, channel: str) -> list[Path]:
    """Every file that holds notices no pull has dealt with."""
    growing = inbox_folder(settings, channel) / _GROWING
    return [*sealed_files(settings, channel), *([growing] if growing.exists() else [])]


def oldest_notice(settings: Settings, channel: str) -> datetime | None:
    """When the notice that waits longest was received; None if none waits."""
    for path in waiting_files(settings, channel):
        with path.open("rb") as lines:
            for line in lines:
                if _event(line) is not None:
                    return datetime.fromisoformat(json.loads(line)["received_at"])
    return None


def _seal(folder: Path) -> None:
    seal(folder / _GROWING, folder / f"sealed-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}.jsonl")


def _line(event: WebhookEvent, received_at: str) -> bytes:
    return json.dumps(asdict(event) | {"received_at": received_at}).encode() + b"\n"


def _event(line: bytes) -> WebhookEvent | None:
    try:
        content = json.loads(line)
        feed, source_id, event_id, version = (content[name] for name in ("feed", "source_id", "event_id", "version"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in (feed, source_id, event_id)):
        return None
    return WebhookEvent(feed, source_id, event_id, version if isinstance(version, str) else None)
