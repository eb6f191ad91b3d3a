"""Proof that nothing was lost on the way in: the ledger against what the Parquet files really hold.

Belongs here: received = accepted + quarantined, per file and per feed. Does not belong here: checks on marts and
activation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute
import sqlalchemy as sa

from pipelines import warehouse
from pipelines.checks import Check
from pipelines.feeds import ledger
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.quarantine import list_quarantine
from pipelines.settings import Settings


@dataclass
class _Sums:
    received: int = 0
    accepted: int = 0
    quarantined: int = 0
    raw: int = 0
    waiting: int = 0


def reconcile_batches(settings: Settings, engine: sa.Engine) -> list[Check]:
    """Per feed, and per file of it: received = accepted + quarantined; accepted = raw rows; quarantined = rows waiting.

    "Waiting" rows are in quarantine and not replayed. A batch that the lake holds and the ledger does not, or the
    other way round, shows as a difference. Files that were renamed or removed by hand fail their checks.
    """
    sums: dict[tuple[str, str], _Sums] = {}
    for batch in ledger.all_batches(engine):
        entry = sums.setdefault((batch.feed, batch.file), _Sums())
        entry.received += batch.rows_received
        entry.accepted += batch.rows_accepted
        entry.quarantined += batch.rows_quarantined
    for place, rows in _raw_rows(settings).items():
        sums.setdefault(place, _Sums()).raw += rows
    for place, rows in _waiting_rows(settings, engine).items():
        sums.setdefault(place, _Sums()).waiting += rows
    feeds = dict.fromkeys(feed for feed, _ in sums)
    totals = {feed: _total([entry for (of, _), entry in sums.items() if of == feed]) for feed in feeds}
    checks = [check for feed, entry in totals.items() for check in _checks(feed, entry)]
    for (feed, file), entry in sorted(sums.items()):
        checks += _checks(f"{feed}: {file}", entry)
    return checks


def _checks(subject: str, sums: _Sums) -> list[Check]:
    return [
        Check(f"{subject}: {name}", expected, actual, expected == actual, detail)
        for name, expected, actual, detail in (
            ("received = accepted + quarantined", sums.received, sums.accepted + sums.quarantined, "ledger"),
            ("accepted = rows in raw", sums.accepted, sums.raw, "ledger against raw files"),
            ("quarantined = rows in quarantine", sums.quarantined, sums.waiting, "ledger against quarantine files"),
        )
    ]


def _total(entries: list[_Sums]) -> _Sums:
    return _Sums(
        sum(entry.received for entry in entries),
        sum(entry.accepted for entry in entries),
        sum(entry.quarantined for entry in entries),
        sum(entry.raw for entry in entries),
        sum(entry.waiting for entry in entries),
    )


def _raw_rows(settings: Settings) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    connection = warehouse.connect(settings)
    try:
        for feed in FEEDS:
            if any((settings.raw / feed).glob("*.parquet")):
                query = "SELECT _file, count(*) FROM read_parquet(?) GROUP BY _file"
                rows = connection.execute(query, [str(settings.raw / feed / "*.parquet")]).fetchall()
                counts |= {(feed, file): count for file, count in rows}
    finally:
        connection.close()
    return counts


def _waiting_rows(settings: Settings, engine: sa.Engine) -> Counter[tuple[str, str]]:
    rows: pa.Table = list_quarantine(settings, engine)
    waiting = rows.filter(pa.compute.is_null(rows["replayed_at"]))
    return Counter(zip(waiting["feed"].to_pylist(), waiting["file"].to_pylist(), strict=True))
