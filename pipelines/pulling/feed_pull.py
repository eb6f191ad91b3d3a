"""Reading one feed of one channel: windows, pages, rows that are new, and a watermark that moves after landing.

Belongs here: what is read again and what goes to landing. Does not belong here: faults of a channel and who hears of
them (channels_pull), how a platform is spoken to (connectors).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from pipelines.connectors.protocol import Connector, FeedCapability, Page
from pipelines.errors import PermanentError
from pipelines.feeds.contract import FEEDS
from pipelines.http import DoubtfulError, RefusedError, exact_json, watch_clock
from pipelines.pulling.landing_writer import FILE_ROWS, LandingError, LandingWriter
from pipelines.pulling.row_digests import RowDigests, is_repeated
from pipelines.pulling.state import Landed, PullState, RowKey, Walk

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Where a first pull begins if channels.yml names no `since`."""

SHORTEST_OVERLAP = timedelta(minutes=1)
"""Read again whatever a platform promises: our clocks differ, and a transaction may commit after its timestamp."""

LONG_AGO = timedelta(days=7)
"""Rows of windows that begin so long before what is read again are not remembered."""

AFTER_A_WRONG_CLOCK = timedelta(days=1)
"""Read again if the watermark lies in the future: an earlier pull believed a wrong clock."""

MOST_BEHIND = timedelta(days=1)
"""A server's clock that is further behind is no clock."""

NEW, SWEEP = "new", "sweep"


class StoppedError(Exception):
    """The process is being ended; what was landed is landed."""


OUR_OWN_FAULTS = (StoppedError, LandingError, sa.exc.SQLAlchemyError)
"""What is no fault of a platform: nothing more can be landed or remembered."""


