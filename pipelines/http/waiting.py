"""Waiting: what Retry-After asks for, and the one place where this package sleeps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def pause(seconds: float) -> None:
    """Wait, as every client and every rate does unless it is given another way."""
    sleep(seconds)


def sleep(seconds: float) -> None:
    """Looked up at every pause, so that a test need not wait."""
    time.sleep(seconds)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds from now, never negative; None if the header is absent or says nothing.

    A date is compared with the answer's own Date, where it has one: the server's clock need not be ours.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = http_date(value)
        if until is None:
            return None
        seconds = (until - (http_date(headers.get("date", "")) or now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def http_date(value: str) -> datetime | None:
    """The instant that a header names, aware; None if it names none."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
