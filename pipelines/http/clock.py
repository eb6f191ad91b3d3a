"""How far servers' clocks are behind ours, by the Date of their answers.

Belongs here: measuring while somebody watches. Does not belong here: what follows from it (pulling).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipelines.http.waiting import http_date

TOLERATED = timedelta(seconds=5)
"""The header has whole seconds, and an answer takes a while."""


@dataclass
class ClockWatch:
    """behind: how far, at most, an answer's Date was before its arrival; nothing below `TOLERATED`."""

    behind: timedelta = timedelta(0)


_WATCH: ContextVar[ClockWatch | None] = ContextVar("clock", default=None)


@contextmanager
def watch_clock() -> Iterator[ClockWatch]:
    """Within: the calls of this thread are watched."""
    watch = ClockWatch()
    token = _WATCH.set(watch)
    try:
        yield watch
    finally:
        _WATCH.reset(token)


def note_date(headers: Mapping[str, str], now: datetime | None = None) -> None:
    """Take note of an answer that has just arrived, if somebody watches."""
    watch = _WATCH.get()
    date = http_date(headers.get("date", "")) if watch else None
    if watch and date:
        behind = (now or datetime.now(UTC)) - date
        if behind > TOLERATED:
            watch.behind = max(watch.behind, behind)
