"""Connector `shopify`: cost, nested pages, and notices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.connectors import shopify
from pipelines.connectors.protocol import BadSignatureError, Options
from pipelines.errors import ConfigurationError
from pipelines.http import CredentialsError, DoubtfulError, RefusedError, waiting
from tests.support.platform_server import Answer
from tests.support.shapes import shape
from tests.support.shopify_server import TOKEN, WEBHOOK_SECRET, ShopifyServer

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[ShopifyServer]:
    monkeypatch.setattr(waiting, "sleep", waits.append)
    with ShopifyServer() as running:
        yield running


@pytest.fixture
def connector(server: ShopifyServer) -> shopify.ShopifyConnector:
    return shopify.connect(server.options())


def pulled(connector, feed="orders"):
    return [row for page in connector.pull(feed, NOW - HOUR, NOW) for row in page.records[feed]]


def test_a_page_that_is_too_dear_is_halved_and_nothing_is_lost(server, connector):
    server.dearest = 20.0
    ids = server.seed(60, NOW)

    assert [row["order_id"] for row in pulled(connector)] == ids


def test_an_empty_bucket_is_waited_for_as_long_as_it_takes_to_refill(server, connector, monkeypatch):
    ids = server.seed(3, NOW)
    pulled(connector)
    server.available, server.restores = 0.0, 10.0
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        server.available += seconds * server.restores

    monkeypatch.setattr(waiting, "sleep", sleep)

    assert [row["order_id"] for row in pulled(connector)] == ids
    assert 5 < waits[0] < 6


def test_lines_beyond_the_first_nested_page_are_read_too(server, connector, monkeypatch):
    ids = server.seed(1, NOW)
    order = server.nodes["orders"][f"gid://shopify/Order/{ids[0]}"]
    rest = order["lineItems"]["nodes"].pop()
    order["lineItems"]["pageInfo"] = {"hasNextPage": True, "endCursor": "c1"}
    whole = server._data

    def data(document, variables):
        if document.startswith("query more"):
            assert variables == {"id": order["id"], "after": "c1"}
            page = {"nodes": [rest], "pageInfo": {"hasNextPage": False, "endCursor": None}}
            return {"node": {"lineItems": page}}
        return whole(document, variables)

    monkeypatch.setattr(server, "_data", data)
    (row,) = pulled(connector)

    assert [line["line_id"] for line in row["lines"]] == ["9000000000001", "9000000000002"]


def coded(code: str) -> dict[str, object]:
    return {"message": "x", "extensions": {"code": code}}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"errors": [coded("ACCESS_DENIED")], "data": {"orders": None}}, CredentialsError),
        ({"errors": [coded("INTERNAL_SERVER_ERROR")]}, DoubtfulError),
        ({"errors": [{"message": "Field 'nope' doesn't exist"}]}, RefusedError),
        ({"errors": "Not Found"}, RefusedError),
        ({"data": None}, DoubtfulError),
        ({}, DoubtfulError),
        ([], DoubtfulError),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_success_is_never_an_empty_page(server, connector, body, error):
    pulled(connector)
    whole = server.answer
    server.answer = lambda call: whole(call) if "oauth" in call.path else Answer(body)

    with pytest.raises(error):
        pulled(connector)


def test_a_record_that_makes_no_sense_stops_nothing_and_is_kept(server, connector):
    ids = server.seed(3, NOW)
    server.nodes["orders"][f"gid://shopify/Order/{ids[1]}"]["transactions"] = None
    rows = pulled(connector)

    assert [row.get("order_id") for row in rows] == [ids[0], None, ids[2]]
    assert rows[1]["untranslated"]["legacyResourceId"] == ids[1]


def test_a_token_of_a_custom_app_goes_without_a_login(server):
    connector = shopify.connect(Options("mall", {"url": server.url}, {"access_token": TOKEN}))
    server.seed(1, NOW)

    assert len(pulled(connector)) == 1
    assert all("oauth" not in call.path for call in server.calls)
    assert connector.capabilities().has_webhooks is False


def test_credentials_are_never_sent_without_tls():
    with pytest.raises(ConfigurationError, match=r"'mall'.*https://"):
        shopify.connect(Options("mall", {"url": "http://shop.example"}, {"access_token": TOKEN}))


def signed(topic: str, content: object) -> tuple[dict[str, str], bytes]:
    body = json.dumps(content).encode()
    digest = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-shopify-hmac-sha256": digest, "x-shopify-topic": topic, "x-shopify-webhook-id": "w1"}, body


@pytest.mark.parametrize(
    ("topic", "content", "about"),
    [
        ("orders/paid", {"id": 7}, [("orders", "7")]),
        ("refunds/create", {"id": 9, "order_id": 7}, [("orders", "7")]),
        ("customers/update", {"id": 8}, [("members", "8")]),
        ("inventory_levels/update", {"inventory_item_id": 3, "location_id": 1}, [("inventory", "3")]),
        ("app/uninstalled", {"id": 1}, []),
    ],
)
def test_a_notice_names_the_record_to_read_again(connector, topic, content, about):
    events = connector.verify_webhook(*signed(topic, content), {})

    assert [(event.feed, event.source_id) for event in events] == about


@pytest.mark.parametrize("content", [{}, {"id": None}, {"id": True}, [], "x", {"id": {"a": 1}}])
def test_a_notice_without_a_record_is_told(connector, content):
    with pytest.raises(ValueError, match="names no record"):
        connector.verify_webhook(*signed("orders/paid", content), {})


def test_a_signature_over_other_bytes_is_refused(connector):
    headers, body = signed("orders/paid", {"id": 7})

    with pytest.raises(BadSignatureError):
        connector.verify_webhook(headers, body.replace(b"7", b"8"), {})


def test_stock_is_counted_per_location(server, connector):
    server.seed(1, NOW)
    (row,) = pulled(connector, "inventory")

    assert row == {
        "store_id": "4000000000001", "sku": "TEA-01", "counted_at": "2026-03-01T00:00:00Z", "on_hand": 42,
        "reserved": 3,
    }  # fmt: skip
    assert shape("shopify", "inventory_item")["sku"] == row["sku"]
