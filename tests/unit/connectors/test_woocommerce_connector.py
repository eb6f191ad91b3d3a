"""Connector `woocommerce`: pages, refunds, and notices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.connectors import woocommerce
from pipelines.connectors.protocol import BadSignatureError
from pipelines.errors import ConfigurationError
from pipelines.http import CredentialsError, DoubtfulError, RefusedError, waiting
from tests.support.platform_server import Answer
from tests.support.woocommerce_server import WEBHOOK_SECRET, WooCommerceServer

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WooCommerceServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with WooCommerceServer() as running:
        yield running


@pytest.fixture
def connector(server: WooCommerceServer) -> woocommerce.WooCommerceConnector:
    return woocommerce.connect(server.options())


def pulled(connector, feed="orders"):
    return [row for page in connector.pull(feed, NOW - HOUR, NOW) for row in page.records[feed]]


def test_refunds_come_with_their_order_from_an_address_of_their_own(server, connector):
    server.seed(14, NOW)
    pages = list(connector.pull("orders", NOW - HOUR, NOW))
    refunds = [row for page in pages for row in page.records["refunds"]]

    assert {refund["order_id"] for refund in refunds} == {"1001", "1008"}
    asked = [call.path for call in server.calls if call.path.endswith("/refunds")]
    assert len(asked) == 2


def test_without_the_count_of_pages_a_full_page_is_no_whole_list(server, connector, monkeypatch):
    whole = server.answer
    monkeypatch.setattr(server, "answer", lambda call: Answer(whole(call).body))
    server.seed(99, NOW)
    assert len(pulled(connector)) == 99

    server.seed(1, NOW)
    with pytest.raises(RefusedError, match="X-WP-TotalPages"):
        pulled(connector)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer({"code": "rest_no_route", "message": "x"}), RefusedError),
        (Answer({"code": "x", "message": "y"}, 403), CredentialsError),
        (Answer({"orders": []}), DoubtfulError),
        (Answer(None), DoubtfulError),
        (Answer({"code": "x", "message": "y"}, 404), RefusedError),
    ],
)
def test_an_answer_that_is_no_list_is_never_an_empty_page(server, connector, monkeypatch, answer, error):
    monkeypatch.setattr(server, "answer", lambda _call: answer)

    with pytest.raises(error):
        pulled(connector)


def test_a_record_that_makes_no_sense_stops_nothing_and_is_kept(server, connector):
    ids = server.seed(3, NOW)
    server.orders[ids[1]]["line_items"] = [{"id": 1}]
    rows = pulled(connector)

    assert [row.get("order_id") for row in rows] == [ids[0], None, ids[2]]
    assert rows[1]["untranslated"]["id"] == int(ids[1])


@pytest.mark.parametrize("statuses", [{"wc-packed": "packed"}, ["wc-packed"]])
def test_a_status_that_is_none_of_the_contracts_is_found_at_start(server, statuses):
    options = server.options()

    with pytest.raises(ConfigurationError, match=r"'mall'.*statuses"):
        woocommerce.connect(replace(options, settings={**options.settings, "statuses": statuses}))


def signed(topic: str, body: bytes) -> tuple[dict[str, str], bytes]:
    digest = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-wc-webhook-signature": digest, "x-wc-webhook-topic": topic}, body


@pytest.mark.parametrize(
    ("topic", "about"),
    [("order.created", [("orders", "7")]), ("customer.updated", [("members", "7")]),
     ("product.updated", [("products", "7")]), ("coupon.updated", [("coupons", "7")]), ("action.x", [])],
)  # fmt: skip
def test_a_notice_names_the_record_to_read_again(connector, topic, about):
    events = connector.verify_webhook(*signed(topic, json.dumps({"id": 7}).encode()), {})

    assert [(event.feed, event.source_id) for event in events] == about
    assert all(event.event_id for event in events)


def test_the_unsigned_greeting_and_a_notice_without_a_record_are_told_apart(connector):
    with pytest.raises(BadSignatureError):
        connector.verify_webhook({}, b"webhook_id=5", {})
    with pytest.raises(ValueError, match="names no record"):
        connector.verify_webhook(*signed("order.updated", b'{"phone": "13912345678"}'), {})


def test_ids_that_are_no_numbers_are_not_asked_for(server, connector):
    ids = server.seed(1, NOW)

    assert [row["order_id"] for row in connector.fetch("orders", [*ids, "x,1", "99"]).records["orders"]] == ids
    assert all("x" not in call.query.get("include", "") for call in server.calls)
