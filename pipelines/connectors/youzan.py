"""Connector `youzan` 有赞: orders, refunds, customers, and articles with prices and stock.

Belongs here: which calls make which feeds, and the webhook's signature. Does not belong here: the calls' manners
(youzan_api) and what their fields mean (youzan_rows).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, floor
from typing import Any
from urllib.parse import unquote

from pipelines.connectors import youzan_api as api
from pipelines.connectors import youzan_rows as rows
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import (
    BadSignatureError,
    Capabilities,
    Check,
    FeedCapability,
    Options,
    Page,
    WebhookEvent,
)
from pipelines.connectors.rows import Rows, gather, translated
from pipelines.connectors.signatures import same
from pipelines.connectors.times import CHINA, china_text, from_epoch, iso
from pipelines.connectors.youzan_api import Endpoint, Youzan, open_shop
from pipelines.errors import OmnilakeError

_YIELDS = {
    "orders": ("orders",),
    "refunds": ("refunds",),
    "members": ("members",),
    "products": ("products", "prices", "inventory"),
}
_WIDEST = timedelta(days=89)
"""Three months are allowed, and the shortest three have 89 days."""
_EVER = timedelta(days=3650)
_Call = tuple[Endpoint, Callable[[int, int], Mapping[str, Any]], Callable[[Any], tuple[list[Any], Any]]]
_SHOP = 0
"""`channel` of articles: the web shop."""


def connect(options: Options) -> YouzanConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_shop`: store_id (of the stock counts; the shop's kdt_id by default).
    """
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    store_id = read.text("store_id", shop.kdt_id)
    client_id, secret = read.text("client_id"), read.secret("client_secret")
    read.end()
    return YouzanConnector(options.channel, shop, store_id, client_id, secret)


class YouzanConnector:
    """One shop's pull side."""

    webhook_answer = ("application/json", '{"code": 0, "msg": "success"}')
    """Without the word `success` Youzan takes a message for undelivered."""

    def __init__(self, channel: str, shop: Youzan, store_id: str, client_id: str, client_secret: str) -> None:
        self.channel = channel
        self._shop = shop
        self._store_id = store_id
        self._client_id = client_id
        self._client_secret = client_secret

    def capabilities(self) -> Capabilities:
        # Its lists lag behind its records, by tens of seconds as it says itself.
        lag = timedelta(minutes=10)
        return Capabilities(
            feeds={
                "orders": FeedCapability(widest_window=_WIDEST, page_size=api.ORDERS.page_size, overlap=lag),
                "refunds": FeedCapability(widest_window=_WIDEST, page_size=api.REFUNDS.page_size, overlap=lag),
                # Listed by when they came, so a change is only seen when everybody is read again, or by a webhook.
                "members": FeedCapability(
                    page_size=api.CUSTOMERS.page_size, overlap=lag, sweep_every=timedelta(days=7), sweep_span=_EVER
                ),
                # A sale counts stock down without moving the article.
                "products": FeedCapability(
                    page_size=api.ITEMS.page_size, overlap=lag, sweep_every=timedelta(days=1), sweep_span=_EVER
                ),
            },
            fetches=frozenset(_YIELDS),
            has_webhooks=True,
        )

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        calls: dict[str, _Call] = {
            "orders": (api.ORDERS, _orders_body, _orders_found),
            "refunds": (api.REFUNDS, _refunds_body, _refunds_found),
            "members": (api.CUSTOMERS, _customers_body, _customers_found),
            "products": (api.ITEMS, partial(_items_body, int(self._shop.kdt_id)), _items_found),
        }
        endpoint, body_of, rows_of = calls[feed]
        first, last = floor(since.timestamp()), ceil(until.timestamp())
        for found, after in self._shop.windows(endpoint, body_of, rows_of, first, last, state):
            made = [self._rows(feed, record, until) for record in found]
            yield Page(gather(_YIELDS[feed], made), after)

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        now = datetime.now(UTC)
        made = []
        for source_id in dict.fromkeys(source_ids):
            record = self._single(feed, source_id)
            if record is not None:
                made.append(self._rows(feed, record, now))
        return Page(gather(_YIELDS[feed], made))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        signed = self._client_id.encode() + body + self._client_secret.encode()
        expected = hashlib.md5(signed, usedforsecurity=False).hexdigest()  # Youzan's choice
        if not same(expected, headers.get("event-sign", "").lower()):
            raise BadSignatureError("The webhook's signature is not that of this app.")
        try:
            notice = json.loads(body)
            message = notice.get("msg") or {}
            if isinstance(message, str):
                message = json.loads(unquote(message))
            if notice.get("test") or str(notice.get("kdt_id", self._shop.kdt_id)) != self._shop.kdt_id:
                return []
            about = _about(str(notice.get("type") or headers.get("event-type", "")), notice, message)
        except (ValueError, AttributeError, TypeError, KeyError):
            raise ValueError("a webhook of Youzan can't be read") from None
        event_id = str(notice.get("msg_id") or hashlib.sha256(body).hexdigest())
        version = notice.get("version")
        return [
            WebhookEvent(feed, source_id, event_id, None if version is None else str(version))
            for feed, source_id in about
        ]

    def check(self) -> list[Check]:
        now = datetime.now(CHINA)
        body = {**_orders_body(floor(now.timestamp()) - 60, floor(now.timestamp())), "page_no": 1, "page_size": 1}
        try:
            self._shop.ask(api.ORDERS, body)
        except OmnilakeError as error:
            return [Check("Youzan takes our credentials", False, str(error), "See docs/platforms/youzan.md.")]
        return [Check("Youzan takes our credentials", True, "it does")]

    def _rows(self, feed: str, record: Any, seen_at: datetime) -> Rows:
        match feed:
            case "orders":
                return translated(feed, record, rows.order_rows)
            case "refunds":
                return translated(feed, record, partial(self._refund, self._detail_of(record)))
            case "members":
                return translated(feed, record, partial(rows.member_rows, seen_at=seen_at))
            case _:
                item = self._item(record)
                changed_at = from_epoch(_get(record, "update_time")) or iso(seen_at.replace(microsecond=0))
                return translated(feed, item, partial(rows.item_rows, store_id=self._store_id, updated_at=changed_at))

    def _refund(self, detail: Mapping[str, Any], found: Any) -> Rows:
        return rows.refund_rows(found, detail)

    def _detail_of(self, refund: Any) -> Mapping[str, Any]:
        """What only the single call says of a refund that went through: its line and when."""
        if _get(refund, "status") != "SUCCESS" or "oid" in refund:
            return refund if isinstance(refund, dict) else {}
        return self._shop.record(api.REFUND, {"refund_id": str(_get(refund, "refund_id"))}) or {}

    def _item(self, listed: Any) -> Any:
        """The article with its specifications; as it was listed if it is gone meanwhile."""
        item_id = _get(listed, "item_id")
        if not str(item_id or "").isdigit() or "sku_list" in listed:
            return listed
        return self._shop.record(api.ITEM, self._item_body(item_id)) or listed

    def _item_body(self, item_id: Any) -> dict[str, Any]:
        return {"request": {"kdt_id": int(self._shop.kdt_id), "item_id": int(item_id), "channel": _SHOP}}

    def _single(self, feed: str, source_id: str) -> Any:
        match feed:
            case "orders":
                return self._shop.record(api.ORDER, {"tid": source_id})
            case "refunds":
                found = self._shop.record(api.REFUND, {"refund_id": source_id})
                return found and {"refund_id": source_id, "modified": found.get("update_time"), **found}
            case "members":
                account = {"account_type": 5, "account_id": source_id}
                asked = {"yz_open_id": source_id, "account_info": account, "fields": "user_base,credit"}
                found = self._shop.record(api.CUSTOMER, asked)
                return found and {"yz_open_id": source_id, **found}
            case _:
                return self._shop.record(api.ITEM, self._item_body(source_id)) if source_id.isdigit() else None


