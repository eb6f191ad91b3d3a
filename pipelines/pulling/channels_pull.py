"""The pull: every channel that has a connector, its feeds and its webhooks' records, to landing.

Belongs here: the order of things, what a fault stops, and who hears of it. Does not belong here: windows and watermarks
(feed_pull), how a platform is spoken to (connectors). A platform that is down, refuses us or sends nonsense stops its
own channel or feed; the others and the run go on. Hold `single_writer` around a pull.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from pipelines import inbox
from pipelines.channels import Channels
from pipelines.connectors.protocol import Connector, FeedCapability
from pipelines.connectors.registry import first_since, load_connectors, server_of
from pipelines.errors import OmnilakeError
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError
from pipelines.keys import ensure_keys
from pipelines.pulling.feed_pull import OUR_OWN_FAULTS, FeedPull, StoppedError
from pipelines.pulling.landing_writer import LandingWriter
from pipelines.pulling.row_digests import RowDigests
from pipelines.pulling.state import PullState, forget_other_channels
from pipelines.settings import Settings

CHANNELS_AT_A_TIME = 4
"""A platform that only times out must not keep the others waiting."""

FETCHED_AT_A_TIME = 50
SLOW_FAILURE_SECONDS = 60.0
LONGEST_ERROR = 500
WEBHOOKS = "webhooks"
"""Stands where a feed stands, for records that webhooks spoke of."""

_KINDS: dict[type[Exception], str] = {
    UnreachableError: "unreachable",
    CredentialsError: "credentials",
    BusyError: "busy",
    DoubtfulError: "no answer",
    RefusedError: "refused",
}
_STOPS_THE_CHANNEL = ("unreachable", "credentials")

_Fault = tuple[str, str]
"""What kind of fault, and words for it."""


@dataclass(frozen=True)
class FeedReport:
    """What became of one feed. landed: rows of received that were new. error: without personal data and secrets."""

    channel: str
    feed: str
    received: int = 0
    landed: int = 0
    error: str = ""


@dataclass(frozen=True)
class PullReport:
    """What a pull did, by channel and feed in the order of channels.yml."""

    feeds: tuple[FeedReport, ...] = ()

    @property
    def received(self) -> int:
        return sum(feed.received for feed in self.feeds)

    @property
    def landed(self) -> int:
        return sum(feed.landed for feed in self.feeds)

    @property
    def failures(self) -> list[FeedReport]:
        return [feed for feed in self.feeds if feed.error]


def pull_all(
    settings: Settings,
    channels: Channels,
    engine: sa.Engine,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda _line: None,
    connectors: Mapping[str, Connector] | None = None,
) -> PullReport:
    """Bring what changed at every platform to landing, up to `now` (aware; the present instant unless given).

    connectors: those of channels.yml unless given. Raises ConfigurationError for a wrong setting before any call, and
    TransientError if landing or the state database takes nothing; a platform's fault is in the report and in `status`.
    """
    connectors = load_connectors(settings, channels) if connectors is None else connectors
    forget_other_channels(engine, list(connectors))
    if not connectors:
        return PullReport()
    stop = threading.Event()
    token_key = ensure_keys(settings).token_key
    now = (now or datetime.now(UTC)).astimezone(UTC)
    pulls = [
        _ChannelPull(settings, channels, engine, connector, channel, now, token_key, progress, stop)
        for channel, connector in connectors.items()
    ]
    with ThreadPoolExecutor(CHANNELS_AT_A_TIME, thread_name_prefix="pull") as threads:
        try:
            reports = list(threads.map(_ChannelPull.run, pulls))
        except BaseException:
            stop.set()  # the others end after the page they are at
            raise
    return PullReport(tuple(feed for report in reports for feed in report))


@dataclass
class _ChannelPull:
    settings: Settings
    channels: Channels
    engine: sa.Engine
    connector: Connector
    channel: str
    now: datetime
    token_key: bytes = field(repr=False)
    progress: Callable[[str], None]
    stop: threading.Event
    _reports: list[FeedReport] = field(default_factory=list)

    def run(self) -> list[FeedReport]:
        source = server_of(self.channels, self.channel)
        self._state = PullState(self.engine, self.channel, source)
        self._digests = RowDigests(self.token_key, f"{self.channel}\n{source}")
        self._writer = LandingWriter(self.settings.landing / self.channel, self.now)
        self._writer.clear_remains()
        down: _Fault | None = None
        capabilities = self.connector.capabilities()
        notices = [WEBHOOKS] if inbox.waiting_files(self.settings, self.channel) else []
        self._state.forget_other_feeds([*capabilities.feeds, *notices])
        for feed, capability in capabilities.feeds.items():
            pull = self._feed_pull(feed, capability)
            down = self._guarded(feed, pull, pull.run, down)
        if notices:
            pull = self._feed_pull(WEBHOOKS, FeedCapability())
            self._guarded(WEBHOOKS, pull, lambda: self._take_inbox(pull, capabilities.fetches), down)
        self._tell()
        return self._reports

    def _feed_pull(self, feed: str, capability: FeedCapability) -> FeedPull:
        since = first_since(self.channels, self.channel)
        return FeedPull(
            self.connector,
            feed,
            capability,
            self._state,
            self._writer,
            self._digests,
            self.now,
            since,
            self.stop,
            lambda landed: self.progress(f"pull: {self.channel}: {feed}: {landed:,} new rows so far"),
        )

    def _guarded(self, feed: str, pull: FeedPull, work: Callable[[], None], down: _Fault | None) -> _Fault | None:
        """Do the work unless the channel is down; record what came of it. Answers why the channel is down, if it is."""
        started = time.monotonic()
        fault = down
        if not down:
            try:
                work()
            except OUR_OWN_FAULTS:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a platform sends, the others and the run go on
                fault = _described(error)
        if fault is None:
            self._state.succeeded(feed, self.now, pull.received, pull.landed)
            self._reports.append(FeedReport(self.channel, feed, pull.received, pull.landed))
            return None
        kind, words = fault
        self._state.failed(feed, self.now, kind, words)
        self._reports.append(FeedReport(self.channel, feed, pull.received, pull.landed, words))
        # Time-outs on every try and not one row: each further feed would keep the whole night as long.
        hangs = kind == "no answer" and not pull.received and time.monotonic() - started > SLOW_FAILURE_SECONDS
        return fault if down or hangs or kind in _STOPS_THE_CHANNEL else None

    def _take_inbox(self, total: FeedPull, fetches: frozenset[str]) -> None:
        """Read the records again that webhooks spoke of, land them, then forget the notices.

        What is posted meanwhile is left to the next pull: a channel that never falls silent must not hold the night.
        """
        left = len(inbox.waiting_files(self.settings, self.channel))
        while left > 0 and (taken := inbox.take(self.settings, self.channel)).files:
            left -= len(taken.files)
            by_feed: dict[str, list[str]] = {}
            for event in taken.events:
                by_feed.setdefault(event.feed, []).append(event.source_id)
            for feed in sorted(fetches & by_feed.keys()):  # what can't be fetched comes with the feed's own pull
                pull = self._feed_pull(feed, FeedCapability())
                try:
                    for start in range(0, len(by_feed[feed]), FETCHED_AT_A_TIME):
                        self._fetch(pull, by_feed[feed][start : start + FETCHED_AT_A_TIME])
                    pull.land()
                finally:
                    self._writer.discard()
                total.received += pull.received
                total.landed += pull.landed
            inbox.done(self.settings, taken)

    def _fetch(self, pull: FeedPull, ids: list[str]) -> None:
        if self.stop.is_set():
            raise StoppedError
        try:
            pull.take(self.connector.fetch(pull.feed, ids), self.now)
        except RefusedError:
            # One id that the platform refuses must not keep the others; its record comes with the feed's own pull.
            if len(ids) > 1:
                self._fetch(pull, ids[: len(ids) // 2])
                self._fetch(pull, ids[len(ids) // 2 :])

    def _tell(self) -> None:
        good = [report for report in self._reports if not report.error]
        counts = ", ".join(f"{report.feed} {report.landed:,} of {report.received:,}" for report in good)
        if counts:
            self.progress(f"pull: {self.channel}: new rows: {counts}")
        failed = [report for report in self._reports if report.error]
        if failed:
            feeds = ", ".join(report.feed for report in failed)
            self.progress(f"pull: {self.channel}: WARNING: not pulled: {feeds}; the run goes on. {failed[0].error}")


def _described(fault: Exception) -> _Fault:
    """What kind of fault, and words for it. An unexpected one is told by its place: its text may quote data."""
    if isinstance(fault, OmnilakeError):
        kind = next((kind for error, kind in _KINDS.items() if isinstance(fault, error)), "failed")
        return kind, "".join(one if one.isprintable() else "?" for one in str(fault))[:LONGEST_ERROR]
    frames = traceback.extract_tb(fault.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return "nonsense", f"It sent something that the connector can't read ({type(fault).__name__} at {place})."
