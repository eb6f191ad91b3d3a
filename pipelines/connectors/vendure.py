"""Vendure, an online mall: members, orders with refunds, products with stock and prices, coupons.

Belongs here: which lists a feed reads, in which passes, and webhooks. Does not belong here: the API's manners
(vendure_api), paging (vendure_walk), columns (vendure_rows), and what we send to it (destinations.vendure).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.connectors import vendure_documents as documents
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
from pipelines.connectors.vendure_api import LARGEST_PAGE, Node, VendureApi, api_time, instant, is_id, open_api
from pipelines.connectors.vendure_documents import Listing
from pipelines.connectors.vendure_lists import read_list
from pipelines.connectors.vendure_rows import (
    Row,
    coupon_row,
    member_row,
    order_rows,
    store_row,
    touched_at,
    variant_rows,
)
from pipelines.connectors.vendure_walk import Walk
from pipelines.errors import ConfigurationError
from pipelines.http import quick_calls

_ORDERS_A_PAGE = 100
"""An order brings its lines, payments, refunds and history, each of which costs the server a query."""
_MOMENTS_A_PAGE = 500
_VARIANTS_A_PAGE = 200
_SMALLEST_PAGE = 5
"""A page must hold more than the row that is read again."""
_ALL_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC))
_FETCHES = frozenset({"members", "orders", "products"})

Rows = dict[str, list[Row]]


def connect(options: Options) -> VendureConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_api`: stores (mapping of stock location id to store id), lookback_days (how long an
    order is watched for what moves none of its times), consent_field (boolean custom field of the customer: may be sent
    advertisements), page_size (the most rows a page: a server's `adminListQueryLimit`), webhook_secret_env.
    """
    read = SettingsReader(options)
    api = open_api(read)
    stores = {str(location): str(store) for location, store in read.mapping("stores").items()}
    lookback = timedelta(days=read.whole("lookback_days", 60, most=3650))
    consent_field = read.text("consent_field", None)
    most_rows = read.whole("page_size", LARGEST_PAGE, least=_SMALLEST_PAGE, most=LARGEST_PAGE)
    secret = read.secret("webhook_secret", None)
    read.end()
    if consent_field is not None and not re.fullmatch(r"[A-Za-z]\w*", consent_field):
        raise ConfigurationError(
            f"channels.yml: channel {options.channel!r} has an unusable consent_field; give the name of a boolean "
            "custom field of the customer."
        )
    return VendureConnector(options.channel, api, stores, lookback, consent_field, secret, most_rows)


