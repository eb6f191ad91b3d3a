"""What a published snapshot is: its id, its as-of date, its tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb

from pipelines.errors import PermanentError

_DATED_BY = (
    ("run_settings", "max(as_of)"),
    ("recommendations", "max(as_of)"),
    ("runs", "arg_max(as_of, started_at)"),
    ("customer_rfm", "max(snapshot_date)"),
    ("customers", "max(last_seen_at)"),
)
"""Where a snapshot says of which date it is, best first: RFM keeps its history, so that after a run for an earlier date
its newest snapshot isn't this run's; and a retailer without orders has no RFM at all.
"""


@dataclass(frozen=True)
class Published:
    """The snapshot a planning rests on. tables: those of schema `marts` that it has."""

    snapshot_id: str
    as_of: date
    tables: frozenset[str]


def read_published(connection: duckdb.DuckDBPyConnection, snapshot_id: str, as_of: date | None = None) -> Published:
    """What the snapshot holds, and its as-of date, unless it is given.

    Raises PermanentError if it lacks the customers.
    """
    tables = frozenset(
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts'"
        ).fetchall()
    )
    if "customers" not in tables:
        raise PermanentError(
            f"Snapshot {snapshot_id} has no marts.customers; run `omnilake run` to publish a whole one."
        )
    for table, expression in _DATED_BY:
        if as_of is None and table in tables:
            as_of = connection.execute(f"SELECT CAST({expression} AS DATE) FROM marts.{table}").fetchall()[0][0]
    # A snapshot without any date knows nobody, so that the day it is read on does no harm.
    return Published(snapshot_id, as_of or datetime.now(UTC).date(), tables)
