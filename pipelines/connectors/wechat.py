"""Connector `wechat`: a WeChat shop 微信小店: orders, refunds, members, and products with prices and stock.

Belongs here: which calls make which feeds. Does not belong here: the calls' manners (wechat_api), what their fields
mean (wechat_rows), and how messages are sealed (wechat_messages).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, floor
from typing import Any

from pipelines.connectors import wechat_rows as rows
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
from pipelines.connectors.wechat_api import WeChat, concerns_us, open_account
from pipelines.connectors.wechat_messages import SealedMessages
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.http import RefusedError

_ORDERS, _ORDER = "/channels/ec/order/list/get", "/channels/ec/order/get"
_REFUNDS, _REFUND = "/channels/ec/aftersale/getaftersalelist", "/channels/ec/aftersale/getaftersaleorder"
_MEMBERS = "/channels/ec/vip/user/list/get"
_PRODUCTS, _PRODUCT = "/channels/ec/product/list/get", "/channels/ec/product/get"

_ORDERS_A_PAGE, _MEMBERS_A_PAGE, _PRODUCTS_A_PAGE = 100, 200, 30
_REFUNDS_A_PAGE = 100
"""Not ours to choose: what a page of the list of after-sale orders holds at most."""

_OPENED = datetime(2020, 1, 1, tzinfo=UTC)
"""No shop of this kind is older: a first pull need not ask for each day before."""

_YIELDS = {
    "orders": ("orders", "members"),
    "refunds": ("refunds",),
    "members": ("members",),
    "products": ("products", "prices", "inventory"),
}


def connect(options: Options) -> WeChatConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_account`: store_id (of the stock counts); for webhooks message_token_env and
    encoding_aes_key_env, both of the message push, which must be set to safe mode and JSON.
    """
    read = SettingsReader(options)
    account = open_account(read, options.channel)
    store_id, app_id = read.text("store_id", "online"), read.text("app_id")
    token, key = read.secret("message_token", None), read.secret("encoding_aes_key", None)
    read.end()
    messages = None
    if token and key:
        try:
            messages = SealedMessages(token, key, app_id)
        except ValueError:
            raise ConfigurationError(
                f"channels.yml: channel {options.channel!r} has encoding_aes_key_env, whose variable must hold the 43 "
                "characters that WeChat shows as EncodingAESKey."
            ) from None
    return WeChatConnector(options.channel, account, store_id, messages)


