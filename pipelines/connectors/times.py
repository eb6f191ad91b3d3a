"""Times of the platforms as texts of the landing contract, and instants as the platforms want them asked.

A time that can't be read stays as it came: intake then quarantines the row with its reason.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has had one zone, without summer time, since before any of these platforms."""


def from_epoch(value: Any) -> str | None:
    """ISO text in UTC of seconds or milliseconds since 1970, told apart by their length; None for nothing or 0."""
    if value in (None, "", 0, "0"):
        return None
    try:
        number = int(value)
        seconds = number / 1000 if abs(number) >= 100_000_000_000 else number
        return iso(datetime.fromtimestamp(seconds, UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        return str(value)


def from_china(value: Any) -> str | None:
    """ISO text with China's offset of `yyyy-MM-dd HH:mm:ss`, which is China's local time; None for nothing."""
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return str(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).isoformat()


def from_gmt(value: Any) -> str | None:
    """ISO text in UTC of a time without offset that is GMT; None for nothing."""
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return str(value)
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def iso(moment: datetime) -> str:
    """ISO text in UTC, with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def seconds_text(moment: datetime) -> str:
    """ISO text in UTC without fraction, with Z: the form that search filters take."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def china_text(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` in China's local time."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def month_start(moment: datetime) -> datetime:
    """The first instant of the month, in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
