"""How long ago each channel delivered each feed, and whether that is late by its own habit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from statistics import median

import sqlalchemy as sa

from pipelines.feeds.ledger import batches
from pipelines.runs import now

TOLERATED_INTERVALS = 3
SHORTEST_HABIT = timedelta(hours=12)
DELIVERIES_FOR_A_HABIT = 4


@dataclass(frozen=True)
class Freshness:
    """A channel's feed: when it last delivered (UTC), and whether it misses more than its habit explains."""

    channel: str
    feed: str
    last_taken_at: datetime
    files: int
    rows_received: int
    rows_quarantined: int
    late: bool


def freshness(engine: sa.Engine, at: datetime | None = None) -> list[Freshness]:
    """One entry a channel and feed, by channel and feed.

    Late: nothing came for three times the median interval between deliveries (never less than twelve hours a
    delivery); a feed that was delivered fewer than four times has no habit yet and is never late.
    """
    at = at or now()
    taken = (
        sa.select(
            batches.c.channel,
            batches.c.feed,
            batches.c.run_id,
            sa.func.max(batches.c.taken_at).label("taken_at"),
            sa.func.count().label("files"),
            sa.func.sum(batches.c.rows_received).label("received"),
            sa.func.sum(batches.c.rows_quarantined).label("quarantined"),
        )
        .group_by(batches.c.channel, batches.c.feed, batches.c.run_id)
        .order_by(batches.c.channel, batches.c.feed, sa.text("taken_at"))
    )
    with engine.connect() as connection:
        deliveries = connection.execute(taken).all()
    entries = []
    for (channel, feed), group in groupby(deliveries, key=lambda row: (row.channel, row.feed)):
        runs = list(group)
        entries.append(
            Freshness(
                channel,
                feed,
                runs[-1].taken_at,
                sum(run.files for run in runs),
                int(sum(run.received for run in runs)),
                int(sum(run.quarantined for run in runs)),
                _is_late([run.taken_at for run in runs], at),
            )
        )
    return entries


def stale_feeds(engine: sa.Engine) -> list[tuple[str, str]]:
    """(channel, feed) of every feed that is late."""
    return [(entry.channel, entry.feed) for entry in freshness(engine) if entry.late]


def _is_late(taken_at: list[datetime], at: datetime) -> bool:
    if len(taken_at) < DELIVERIES_FOR_A_HABIT:
        return False
    habit = median((later - earlier).total_seconds() for earlier, later in pairwise(taken_at))
    return at - taken_at[-1] > TOLERATED_INTERVALS * max(timedelta(seconds=habit), SHORTEST_HABIT)
