"""A shop in memory with a clock, for the pull without HTTP; and what lies in landing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from pipelines.channels import Channels, load_channels
from pipelines.connectors.protocol import Capabilities, Check, FeedCapability, Page, WebhookEvent
from pipelines.pulling import PullReport, pull_all
from pipelines.settings import Settings
from pipelines.state import open_state

NOON = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


@dataclass
class MemoryShop:
    """Orders by id: (changed, row). A connector itself: keyset paging by (changed, id).

    before_page: called with the feed and the number of the page before each page is given; may raise, or change orders.
    windows: every window that was asked for.
    """

    channel: str = "mall"
    capability: FeedCapability = field(default_factory=lambda: FeedCapability(page_size=2))
    feeds: tuple[str, ...] = ("orders",)
    orders: dict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)
    before_page: Callable[[str, int], None] = lambda _feed, _number: None
    windows: list[tuple[datetime, datetime]] = field(default_factory=list)
    fetched: list[list[str]] = field(default_factory=list)
    refused_ids: set[str] = field(default_factory=set)
    pages: int = 0

    def put(self, order_id: str, changed: datetime, **more: Any) -> None:
        row = {"order_id": order_id, "updated_at": changed.isoformat(), "guest_phone": "13912345678", **more}
        self.orders[order_id] = (changed, row)

    def capabilities(self) -> Capabilities:
        return Capabilities(dict.fromkeys(self.feeds, self.capability), frozenset({"orders"}), True)

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        self.windows.append((since, until))
        after = tuple(state["after"]) if state else ("", "")
        while True:
            self.pages += 1
            self.before_page(feed, self.pages)
            whole = not self.capability.is_incremental
            found = sorted(
                (changed.isoformat(), order_id)
                for order_id, (changed, _) in self.orders.items()
                if (whole or since <= changed <= until) and (changed.isoformat(), order_id) > after
            )
            page = found[: self.capability.page_size]
            more = len(found) > len(page)
            yield Page(
                {feed: [self.orders[order_id][1] for _, order_id in page]}, {"after": page[-1]} if more else None
            )
            if not more:
                return
            after = page[-1]

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        from pipelines.http import RefusedError

        self.fetched.append(list(source_ids))
        if self.refused_ids & set(source_ids):
            raise RefusedError("One of them is refused.", status=422)
        return Page({feed: [self.orders[order_id][1] for order_id in source_ids if order_id in self.orders]})

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        return []

    def check(self) -> list[Check]:
        return [Check("credentials", True, "taken")]


@dataclass
class PulledHome:
    """A home whose channels are pulled from shops in memory."""

    settings: Settings
    channels: Channels
    engine: sa.Engine
    lines: list[str] = field(default_factory=list)

    def pull(self, *shops: Any, at: datetime = NOON) -> PullReport:
        connectors = {shop.channel: shop for shop in shops}
        return pull_all(self.settings, self.channels, self.engine, at, self.lines.append, connectors)

    def rows(self, channel: str = "mall", feed: str = "orders") -> list[dict[str, Any]]:
        """Every landed row, in the order in which ingest takes them."""
        files = sorted((self.settings.landing / channel / feed).glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def ids(self, channel: str = "mall", feed: str = "orders") -> Counter[str]:
        """How often each id was landed."""
        return Counter(row["order_id"] for row in self.rows(channel, feed))

    def newest(self) -> dict[str, Any]:
        """The row that wins of each id: ingest's rule."""
        newest: dict[str, Any] = {}
        for row in self.rows():
            if row["order_id"] not in newest or row["updated_at"] >= newest[row["order_id"]]["updated_at"]:
                newest[row["order_id"]] = row
        return newest


@pytest.fixture
def make_home(settings: Settings) -> Iterator[Callable[..., PulledHome]]:
    engines: list[sa.Engine] = []

    def make(**more: Any) -> PulledHome:
        path = settings.home / "reference" / "channels.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        entries = [{"id": name, "kind": "pc_web", "connector": "memory", **more} for name in ("mall", "outlet")]
        path.write_text(yaml.safe_dump({"timezone": "Asia/Shanghai", "channels": entries}))
        engines.append(open_state(settings))
        return PulledHome(settings, load_channels(settings), engines[-1])

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def home(make_home: Callable[..., PulledHome]) -> PulledHome:
    """First pulls begin the day before."""
    return make_home(since="2026-03-30")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def stocked(count: int = 5, **options: Any) -> MemoryShop:
    """Orders o0, o1, … changed a minute apart, the last at 11:59."""
    shop = MemoryShop(**options)
    for number in range(count):
        shop.put(f"o{number}", NOON - minutes(count - number), paid_amount="10.10")
    return shop


def failing_at(page: int, error: Exception) -> Any:
    def fail(_feed: str, number: int) -> None:
        if number == page:
            raise error

    return fail
