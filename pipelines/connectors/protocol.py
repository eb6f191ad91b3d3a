"""What every connector can be asked, and what it hands over.

Belongs here: capabilities, pages of records, webhook events, and the protocol that joins them. Does not belong here:
watermarks, windows and landing (pulling), or how one platform is spoken to (one file a platform beside this one).
A connector translates; it keeps no state, writes no file and decides no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True)
class FeedCapability:
    """How one feed of a platform can be read.

    is_incremental: it can be asked for what changed in a window; False: every pull reads the whole feed.
    widest_window: longest span that one call may ask for; None: no limit.
    page_size: records a page at most.
    overlap: how far before the watermark a pull begins again, for clocks and late commits of the platform.
    sweep_every, sweep_span: how often, and how far back, everything is read again for changes that move no timestamp;
    None: the platform's timestamps miss nothing.
    """

    is_incremental: bool = True
    widest_window: timedelta | None = None
    page_size: int = 100
    overlap: timedelta = timedelta(minutes=5)
    sweep_every: timedelta | None = None
    sweep_span: timedelta | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a connector can do. feeds: by the name of the landing contract's feed that a pull is asked for.

    fetches: feeds of which single records can be read by their source id (`fetch`), as a webhook asks for.
    has_webhooks: whether `verify_webhook` knows the platform's signature.
    """

    feeds: Mapping[str, FeedCapability]
    fetches: frozenset[str] = frozenset()
    has_webhooks: bool = False


@dataclass(frozen=True)
class Page:
    """One page of a pull.

    records: rows of the landing contract by feed. One read may yield several feeds (an order brings its refunds and
    its coupons). Fields that the contract doesn't name go along as they are, so that ingest reports them as drift.
    state: where the next page begins, as JSON values; None: this was the last page of the window. A pull that is
    called again with this state goes on after this page.
    """

    records: Mapping[str, Sequence[Mapping[str, Any]]]
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class WebhookEvent:
    """What a webhook says: that this record changed. It is read again at the source, so replays and reordering are
    harmless and no body needs to be kept.

    event_id: the platform's id of the notice, for telling replays. version: of the record, if the platform names one.
    """

    feed: str
    source_id: str
    event_id: str
    version: str | None = None


class BadSignatureError(Exception):
    """The webhook was not signed with our secret. The message names no secret and quotes no body."""


@dataclass(frozen=True)
class Check:
    """One thing `doctor` wants to know, such as whether the credentials are taken. `remedy` is empty if all is well."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


class Connector(Protocol):
    """One platform's pull side, bound to one channel.

    Faults are those of `pipelines.http`: RefusedError and CredentialsError (nothing helps but a person), BusyError,
    UnreachableError and DoubtfulError (later may do).
    """

    channel: str

    def capabilities(self) -> Capabilities: ...

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        """Pages of everything that changed in [since, until], both aware and in UTC; for a feed that is not
        incremental, everything there is. `state` of an earlier page of the same window goes on after that page."""
        ...

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        """The records of those ids as they are now; ids that the platform doesn't know are left out."""
        ...

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        """The events of a webhook, header names in lower case, after its signature over the raw body was found right.

        Raises BadSignatureError; ValueError, without quoting the body, if a rightly signed body can't be understood.
        """
        ...

    def check(self) -> list[Check]:
        """Whether the platform answers and takes our credentials; a light call or two, never raises."""
        ...


@dataclass(frozen=True)
class Options:
    """What channels.yml says of one connector, with its secrets read from the environment.

    settings: entries of the channel that the platform itself doesn't define. secrets: setting name without `_env` to
    value; never shown by repr. inherited: of a destination, the names of those it has from its channel.
    """

    channel: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    inherited: frozenset[str] = frozenset()