def _about(event_type: str, notice: Mapping[str, Any], message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The records that a notice is about, by feed."""
    if "refund" in event_type.lower():
        found = [("refunds", message.get("refund_id")), ("orders", message.get("tid") or notice.get("id"))]
    elif event_type.lower().startswith(("trade_", "youzan_trade_")):
        whole = (message.get("full_order_info") or {}).get("order_info") or {}
        found = [("orders", whole.get("tid") or message.get("tid") or notice.get("id"))]
    elif event_type == "SCRM_CUSTOMER_EVENT":
        found = [("members", message.get("yz_open_id"))]
    elif event_type.startswith(("ITEM_", "youzan_item_")):
        found = [("products", message.get("item_id") or message.get("itemId") or notice.get("id"))]
    else:
        found = []
    return [(feed, str(source_id)) for feed, source_id in found if source_id]


def _get(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, dict) else None


def _orders_body(first: int, last: int) -> dict[str, Any]:
    return {"start_update": _china(first), "end_update": _china(last)}


def _orders_found(data: Any) -> tuple[list[Any], Any]:
    return data.get("full_order_info_list") or [], data.get("total_results")


def _refunds_body(first: int, last: int) -> dict[str, Any]:
    return {"update_time_start": first, "update_time_end": last}


def _refunds_found(data: Any) -> tuple[list[Any], Any]:
    return data.get("refunds") or [], data.get("total")


def _customers_body(first: int, last: int) -> dict[str, Any]:
    return {"created_at_start": first, "created_at_end": last}


def _customers_found(data: Any) -> tuple[list[Any], Any]:
    return data.get("record_list") or [], data.get("total")


def _items_body(kdt_id: int, first: int, last: int) -> dict[str, Any]:
    span = {"min_update_time": first * 1000, "max_update_time": last * 1000}
    return {"kdt_id": kdt_id, "channel": _SHOP, "item_range_query": span, "sorts": ["UPDATE_TIME_ASC"]}


def _items_found(data: Any) -> tuple[list[Any], Any]:
    return data.get("items") or [], (data.get("paginator") or {}).get("total_count")


def _china(seconds: int) -> str:
    return china_text(datetime.fromtimestamp(seconds, UTC))
