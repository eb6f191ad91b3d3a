"""The ledger of what was taken: one entry a file (or replay), written in the same transaction as its counts.

Belongs here: the tables in the state database, and the transactions on them. Does not belong here: files and Parquet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.state import metadata

loads = sa.Table(
    "feed_loads",
    metadata,
    sa.Column("load_id", sa.String(64), primary_key=True),
    sa.Column("feed", sa.String(32), nullable=False),
    sa.Column("raw_files", sa.JSON, nullable=False),
    sa.Column("quarantine_files", sa.JSON, nullable=False),
    sa.Column("published", sa.Boolean, nullable=False),
    comment="Parquet files that belong together; unpublished: their renames may be unfinished.",
)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch_id", sa.String(64), primary_key=True),
    sa.Column("batch_seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("load_id", sa.String(64), sa.ForeignKey("feed_loads.load_id")),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("feed", sa.String(32), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("rows_received", sa.BigInteger, nullable=False),
    sa.Column("rows_accepted", sa.BigInteger, nullable=False),
    sa.Column("rows_quarantined", sa.BigInteger, nullable=False),
    sa.Column("identifiers_dropped", sa.BigInteger, nullable=False),
    sa.Column("taken_at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    comment="One row a file taken. rows_received = rows_accepted + rows_quarantined. kind: file, duplicate, replay.",
)

landing_files = sa.Table(
    "landing_files",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    comment="What each landing path held when it was last looked at, so that it need not be read again.",
)

drift = sa.Table(
    "feed_drift",
    metadata,
    sa.Column("feed", sa.String(32), primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("column_name", sa.Text, primary_key=True),
    sa.Column("batch_id", sa.String(64), primary_key=True),
    sa.Column("first_seen_at", sa.DateTime, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    comment="Columns that the contract does not know, per batch that carried them.",
)

replays = sa.Table(
    "quarantine_replays",
    metadata,
    sa.Column("quarantine_id", sa.String(80), primary_key=True),
    sa.Column("batch_id", sa.String(64), sa.ForeignKey("batches.batch_id"), nullable=False),
    sa.Column("replayed_at", sa.DateTime, nullable=False),
    comment="Quarantined rows that have since been accepted, and the batch that holds them.",
)


@dataclass(frozen=True)
class Batch:
    """One file (or one file's replayed rows) as taken. Counts satisfy received = accepted + quarantined."""

    batch_id: str
    batch_seq: int
    run_id: str
    channel: str
    feed: str
    file: str
    content_hash: str
    size: int
    mtime_ns: int
    taken_at: datetime
    rows_received: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    identifiers_dropped: int = 0
    kind: str = "file"
    load_id: str | None = None

    def counted(self, accepted: int, quarantined: int, identifiers_dropped: int) -> Batch:
        """The same batch with what became of its rows."""
        return replace(
            self,
            rows_received=accepted + quarantined,
            rows_accepted=accepted,
            rows_quarantined=quarantined,
            identifiers_dropped=identifiers_dropped,
        )


@dataclass(frozen=True)
class Drift:
    """An unknown column of one batch and in how many of its rows it stood."""

    feed: str
    channel: str
    column_name: str
    batch_id: str
    rows: int


@dataclass(frozen=True)
class Load:
    """Parquet files (names within lake/raw/<feed> and lake/quarantine/<feed>) written for some batches."""

    load_id: str
    feed: str
    raw_files: tuple[str, ...] = ()
    quarantine_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenFile:
    """A landing path as it was last looked at."""

    file: str
    size: int
    mtime_ns: int
    content_hash: str


def utc_now() -> datetime:
    """Now, UTC, naive as everywhere in the lake."""
    return datetime.now(UTC).replace(tzinfo=None)


def batch_id_of(channel: str, feed: str, file: str, content_hash: str, kind: str = "file") -> str:
    """The same for the same content at the same path, so that a killed load leaves the same ids when it is repeated."""
    text = "\n".join((channel, feed, file, content_hash, kind))
    return "b" + hashlib.sha256(text.encode()).hexdigest()[:20]


def next_sequence(engine: sa.Engine) -> int:
    """The sequence number of the next batch."""
    with engine.connect() as connection:
        return (connection.scalar(sa.select(sa.func.max(batches.c.batch_seq))) or 0) + 1


def seen_files(engine: sa.Engine) -> dict[str, SeenFile]:
    """Every landing path looked at so far."""
    with engine.connect() as connection:
        return {row.file: SeenFile(**row._mapping) for row in connection.execute(sa.select(landing_files))}


def taken_contents(engine: sa.Engine, channel: str, feed: str) -> set[str]:
    """Content hashes that this channel has delivered for this feed."""
    query = sa.select(batches.c.content_hash).where(
        batches.c.channel == channel, batches.c.feed == feed, batches.c.kind == "file"
    )
    with engine.connect() as connection:
        return set(connection.scalars(query))


def unpublished_loads(engine: sa.Engine) -> list[Load]:
    """Loads whose entry stands but whose files may still carry their `.part` names."""
    return _loads(engine, sa.select(loads).where(loads.c.published.is_(False)))


def all_loads(engine: sa.Engine) -> list[Load]:
    """Every load, oldest first."""
    return _loads(engine, sa.select(loads).order_by(loads.c.load_id))


def _loads(engine: sa.Engine, query: sa.Select[Any]) -> list[Load]:
    with engine.connect() as connection:
        return [
            Load(row.load_id, row.feed, tuple(row.raw_files), tuple(row.quarantine_files))
            for row in connection.execute(query)
        ]


def record_load(
    engine: sa.Engine,
    load: Load | None,
    taken: Sequence[Batch],
    drifted: Iterable[Drift] = (),
    seen: Iterable[SeenFile] = (),
    replayed: Iterable[tuple[str, str]] = (),
) -> None:
    """Enter batches, their drift, the files seen and the rows replayed (quarantine_id, batch_id): all or nothing."""
    now = utc_now()
    with engine.begin() as connection:
        if load is not None:
            connection.execute(
                sa.insert(loads).values(
                    load_id=load.load_id,
                    feed=load.feed,
                    raw_files=list(load.raw_files),
                    quarantine_files=list(load.quarantine_files),
                    published=False,
                )
            )
        if taken:
            load_id = load.load_id if load else None
            connection.execute(sa.insert(batches), [asdict(batch) | {"load_id": load_id} for batch in taken])
        if entries := [asdict(entry) | {"first_seen_at": now} for entry in drifted]:
            connection.execute(sa.insert(drift), entries)
        if rows := [{"quarantine_id": row, "batch_id": batch, "replayed_at": now} for row, batch in replayed]:
            connection.execute(sa.insert(replays), rows)
        _remember_files(connection, seen)


def remember_files(engine: sa.Engine, seen: Iterable[SeenFile]) -> None:
    """Note what landing paths hold, without a batch."""
    with engine.begin() as connection:
        _remember_files(connection, seen)


def _remember_files(connection: sa.Connection, seen: Iterable[SeenFile]) -> None:
    entries = [asdict(file) for file in seen]
    if not entries:
        return
    for start in range(0, len(entries), 500):
        names = [entry["file"] for entry in entries[start : start + 500]]
        connection.execute(sa.delete(landing_files).where(landing_files.c.file.in_(names)))
    connection.execute(sa.insert(landing_files), entries)


def mark_published(engine: sa.Engine, load_ids: Iterable[str]) -> None:
    """Their files carry their final names."""
    with engine.begin() as connection:
        for load_id in load_ids:
            connection.execute(sa.update(loads).where(loads.c.load_id == load_id).values(published=True))


def all_batches(engine: sa.Engine) -> list[Batch]:
    """Every batch in order of arrival."""
    with engine.connect() as connection:
        return [Batch(**row._mapping) for row in connection.execute(sa.select(batches).order_by(batches.c.batch_seq))]


def all_drift(engine: sa.Engine) -> list[dict[str, Any]]:
    """Unknown columns: feed, channel, column_name, first_seen_at, batches, rows."""
    query = (
        sa.select(
            drift.c.feed,
            drift.c.channel,
            drift.c.column_name,
            sa.func.min(drift.c.first_seen_at).label("first_seen_at"),
            sa.func.count().label("batches"),
            sa.func.sum(drift.c.rows).label("rows"),
        )
        .group_by(drift.c.feed, drift.c.channel, drift.c.column_name)
        .order_by(drift.c.feed, drift.c.channel, drift.c.column_name)
    )
    with engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def all_replays(engine: sa.Engine) -> dict[str, datetime]:
    """When each replayed row was accepted, by quarantine_id."""
    with engine.connect() as connection:
        return {row.quarantine_id: row.replayed_at for row in connection.execute(sa.select(replays))}