@dataclass
class FeedPull:
    """One feed's pull: `run` it, then read the counts.

    now: the end of what is read. since: where a first pull begins, if the retailer says so.
    progress: told now and then how many rows are landed. received: rows that the platform gave. landed: those of them
    that were not in landing yet.
    """

    connector: Connector
    feed: str
    capability: FeedCapability
    state: PullState
    writer: LandingWriter
    digests: RowDigests
    now: datetime
    since: datetime | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[int], None] = lambda _landed: None
    received: int = 0
    landed: int = 0
    _pending: dict[RowKey, Landed] = field(default_factory=dict)

    def run(self) -> None:
        """Read the feed to its end. On any error, what arrived on whole pages is landed, and the next run goes on."""
        try:
            if not self.capability.is_incremental:
                self._read_whole()
                return
            until = _whole_second(self.now)
            is_first = self.state.walk(self.feed, NEW).watermark is None
            self._read_new(until)
            self._sweep(until, is_first)
            self.state.forget_rows(self.feed, self._remembered_from)
        finally:
            self.writer.discard()

    def take(self, page: Page, seen_until: datetime, remember: bool = True) -> None:
        """Write the rows of a page that landing doesn't have as they are."""
        for landed_feed, rows in page.records.items():
            if landed_feed not in FEEDS:
                raise PermanentError(f"The connector gives rows of {landed_feed!r}, which is no feed of the contract.")
            self.received += len(rows)
            self._take_rows(landed_feed, rows, seen_until, remember)

    def land(self) -> None:
        """Give the rows their place, then remember them."""
        self._seal()
        self.state.remember(self.feed, self._pending)
        self._pending.clear()

    @property
    def _overlap(self) -> timedelta:
        return max(self.capability.overlap, SHORTEST_OVERLAP)

    @property
    def _remembered(self) -> timedelta:
        """How far back rows are read again."""
        return max(self._overlap, self.capability.sweep_span or timedelta(0)) + timedelta(seconds=1)

    @property
    def _remembered_from(self) -> datetime:
        """Rows of windows that end later are remembered, for they will be read again."""
        return _whole_second(self.now) - self._remembered

    def _read_whole(self) -> None:
        """A feed that can't be asked for changes: everything, each time; unchanged rows stay out of landing."""
        until = _whole_second(self.now)
        try:
            for page in self._pages(EARLIEST, until, None):
                self.take(page, until)
                if self._is_full():
                    self.land()
        except OUR_OWN_FAULTS:
            raise
        except Exception:
            self.land()
            raise
        self.land()
        self.state.forget_rows(self.feed, until)

    def _read_new(self, until: datetime) -> None:
        walk = self.state.walk(self.feed, NEW)
        start = self.since or EARLIEST
        if walk.window_since and walk.window_until:
            self._read_window(NEW, walk, walk.window_since, walk.window_until)
            start = walk.window_until - self._overlap
        elif walk.watermark and walk.watermark > until:
            start = until - max(self._remembered, AFTER_A_WRONG_CLOCK)
        elif walk.watermark:
            start = walk.watermark - self._overlap
        for since, end in self._windows(start, until):
            self._read_window(NEW, Walk(), since, end)

    def _sweep(self, until: datetime, is_first: bool) -> None:
        """Read a span again when it is due: some changes move no timestamp."""
        every, span = self.capability.sweep_every, self.capability.sweep_span
        if every is None or span is None:
            return
        walk = self.state.walk(self.feed, SWEEP)
        if is_first:  # everything has just been read
            self.state.commit(self.feed, SWEEP, Walk(finished_at=until), {})
            return
        start, end = until - span, until
        if walk.walk_until and until - walk.walk_until < every:  # one was left unfinished
            end = walk.walk_until
            if walk.window_since and walk.window_until:
                self._read_window(SWEEP, walk, walk.window_since, walk.window_until)
                start = walk.window_until
            else:
                start = walk.watermark or start
        elif walk.finished_at and timedelta(0) <= until - walk.finished_at < every:
            return
        start = max(start, self.since or EARLIEST)
        for since, window_end in self._windows(start, end):
            self._read_window(SWEEP, Walk(walk_until=end, finished_at=walk.finished_at), since, window_end)
        self.state.commit(self.feed, SWEEP, Walk(finished_at=end), {})

    def _windows(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The span in windows that the platform takes. After a long time one ends where remembering begins, for a first
        pull of years must not be remembered row by row."""
        remembered_from = self._remembered_from
        while since < until:
            end = min(until, since + (self.capability.widest_window or until - since))
            if since + LONG_AGO < remembered_from < end:
                end = remembered_from
            yield since, end
            since = end

    def _read_window(self, kind: str, walk: Walk, since: datetime, until: datetime) -> None:
        """Read a window to its end, from the walk's page state on if it has one."""
        remember = until > self._remembered_from or since > self._remembered_from - LONG_AGO
        unfinished = replace(walk, window_since=since, window_until=until)
        before = self.state.walk(self.feed, kind).watermark
        state = walk.page_state
        try:
            with watch_clock() as watch:
                for page in self._pages(since, until, state):
                    self.take(page, until, remember)
                    state = page.state
                    if state is not None and self._is_full():
                        self._commit(kind, replace(unfinished, watermark=before, page_state=state))
        except OUR_OWN_FAULTS:
            raise
        except RefusedError:
            if walk.page_state is None or state != walk.page_state:
                self._commit(kind, replace(unfinished, watermark=before, page_state=state))
                raise
            # It no longer knows the place where an earlier pull stopped: the window is read from its beginning.
            self._read_window(kind, replace(walk, page_state=None), since, until)
            return
        except Exception:
            self._commit(kind, replace(unfinished, watermark=before, page_state=state))
            raise
        if kind == NEW:
            # A server whose clock is behind ours goes on stamping records before our present instant.
            until = min(until, _whole_second(self.now) - min(watch.behind, MOST_BEHIND))
        done = replace(walk, watermark=until, window_since=None, window_until=None, page_state=None)
        self._commit(kind, done)

    def _pages(self, since: datetime, until: datetime, state: Mapping[str, Any] | None) -> Iterator[Page]:
        """The connector's pages. Raises DoubtfulError if the platform leads in a circle."""
        seen: set[bytes] = set()
        for page in self.connector.pull(self.feed, since, until, state):
            if self.stop.is_set():
                raise StoppedError
            if page.state is not None:
                place = hashlib.blake2b(json.dumps(page.state, sort_keys=True).encode(), digest_size=8).digest()
                if place in seen:
                    raise DoubtfulError("The platform leads in a circle: it names a page as next that it gave before.")
                seen.add(place)
            yield page

    def _take_rows(
        self, landed_feed: str, rows: Sequence[Mapping[str, Any]], seen_until: datetime, remember: bool
    ) -> None:
        keys = [self.digests.key(landed_feed, row) for row in rows]
        known = self.state.landed(self.feed, landed_feed, keys)
        for key, row in zip(keys, rows, strict=True):
            place = (landed_feed, key)
            content = self.digests.content(landed_feed, row)
            last = self._pending.get(place) or known.get(place)
            if last and last.content == content and not is_repeated(landed_feed, self.now - last.landed_at):
                if last.seen_until < seen_until:
                    self._pending[place] = replace(last, seen_until=seen_until)
                continue
            self.writer.write(landed_feed, exact_json.encode(row))
            self.landed += 1
            if remember:
                self._pending[place] = Landed(content, seen_until, self.now)

    def _is_full(self) -> bool:
        return self.writer.is_full or len(self._pending) >= FILE_ROWS

    def _seal(self) -> None:
        if self.writer.is_full:
            self.progress(self.landed)
        self.writer.seal()

    def _commit(self, kind: str, walk: Walk) -> None:
        self._seal()
        self.state.commit(self.feed, kind, walk, self._pending)
        self._pending.clear()


def _whole_second(at: datetime) -> datetime:
    """The end of that second: no platform's clock is asked for finer, and what just happened belongs to the window."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