class VendureConnector:
    """One Vendure channel. See `pipelines.connectors.protocol.Connector`."""

    def __init__(
        self,
        channel: str,
        api: VendureApi,
        stores: Mapping[str, str],
        lookback: timedelta,
        consent_field: str | None,
        webhook_secret: str | None,
        most_rows: int = LARGEST_PAGE,
    ) -> None:
        self.channel = channel
        self._api = api
        self._stores = stores
        self._lookback = lookback
        self._consent_field = consent_field
        self._customers = documents.customers(consent_field)
        self._webhook_secret = webhook_secret
        self._rows_a_page = most_rows
        self._orders_a_page = min(_ORDERS_A_PAGE, most_rows)
        self._moments_a_page = min(_MOMENTS_A_PAGE, most_rows)
        self._variants_a_page = min(_VARIANTS_A_PAGE, most_rows)

    def capabilities(self) -> Capabilities:
        """Orders are swept too: beyond `lookback_days`, only a sweep sees a late refund."""
        return Capabilities(
            feeds={
                "members": FeedCapability(page_size=self._rows_a_page),
                "orders": FeedCapability(
                    page_size=self._moments_a_page, sweep_every=timedelta(days=7), sweep_span=2 * self._lookback
                ),
                "products": FeedCapability(is_incremental=False, page_size=self._variants_a_page),
                "coupons": FeedCapability(page_size=self._rows_a_page),
                "stores": FeedCapability(is_incremental=False, page_size=self._rows_a_page),
            },
            fetches=_FETCHES,
            has_webhooks=self._webhook_secret is not None,
        )

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        match feed:
            case "members":
                walk = Walk("updatedAt", since, until, self._rows_a_page, {})
                yield from self._pages(walk, self._customers, self._members, state)
            case "orders":
                yield from self._orders(since, until, state)
            case "products":
                walk = Walk("createdAt", *_ALL_TIME, self._variants_a_page, {})
                yield from self._pages(walk, documents.VARIANTS, self._variants, state)
            case "coupons":
                walk = Walk("updatedAt", since, until, self._rows_a_page, {"couponCode": {"isNull": False}})
                yield from self._pages(walk, documents.PROMOTIONS, self._coupons, state)
            case "stores":
                walk = Walk("createdAt", *_ALL_TIME, self._rows_a_page, {})
                yield from self._pages(walk, documents.LOCATIONS, self._locations, state)
            case _:
                raise ValueError(f"Vendure has no feed {feed!r}")

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        return Page(self._fetched(feed, source_ids))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        if not self._webhook_secret:
            raise BadSignatureError("This channel takes no webhooks; set webhook_secret_env.")
        wanted = hmac.new(self._webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        given = headers.get("x-vendure-signature", "")
        if not hmac.compare_digest(wanted.encode(), given.strip().lower().encode()):
            raise BadSignatureError("The webhook is not signed with this channel's secret.")
        try:
            event = json.loads(body)
            feed, record, event_id = event["feed"], event["recordId"], event["id"]
        except (ValueError, KeyError, TypeError):
            raise ValueError("The webhook needs id, feed and recordId.") from None
        if feed not in _FETCHES or not all(isinstance(value, str) and value for value in (record, event_id)):
            raise ValueError(f"The webhook's feed must be one of {', '.join(sorted(_FETCHES))}, its ids texts.")
        return [WebhookEvent(feed, record, event_id)]

    def check(self) -> list[Check]:
        name = f"vendure {self.channel}"
        try:
            with quick_calls():
                channel = self._api.query(documents.PERMISSIONS)["activeChannel"]
        except Exception as error:  # noqa: BLE001 - whatever it is, doctor shows it
            remedy = "Check url, credentials, and the role's permissions (docs/platforms/vendure.md)."
            return [Check(name, False, str(error), remedy)]
        return [Check(name, True, f"answers; channel {channel['code']}, {channel['defaultCurrencyCode']}")]

    def _orders(self, since: datetime, until: datetime, state: Mapping[str, Any] | None) -> Iterator[Page]:
        """Three passes, because an order's updatedAt stands still when it is paid, shipped, delivered and refunded:
        what was placed in the window; what was placed earlier and changed in it; and what was placed earlier and had
        an event in it (of those, the times alone are read first)."""
        since = max(since, _ALL_TIME[0])
        before = {"orderPlacedAt": {"before": api_time(since)}}
        earlier = since - min(self._lookback, since - _ALL_TIME[0])
        placed = Walk("orderPlacedAt", since, until, self._orders_a_page, {})
        changed = Walk("updatedAt", since, until, self._orders_a_page, before)
        moved = Walk("orderPlacedAt", earlier, since, self._moments_a_page, {})
        passes: list[tuple[str, Walk, Listing, Callable[[Sequence[Node]], Rows]]] = [
            ("placed", placed, documents.ORDERS, self._order_rows),
            ("changed", changed, documents.ORDERS, self._order_rows),
            ("moved", moved, documents.ORDER_MOMENTS, lambda nodes: self._moved(nodes, since)),
        ]
        start = state["pass"] if state else "placed"
        names = [name for name, *_ in passes]
        place = state["place"] if state else None
        for name, walk, listing, translate in passes[names.index(start) :]:
            following = names[names.index(name) + 1] if name != names[-1] else None
            for page in self._pages(walk, listing, translate, place):
                if page.state is not None:
                    yield Page(page.records, {"pass": name, "place": page.state})
                elif following is not None:
                    yield Page(page.records, {"pass": following, "place": None})
                else:
                    yield page
            place = None

    def _moved(self, nodes: Sequence[Node], since: datetime) -> Rows:
        moved = [
            node["id"]
            for node in nodes
            if "unreadable" in node or instant(node["updatedAt"]) < since <= instant(touched_at(node))
        ]
        return self._fetched("orders", moved)

    def _fetched(self, feed: str, source_ids: Sequence[str]) -> Rows:
        if feed not in _FETCHES:
            raise ValueError(f"Vendure can't fetch records of {feed!r}")
        listing, translate, size = {
            "members": (self._customers, self._members, self._rows_a_page),
            "orders": (documents.ORDERS, self._order_rows, self._orders_a_page),
            "products": (documents.VARIANTS, self._variants, self._variants_a_page),
        }[feed]
        known = [source_id for source_id in source_ids if is_id(source_id)]
        batches = (known[start : start + size] for start in range(0, len(known), size))
        return _joined(
            translate(
                read_list(self._api, listing, {"take": size, "sort": {"id": "ASC"}, "filter": {"id": {"in": batch}}})
            )
            for batch in batches
        )

    def _pages(
        self, walk: Walk, listing: Listing, translate: Callable[[Sequence[Node]], Rows], state: Mapping[str, Any] | None
    ) -> Iterator[Page]:
        for nodes, after in walk.pages(lambda options: read_list(self._api, listing, options), state):
            yield Page(translate(nodes), after)

    def _members(self, nodes: Sequence[Node]) -> Rows:
        return _joined(
            _translated(
                "members",
                lambda node: {"members": [row] if (row := member_row(node, self._consent_field)) else []},
                node,
            )
            for node in nodes
        )

    def _order_rows(self, nodes: Sequence[Node]) -> Rows:
        digits = self._api.money_digits()
        return _joined(_translated("orders", lambda node: order_rows(node, digits), node) for node in nodes)

    def _coupons(self, nodes: Sequence[Node]) -> Rows:
        if not nodes:
            return {}
        digits = self._api.money_digits()
        currency = self._api.query(documents.CURRENCY)["activeChannel"]["defaultCurrencyCode"]
        return _joined(
            _translated("coupons", lambda node: {"coupons": [coupon_row(node, currency, digits)]}, node)
            for node in nodes
        )

    def _variants(self, nodes: Sequence[Node]) -> Rows:
        digits = self._api.money_digits()
        return _joined(
            _translated("products", lambda node: variant_rows(node, self._stores, self.channel, digits), node)
            for node in nodes
        )

    def _locations(self, nodes: Sequence[Node]) -> Rows:
        return _joined(
            _translated("stores", lambda node: {"stores": [store_row(node, self._stores, self.channel)]}, node)
            for node in nodes
        )


def _translated(feed: str, translate: Callable[[Node], Rows], node: Node) -> Rows:
    """The rows; the record as it is where it can't be understood, so that ingest quarantines it with its reason."""
    try:
        return translate(node)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return {feed: [dict(node)]}


def _joined(parts: Iterable[Rows]) -> Rows:
    rows: Rows = {}
    for part in parts:
        for feed, more in part.items():
            rows.setdefault(feed, []).extend(more)
    return rows
