"""What a pull remembers in the state database: how far each feed was read, what was landed, since when it fails.

Belongs here: the tables and the transactions on them. Does not belong here: calling a platform, or writing landing
files. Everything moves in one transaction after the rows it speaks of have their final place in landing. Rows are
remembered as keyed digests only: nothing here can be read back into a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines.state import metadata

MOST_VARIABLES = 500
"""Keys a query asks for at once; SQLite takes no statement of any size."""

walks = sa.Table(
    "pull_walks",
    metadata,
    sa.Column("channel", sa.String(255), primary_key=True),
    sa.Column("feed", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("watermark", sa.DateTime),
    sa.Column("window_since", sa.DateTime),
    sa.Column("window_until", sa.DateTime),
    sa.Column("page_state", sa.JSON(none_as_null=True)),
    sa.Column("walk_until", sa.DateTime),
    sa.Column("finished_at", sa.DateTime),
    comment="How far a feed was read. kind: new (what changed since) or sweep (everything of a span again). Times UTC.",
)

pulled_rows = sa.Table(
    "pull_rows",
    metadata,
    sa.Column("channel", sa.String(255), primary_key=True),
    sa.Column("asked_feed", sa.String(32), primary_key=True),
    sa.Column("landed_feed", sa.String(32), primary_key=True),
    sa.Column("row_key", sa.LargeBinary(16), primary_key=True),
    sa.Column("content", sa.LargeBinary(16), nullable=False),
    sa.Column("seen_until", sa.DateTime, nullable=False),
    sa.Column("landed_at", sa.DateTime, nullable=False),
    comment="Keyed digests of what was last landed for a key, as far back as overlaps and sweeps read again. Per feed "
    "that was asked for: an order may know less of its member than the members do, and both views stay as they are.",
)

pull_status = sa.Table(
    "pull_status",
    metadata,
    sa.Column("channel", sa.String(255), primary_key=True),
    sa.Column("feed", sa.String(32), primary_key=True),
    sa.Column("pulled_at", sa.DateTime),
    sa.Column("rows_received", sa.BigInteger, nullable=False),
    sa.Column("rows_landed", sa.BigInteger, nullable=False),
    sa.Column("failing_since", sa.DateTime),
    sa.Column("last_failed_at", sa.DateTime),
    sa.Column("error_kind", sa.String(16)),
    sa.Column("error", sa.Text),
    comment="The last pull of each feed. error: without personal data and secrets; null once a pull succeeds.",
)


@dataclass(frozen=True)
class Walk:
    """How far one feed was read; all times aware and in UTC.

    watermark: everything changed before is landed. window_since, window_until, page_state: the window that was left
    unfinished, and where in it to go on. walk_until: where a sweep ends. finished_at: when the last sweep ended.
    """

    watermark: datetime | None = None
    window_since: datetime | None = None
    window_until: datetime | None = None
    page_state: Mapping[str, Any] | None = None
    walk_until: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Landed:
    """The digest of a row as it was last landed."""

    content: bytes
    seen_until: datetime
    landed_at: datetime


RowKey = tuple[str, bytes]
"""(feed the row was landed in, digest of its key)"""


@dataclass(frozen=True)
class PullState:
    """The memory of one channel's pulls. source: digest of which server this is; another server starts anew."""

    engine: sa.Engine
    channel: str
    source: str

    def walk(self, feed: str, kind: str) -> Walk:
        """How far the feed was read on this server."""
        where = sa.and_(walks.c.channel == self.channel, walks.c.feed == feed, walks.c.kind == kind)
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(walks).where(where, walks.c.source == self.source)).first()
        if row is None:
            return Walk()
        times = (row.watermark, row.window_since, row.window_until, row.walk_until, row.finished_at)
        watermark, since, until, walk_until, finished_at = map(_aware, times)
        return Walk(watermark, since, until, row.page_state, walk_until, finished_at)

    def commit(self, feed: str, kind: str, walk: Walk, rows: Mapping[RowKey, Landed]) -> None:
        """Move the walk and remember the rows, both or neither. Call it when the rows lie in landing."""
        with self.engine.begin() as connection:
            self._put_walk(connection, feed, kind, walk)
            self._put_rows(connection, feed, rows)

    def remember(self, feed: str, rows: Mapping[RowKey, Landed]) -> None:
        """Remember landed rows that belong to no walk."""
        with self.engine.begin() as connection:
            self._put_rows(connection, feed, rows)

    def landed(self, asked: str, feed: str, keys: Sequence[bytes]) -> dict[RowKey, Landed]:
        """What reading the feed `asked` last landed in `feed` for those keys, as far as it is remembered."""
        found = {}
        with self.engine.connect() as connection:
            for some in _portions(keys):
                rows = connection.execute(
                    sa.select(pulled_rows).where(
                        pulled_rows.c.channel == self.channel,
                        pulled_rows.c.asked_feed == asked,
                        pulled_rows.c.landed_feed == feed,
                        pulled_rows.c.row_key.in_(some),
                    )
                )
                for row in rows:
                    landed = Landed(
                        bytes(row.content), row.seen_until.replace(tzinfo=UTC), row.landed_at.replace(tzinfo=UTC)
                    )
                    found[feed, bytes(row.row_key)] = landed
        return found

    def forget_rows(self, feed: str, before: datetime) -> None:
        """Forget rows that the asked feed will not read again: last seen in a window that ended before."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.delete(pulled_rows).where(
                    pulled_rows.c.channel == self.channel,
                    pulled_rows.c.asked_feed == feed,
                    pulled_rows.c.seen_until < _naive(before),
                )
            )

    def succeeded(self, feed: str, at: datetime, received: int, landed: int) -> None:
        """The feed was read to its end."""
        self._put_status(feed, pulled_at=_naive(at), rows_received=received, rows_landed=landed, failing_since=None,
                         last_failed_at=None, error_kind=None, error=None)  # fmt: skip

    def failed(self, feed: str, at: datetime, kind: str, error: str) -> None:
        """The feed could not be read to its end; since when is kept from the first failure on."""
        self._put_status(feed, last_failed_at=_naive(at), error_kind=kind, error=error)

    def _put_walk(self, connection: sa.Connection, feed: str, kind: str, walk: Walk) -> None:
        connection.execute(
            sa.delete(walks).where(walks.c.channel == self.channel, walks.c.feed == feed, walks.c.kind == kind)
        )
        connection.execute(
            sa.insert(walks).values(
                channel=self.channel,
                feed=feed,
                kind=kind,
                source=self.source,
                watermark=_naive(walk.watermark),
                window_since=_naive(walk.window_since),
                window_until=_naive(walk.window_until),
                page_state=walk.page_state,
                walk_until=_naive(walk.walk_until),
                finished_at=_naive(walk.finished_at),
            )
        )

    def _put_rows(self, connection: sa.Connection, asked: str, rows: Mapping[RowKey, Landed]) -> None:
        by_feed: dict[str, list[bytes]] = {}
        for feed, key in rows:
            by_feed.setdefault(feed, []).append(key)
        for feed, keys in by_feed.items():
            mine = sa.and_(
                pulled_rows.c.channel == self.channel,
                pulled_rows.c.asked_feed == asked,
                pulled_rows.c.landed_feed == feed,
            )
            for some in _portions(keys):
                connection.execute(sa.delete(pulled_rows).where(mine, pulled_rows.c.row_key.in_(some)))
        if rows:
            connection.execute(sa.insert(pulled_rows), list(self._row_values(asked, rows)))

    def _row_values(self, asked: str, rows: Mapping[RowKey, Landed]) -> Iterator[dict[str, Any]]:
        for (feed, key), landed in rows.items():
            yield {
                "channel": self.channel,
                "landed_feed": feed,
                "row_key": key,
                "content": landed.content,
                "asked_feed": asked,
                "seen_until": _naive(landed.seen_until),
                "landed_at": _naive(landed.landed_at),
            }

    def _put_status(self, feed: str, **values: Any) -> None:
        where = sa.and_(pull_status.c.channel == self.channel, pull_status.c.feed == feed)
        with self.engine.begin() as connection:
            known = connection.execute(sa.select(pull_status).where(where)).first()
            if values.get("error"):
                values["failing_since"] = (known.failing_since if known else None) or values["last_failed_at"]
            if known:
                connection.execute(sa.update(pull_status).where(where).values(**values))
            else:
                nothing = {"rows_received": 0, "rows_landed": 0}
                connection.execute(sa.insert(pull_status).values(channel=self.channel, feed=feed, **(nothing | values)))


def pull_states(engine: sa.Engine) -> list[dict[str, Any]]:
    """One entry a channel and feed that was ever asked for: the columns of pull_status, times naive and in UTC."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(pull_status).order_by(pull_status.c.channel, pull_status.c.feed))
        return [dict(row) for row in rows.mappings()]


def forget_other_channels(engine: sa.Engine, channels: Sequence[str]) -> None:
    """Forget how the pulls of channels went that have no connector any more, lest they be failing for ever."""
    with engine.begin() as connection:
        connection.execute(sa.delete(pull_status).where(pull_status.c.channel.not_in(channels)))


def _portions(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), MOST_VARIABLES):
        yield keys[start : start + MOST_VARIABLES]


def _naive(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None)


def _aware(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
