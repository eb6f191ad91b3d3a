"""Connector `shopify`: orders, customers, products, stock, prices, locations and coupons of the Admin API.

Belongs here: which reads make which feeds, and the webhook's signature. Does not belong here: GraphQL itself
(shopify_api), selections (shopify_documents) and what the fields mean (shopify_rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pipelines.connectors import shopify_documents as documents
from pipelines.connectors import shopify_rows as rows
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
from pipelines.connectors.shopify_api import PAGE_SIZE, Listing, Shopify, open_shop
from pipelines.connectors.signatures import is_hmac_sha256
from pipelines.errors import OmnilakeError

_LISTINGS: dict[str, tuple[Listing, tuple[str, ...]]] = {
    "orders": (documents.ORDERS, ("orders", "refunds")),
    "members": (documents.CUSTOMERS, ("members",)),
    "products": (documents.PRODUCTS, ("products", "prices")),
    "inventory": (documents.INVENTORY, ("inventory",)),
    "coupons": (documents.COUPONS, ("coupons",)),
}
"""The feed that is asked for, where it is read, and the feeds that a read of it yields."""

_FETCH_SIZE = 20

_TOPICS = {
    "orders": ("orders", "id"),
    "refunds": ("orders", "order_id"),
    "order_transactions": ("orders", "order_id"),
    "customers": ("members", "id"),
    "products": ("products", "id"),
    "inventory_levels": ("inventory", "inventory_item_id"),
}
"""First part of a webhook's topic: the feed to read again, and where its body names the record."""


def connect(options: Options) -> ShopifyConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy."""
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    secret = read.secret("webhook_secret", None) or read.secret("client_secret", None)
    read.end()
    return ShopifyConnector(options.channel, shop, secret)


class ShopifyConnector:
    """One shop's pull side."""

    def __init__(self, channel: str, shop: Shopify, webhook_secret: str | None = None) -> None:
        self.channel = channel
        self._shop = shop
        self._webhook_secret = webhook_secret
        self._currency: str | None = None

    def capabilities(self) -> Capabilities:
        by_time = FeedCapability(page_size=PAGE_SIZE)
        return Capabilities(
            feeds={
                "orders": by_time,
                "members": by_time,
                "products": by_time,
                # Whether a new count moves the item's time is not documented: everything is counted once a day.
                "inventory": FeedCapability(
                    page_size=PAGE_SIZE, sweep_every=timedelta(days=1), sweep_span=timedelta(days=3650)
                ),
                "coupons": by_time,
                "stores": FeedCapability(is_incremental=False, page_size=50),
            },
            fetches=frozenset({"orders", "members", "products", "inventory"}),
            has_webhooks=self._webhook_secret is not None,
        )

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        if feed == "stores":
            yield from self._stores(state)
            return
        listing, feeds = _LISTINGS[feed]
        for nodes, cursor in self._shop.changed(listing, since, until, (state or {}).get("cursor")):
            found = gather(feeds, [self._rows(feed, node) for node in nodes])
            yield Page(found, {"cursor": cursor} if cursor else None)

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        listing, feeds = _LISTINGS[feed]
        wanted = list(dict.fromkeys(source_ids))
        found: list[Rows] = []
        for start in range(0, len(wanted), _FETCH_SIZE):
            nodes = self._shop.nodes(listing, wanted[start : start + _FETCH_SIZE])
            found += [self._rows(feed, node) for node in nodes]
        return Page(gather(feeds, found))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        signature = headers.get("x-shopify-hmac-sha256", "")
        if self._webhook_secret is None or not is_hmac_sha256(self._webhook_secret, body, signature):
            raise BadSignatureError("The webhook's signature is not that of this shop's secret.")
        topic = headers.get("x-shopify-topic", "").split("/", 1)[0]
        if topic not in _TOPICS:
            return []
        feed, name = _TOPICS[topic]
        try:
            source_id = json.loads(body)[name]
        except (ValueError, KeyError, TypeError):
            source_id = None
        if not isinstance(source_id, int | str) or isinstance(source_id, bool) or not source_id:
            raise ValueError(f"a webhook of topic {topic} names no record")
        event_id = headers.get("x-shopify-event-id") or headers.get("x-shopify-webhook-id", "")
        return [WebhookEvent(feed, str(source_id), event_id, headers.get("x-shopify-triggered-at"))]

    def check(self) -> list[Check]:
        try:
            self._shop.query(documents.SHOP)
        except OmnilakeError as error:
            return [Check("Shopify takes our credentials", False, str(error), "See docs/platforms/shopify.md.")]
        return [Check("Shopify takes our credentials", True, "it does")]

    def _rows(self, feed: str, node: dict[str, Any]) -> Rows:
        match feed:
            case "orders":
                self._complete(node, "Order", "lineItems", documents.LINE_ITEM)
                for refund in node.get("refunds") or []:
                    self._complete(refund, "Refund", "refundLineItems", documents.REFUND_LINE_ITEM)
                return translated(feed, node, rows.order_rows)
            case "members":
                return translated(feed, node, rows.member_rows)
            case "products":
                self._complete(node, "Product", "variants", documents.VARIANT)
                return translated(feed, node, partial(rows.product_rows, currency=self._shop_currency()))
            case "inventory":
                self._complete(node, "InventoryItem", "inventoryLevels", documents.LEVEL)
                return translated(feed, node, rows.inventory_rows)
            case _:
                return translated(feed, node, rows.coupon_rows)

    def _complete(self, node: dict[str, Any], type_name: str, field: str, fields: str) -> None:
        connection = node.get(field) if isinstance(node, dict) else None
        if isinstance(connection, dict) and (connection.get("pageInfo") or {}).get("hasNextPage"):
            node[field] = {"nodes": self._shop.whole(node, type_name, field, fields)}

    def _shop_currency(self) -> str:
        if self._currency is None:
            self._currency = str(self._shop.query(documents.SHOP)["shop"]["currencyCode"])
        return self._currency

    def _stores(self, state: Mapping[str, Any] | None) -> Iterator[Page]:
        cursor = (state or {}).get("cursor")
        while True:
            found = self._shop.query(documents.LOCATIONS, {"after": cursor})["locations"]
            cursor = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
            stores = [translated("stores", node, rows.store_rows) for node in found["nodes"]]
            yield Page(gather(("stores",), stores), {"cursor": cursor} if cursor else None)
            if cursor is None:
                return
