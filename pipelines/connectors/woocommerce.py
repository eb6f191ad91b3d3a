"""Connector `woocommerce`: orders with refunds, customers, products with prices and stock, and coupons.

Belongs here: which lists a feed reads, and the webhook's signature. Does not belong here: the API's manners
(woocommerce_api) and what its fields mean (woocommerce_rows).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pipelines.connectors import woocommerce_rows as rows
from pipelines.connectors.backwards import pages_backwards
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
from pipelines.connectors.signatures import is_hmac_sha256
from pipelines.connectors.woocommerce_api import DECIMALS, PAGE_SIZE, WooCommerce, open_shop
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.feeds.contract import ORDER_STATUSES

_PATHS = {"orders": "/orders", "members": "/customers", "products": "/products", "coupons": "/coupons"}
_YIELDS = {
    "orders": ("orders", "refunds"),
    "members": ("members",),
    "products": ("products", "prices", "inventory"),
    "coupons": ("coupons",),
}
_MORE: dict[str, dict[str, Any]] = {"orders": {"dp": DECIMALS, "status": "any"}, "members": {"role": "all"}}
_RESOURCES = {"order": "orders", "customer": "members", "product": "products", "coupon": "coupons"}
_EVER = timedelta(days=3650)
_SECOND = timedelta(seconds=1)


def connect(options: Options) -> WooCommerceConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_shop`: store_id (of the stock counts), statuses (mapping of the shop's own order
    statuses to the contract's), consent_meta (key of the customers' meta data that says whether they agreed to
    advertisements).
    """
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    store_id = read.text("store_id", "online")
    consent_meta = read.text("consent_meta", None, "the key of a customer's meta data")
    statuses = {str(word): str(status) for word, status in read.mapping("statuses").items()}
    secret = read.secret("webhook_secret", None)
    read.end()
    if not set(statuses.values()) <= set(ORDER_STATUSES):
        raise ConfigurationError(
            f"channels.yml: channel {options.channel!r} has unusable statuses; map the shop's own words to: "
            f"{', '.join(ORDER_STATUSES)}."
        )
    return WooCommerceConnector(options.channel, shop, store_id, statuses, consent_meta, secret)


class WooCommerceConnector:
    """One shop's pull side."""

    def __init__(
        self,
        channel: str,
        shop: WooCommerce,
        store_id: str,
        statuses: Mapping[str, str],
        consent_meta: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        self.channel = channel
        self._shop = shop
        self._store_id = store_id
        self._statuses = statuses
        self._consent_meta = consent_meta
        self._webhook_secret = webhook_secret

    def capabilities(self) -> Capabilities:
        return Capabilities(
            feeds={
                # Whether a partial refund moves its order is not documented: the last weeks are read again every day.
                "orders": FeedCapability(
                    page_size=PAGE_SIZE, sweep_every=timedelta(days=1), sweep_span=timedelta(days=45)
                ),
                # The list of customers can't be asked for changes.
                "members": FeedCapability(is_incremental=False, page_size=PAGE_SIZE),
                # A sale counts stock down without moving the product.
                "products": FeedCapability(page_size=PAGE_SIZE, sweep_every=timedelta(days=1), sweep_span=_EVER),
                "coupons": FeedCapability(page_size=PAGE_SIZE),
            },
            fetches=frozenset(_PATHS),
            has_webhooks=self._webhook_secret is not None,
        )

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        params = {**_MORE.get(feed, {}), "orderby": "id", "order": "asc"}
        if feed != "members":
            # Both bounds are exclusive, and know whole seconds.
            after, before = since.replace(microsecond=0) - _SECOND, until.replace(microsecond=0) + _SECOND
            params |= {
                "modified_after": after.strftime("%Y-%m-%dT%H:%M:%S"),
                "modified_before": before.strftime("%Y-%m-%dT%H:%M:%S"),
                "dates_are_gmt": "true",
            }
        ask = partial(self._shop.page, _PATHS[feed], params)
        for records, page in pages_backwards(ask, (state or {}).get("page")):
            yield Page(self._translated(feed, records), {"page": page} if page else None)

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        wanted = [source_id for source_id in dict.fromkeys(source_ids) if source_id.isdigit()]
        records: list[Any] = []
        for start in range(0, len(wanted), PAGE_SIZE):
            include = ",".join(wanted[start : start + PAGE_SIZE])
            records += self._shop.page(_PATHS[feed], {**_MORE.get(feed, {}), "include": include})[0]
        return Page(self._translated(feed, records))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        signature = headers.get("x-wc-webhook-signature", "")
        if self._webhook_secret is None or not is_hmac_sha256(self._webhook_secret, body, signature):
            raise BadSignatureError("The webhook's signature is not that of this shop's secret.")
        feed = _RESOURCES.get(headers.get("x-wc-webhook-topic", "").split(".", 1)[0])
        if feed is None:
            return []
        try:
            record = json.loads(body)
            source_id, version = int(record["id"]), record.get("date_modified_gmt")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"a webhook about {feed} names no record") from None
        event_id = headers.get("x-wc-webhook-delivery-id") or hashlib.sha256(body).hexdigest()
        return [WebhookEvent(feed, str(source_id), event_id, None if version is None else str(version))]

    def check(self) -> list[Check]:
        try:
            self._shop.page("/orders", {"per_page": 1})
        except OmnilakeError as error:
            return [Check("WooCommerce takes our credentials", False, str(error), "See docs/platforms/woocommerce.md.")]
        return [Check("WooCommerce takes our credentials", True, "it does")]

    def _translated(self, feed: str, records: Sequence[Any]) -> Rows:
        return gather(_YIELDS[feed], [self._rows(feed, record) for record in records])

    def _rows(self, feed: str, record: Any) -> Rows:
        match feed:
            case "orders":
                refunds = self._refunds(record)
                return translated(feed, record, partial(self._order, refunds))
            case "members":
                return translated(feed, record, partial(rows.member_rows, consent_meta=self._consent_meta))
            case "products":
                variations = self._variations(record)
                return translated(feed, record, partial(self._product, variations))
            case _:
                return translated(feed, record, partial(rows.coupon_rows, currency=self._shop.currency()))

    def _order(self, refunds: list[Any], order: Any) -> Rows:
        return rows.order_rows(order, refunds, self._statuses)

    def _product(self, variations: list[Any], product: Any) -> Rows:
        return rows.product_rows(product, variations, self._store_id, self._shop.currency())

    def _refunds(self, order: Any) -> list[Any]:
        """The order itself only sums its refunds up; their lines stand at an address of their own."""
        if not isinstance(order, dict) or not order.get("refunds") or not isinstance(order.get("id"), int):
            return []
        return self._shop.all(f"/orders/{order['id']}/refunds", {"dp": DECIMALS})

    def _variations(self, product: Any) -> list[Any]:
        if not isinstance(product, dict) or product.get("type") != "variable" or not isinstance(product.get("id"), int):
            return []
        return self._shop.all(f"/products/{product['id']}/variations", {})
