"""Local times to UTC by the contract: a time that exists twice is the first, one that does not exist is read with the
offset before the gap.

Belongs here: the offsets of a zone as a function of its wall clock, and SQL made from them. Does not belong here: which
zone a row is in (views.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=256)
def wall_clock_offsets(zone: str) -> tuple[tuple[datetime, int], ...]:
    """(from this wall-clock time on, offset in seconds east of UTC), ascending; the first entry holds before as well.

    At a change from offset a to b at the instant T, wall times T+b … T+a exist twice and T+a … T+b never. Either way
    the contract reads with a until T + max(a, b), so the offset is a step function of the wall clock.
    """
    info = ZoneInfo(zone)

    def offset_at(instant: datetime) -> int:
        offset = instant.astimezone(info).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    steps = [(_FIRST.replace(tzinfo=None), offset_at(_FIRST))]
    day, before = _FIRST, offset_at(_FIRST)
    while day < _LAST:
        following = day + timedelta(days=1)
        after = offset_at(following)
        if after != before:
            change = _change(day, following, before, offset_at)
            wall = (change + timedelta(seconds=max(before, after))).replace(tzinfo=None)
            steps.append((wall, after))
        day, before = following, after
    return tuple(steps)


def utc_of(wall: str, zone: str) -> str:
    """SQL for the UTC instant of a wall-clock TIMESTAMP expression in a given zone."""
    return f"{wall} - to_seconds({_offset_sql(wall, wall_clock_offsets(zone))})"


def utc_macro(name: str, zones: set[str]) -> str:
    """CREATE MACRO name(wall, zone): the UTC instant; null for a zone that is not among `zones`."""
    whens = "\n".join(f"WHEN '{zone}' THEN {_offset_sql('wall', wall_clock_offsets(zone))}" for zone in sorted(zones))
    return f"CREATE OR REPLACE MACRO {name}(wall, zone) AS wall - to_seconds(CASE zone {whens} END)"


def _change(low: datetime, high: datetime, before: int, offset_at: Callable[[datetime], int]) -> datetime:
    """First second at which the offset is no longer `before`."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if offset_at(middle) == before else (low, middle)
    return high


def _offset_sql(wall: str, steps: tuple[tuple[datetime, int], ...]) -> str:
    """A balanced tree of CASEs: eight comparisons even for a zone with 260 changes."""
    if len(steps) == 1:
        return str(steps[0][1])
    middle = len(steps) // 2
    boundary = steps[middle][0].isoformat(sep=" ")
    return (
        f"CASE WHEN {wall} < TIMESTAMP '{boundary}' THEN {_offset_sql(wall, steps[:middle])} "
        f"ELSE {_offset_sql(wall, steps[middle:])} END"
    )