class WeChatConnector:
    """One shop's pull side."""

    webhook_answer = ("text/plain", "success")
    """WeChat takes another answer for a failure, and pushes the message again."""

    def __init__(self, channel: str, account: WeChat, store_id: str, messages: SealedMessages | None) -> None:
        self.channel = channel
        self._account = account
        self._store_id = store_id
        self._messages = messages

    def capabilities(self) -> Capabilities:
        overlap = timedelta(minutes=10)
        return Capabilities(
            feeds={
                "orders": FeedCapability(widest_window=timedelta(days=7), page_size=_ORDERS_A_PAGE, overlap=overlap),
                "refunds": FeedCapability(widest_window=timedelta(days=1), page_size=_REFUNDS_A_PAGE, overlap=overlap),
                "members": FeedCapability(is_incremental=False, page_size=_MEMBERS_A_PAGE),
                "products": FeedCapability(is_incremental=False, page_size=_PRODUCTS_A_PAGE),
            },
            fetches=frozenset({"orders", "refunds", "products"}),
            has_webhooks=self._messages is not None,
        )

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        if feed == "members":
            yield from self._members(until, (state or {}).get("page", 1))
            return
        if until < _OPENED:
            yield Page(gather(_YIELDS[feed], []))
            return
        first, last = floor(since.timestamp()), ceil(until.timestamp())
        lists: dict[str, tuple[str, dict[str, Any], str]] = {
            "orders": (
                _ORDERS,
                {"update_time_range": {"start_time": first, "end_time": last}, "page_size": _ORDERS_A_PAGE},
                "order_id_list",
            ),
            "refunds": (_REFUNDS, {"begin_update_time": first, "end_update_time": last}, "after_sale_order_id_list"),
            "products": (_PRODUCTS, {"page_size": _PRODUCTS_A_PAGE}, "product_ids"),
        }
        path, body, name = lists[feed]
        for ids, next_key in self._account.keys(path, body, name, (state or {}).get("next_key")):
            made = [self._listed(feed, source_id) for source_id in dict.fromkeys(ids)]
            yield Page(gather(_YIELDS[feed], made), {"next_key": next_key} if next_key else None)

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        made = []
        for source_id in dict.fromkeys(source_ids):
            try:
                record = self._single(feed, source_id)
            except RefusedError as error:
                if concerns_us(error):
                    raise
                continue
            if record is not None:
                made.append(self._rows(feed, record))
        return Page(gather(_YIELDS[feed], made))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        text = self._messages.opened(query, body) if self._messages else None
        if text is None:
            raise BadSignatureError("The message is not sealed and signed with this account's token and key.")
        try:
            message = json.loads(text) if text else {}
            return [
                WebhookEvent(feed, source_id, hashlib.sha256(text).hexdigest(), str(message.get("CreateTime", "")))
                for feed, source_id in _about(message)
            ]
        except (ValueError, AttributeError, TypeError):
            raise ValueError("a message of WeChat can't be read; set the message push to JSON") from None

    def check(self) -> list[Check]:
        now = floor(datetime.now(UTC).timestamp())
        body = {"update_time_range": {"start_time": now - 60, "end_time": now}, "page_size": 1, "next_key": ""}
        try:
            self._account.ask(_ORDERS, body)
        except OmnilakeError as error:
            return [Check("WeChat takes our credentials", False, str(error), "See docs/platforms/wechat.md.")]
        return [Check("WeChat takes our credentials", True, "it does")]

    def _single(self, feed: str, source_id: str) -> Any:
        path, name, result = {
            "orders": (_ORDER, "order_id", "order"),
            "refunds": (_REFUND, "after_sale_order_id", "after_sale_order"),
            "products": (_PRODUCT, "product_id", "product"),
        }[feed]
        return self._account.ask(path, {name: source_id}).get(result)

    def _listed(self, feed: str, source_id: str) -> Rows:
        """A record that a list names. One that is refused all the same is not lost: it goes to quarantine by its id."""
        refusal = None
        try:
            record = self._single(feed, source_id)
        except RefusedError as error:
            if concerns_us(error):
                raise
            record, refusal = None, error.code
        if record is None:
            return {feed: [{"untranslated": {"id": source_id, "errcode": refusal}}]}
        return self._rows(feed, record)

    def _rows(self, feed: str, record: Any) -> Rows:
        match feed:
            case "orders":
                return translated(feed, record, rows.order_rows)
            case "refunds":
                return translated(feed, record, rows.refund_rows)
            case _:
                return translated(feed, record, partial(rows.product_rows, store_id=self._store_id))

    def _members(self, until: datetime, page: int) -> Iterator[Page]:
        """The list has no times and no cursor: whoever leaves during the pull moves the others up, and the next pull
        reads everybody again."""
        while True:
            body = {"page_num": page, "page_size": _MEMBERS_A_PAGE, "need_phone_number": True}
            answer = self._account.ask(_MEMBERS, body)
            found = answer.get("list") or []
            page += 1
            more = len(found) == _MEMBERS_A_PAGE and (page - 1) * _MEMBERS_A_PAGE < int(answer.get("total_num") or 0)
            made = [translated("members", one, partial(rows.member_rows, seen_at=until)) for one in found]
            yield Page(gather(("members",), made), {"page": page} if more else None)
            if not more:
                return


def _about(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The records that a message is about, by feed."""
    order = (message.get("order_info") or {}).get("order_id")
    sale = message.get("finder_shop_aftersale_status_update") or {}
    found = [
        ("orders", order or sale.get("order_id")),
        ("refunds", sale.get("after_sale_order_id")),
        ("products", (message.get("ProductSpuAudit") or {}).get("product_id")),
    ]
    return [(feed, str(source_id)) for feed, source_id in found if source_id]
