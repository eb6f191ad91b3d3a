"""Records that webhooks spoke of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pipelines import inbox
from pipelines.connectors.protocol import Page, WebhookEvent
from pipelines.http import UnreachableError
from pipelines.pulling.state import pull_states
from tests.unit.pulling.conftest import NOON, PulledHome, failing_at, minutes, stocked

DAY = timedelta(days=1)


def test_records_that_webhooks_spoke_of_are_read_again_and_their_notices_forgotten(home: PulledHome):
    shop = stocked()
    home.pull(shop)
    shop.put("o1", NOON - minutes(40), paid_amount="77")
    notices = [WebhookEvent("orders", order_id, f"n{order_id}") for order_id in ("o1", "o1", "o2", "unknown")]
    inbox.append(home.settings, "mall", [*notices, WebhookEvent("members", "m", "n")])
    report = home.pull(shop, at=NOON + minutes(1))

    assert shop.fetched == [["o1", "o2", "unknown"]]
    assert [(feed.feed, feed.received, feed.landed) for feed in report.feeds] == [
        ("orders", 4, 0),
        ("webhooks", 2, 1),
    ]
    assert home.rows()[-1]["paid_amount"] == "77"
    assert inbox.waiting_files(home.settings, "mall") == []


def test_notices_stay_until_their_records_are_landed(home: PulledHome):
    shop = stocked(feeds=())
    inbox.append(home.settings, "mall", [WebhookEvent("orders", "o1", "n1")])
    fetch = shop.fetch
    shop.fetch = lambda *_: failing_at(1, UnreachableError("No connection."))("", 1)  # type: ignore[method-assign]
    failed = home.pull(shop)
    shop.fetch = fetch  # type: ignore[method-assign]
    home.pull(shop, at=NOON + minutes(1))

    assert [feed.feed for feed in failed.failures] == ["webhooks"]
    assert home.ids() == {"o1": 1}
    home.pull(shop, at=NOON + minutes(2))
    assert pull_states(home.engine) == []


def test_one_refused_id_does_not_keep_the_others(home: PulledHome):
    shop = stocked(feeds=(), refused_ids={"o3"})
    inbox.append(home.settings, "mall", [WebhookEvent("orders", f"o{number}", f"n{number}") for number in range(5)])
    report = home.pull(shop)

    assert report.failures == []
    assert set(home.ids()) == {"o0", "o1", "o2", "o4"}
    assert inbox.waiting_files(home.settings, "mall") == []


def test_notices_that_keep_coming_do_not_hold_the_pull(home: PulledHome):
    shop = stocked(feeds=())
    fetch = shop.fetch

    def fetch_while_another_comes(feed: str, ids: Any) -> Page:
        inbox.append(home.settings, "mall", [WebhookEvent("orders", "o2", f"n{len(shop.fetched)}")])
        return fetch(feed, ids)

    shop.fetch = fetch_while_another_comes  # type: ignore[method-assign]
    inbox.append(home.settings, "mall", [WebhookEvent("orders", "o1", "n")])
    home.pull(shop)

    assert shop.fetched == [["o1"]]
    assert len(inbox.waiting_files(home.settings, "mall")) == 1
