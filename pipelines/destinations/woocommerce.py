"""Destination `woocommerce`: tags and recommendations as customer meta data, coupons for one e-mail address.

Belongs here: our records as WooCommerce's, and what its answers mean. Does not belong here: the API's manners
(connectors.woocommerce_api).

A tag is one entry of the customer's meta data: key `prefix` + name, value its value; entries of others are never
named in a call. A coupon is kept for its owner by the e-mail address of their account, which is read just before and
kept nowhere. Codes are unique in a shop: one that is taken is looked up, and its meta data say whether it is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.connectors.woocommerce_api import PAGE_SIZE, WooCommerce, error_code, open_shop
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    Found,
    Operation,
    Outcome,
    Recipient,
    RecommendationList,
    Record,
    TagChange,
    already,
    applied,
    rejected,
    unknown,
)
from pipelines.destinations.recommendation_text import list_text, stored_list

_CUSTOMER = re.compile(r"[1-9][0-9]{0,18}")
_CONCURRENCY = 2
"""A shop on a small host is not to be knocked over by us."""
_BATCH = {Operation.TAGS: PAGE_SIZE, Operation.RECOMMENDATIONS: PAGE_SIZE, Operation.COUPON: 50}
_TAKEN = "woocommerce_rest_coupon_code_already_exists"
_GONE = "WooCommerce knows no such customer"
_SILENT = "WooCommerce gave no answer for this record"


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> WooCommerceDestination:
    """The destination of an entry. Raises ConfigurationError naming the channel, the setting and the remedy."""
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    read.text("store_id", "online")
    read.mapping("statuses")
    read.text("consent_meta", None)
    read.end()
    return WooCommerceDestination(name, operations, shop, options.channel, prefix)


class WooCommerceDestination:
    """One shop's push side. Addresses are the ids of its customers."""

    def __init__(
        self, name: str, operations: Iterable[Operation], shop: WooCommerce, channel: str, prefix: str
    ) -> None:
        self.name = name
        self._shop = shop
        self._prefix = prefix
        taken = frozenset(operations) & frozenset(_BATCH)
        self._capabilities = Capabilities(
            operations=taken,
            batch_size={operation: _BATCH[operation] for operation in taken},
            reads_back=taken,
            resend_is_safe=taken,
            channel=channel or None,
            concurrency=_CONCURRENCY,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The address itself, if it is a number: WooCommerce refuses a whole call for one id that is none."""
        return recipient.address if _CUSTOMER.fullmatch(recipient.address) else None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        return self._write(changes, self._tag_entries)

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        if not lists:
            return []
        customers = self._customers(lists)
        known = [one for one in lists if one.source_id in customers]
        newer = [one for one in known if stored_list(customers[one.source_id].get(self._list_key)).covers(one)]
        fresh = [one for one in known if one not in newer]
        outcomes = [rejected(one.key, _GONE) for one in lists if one.source_id not in customers]
        outcomes += [already(one.key) for one in newer]
        return outcomes + self._write(fresh, lambda one: {self._list_key: list_text(one)})

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        if not coupons:
            return []
        outcomes, to_send = [], []
        addresses = self._addresses(coupons)
        for coupon in coupons:
            address, offer = addresses.get(coupon.source_id), coupon.offer
            if offer.kind not in ("amount_off", "percent_off"):
                outcomes.append(rejected(coupon.key, f"WooCommerce can't carry an offer of kind {offer.kind}"))
            elif offer.max_discount is not None:
                held = "a percentage below a greatest amount (max_discount)"
                outcomes.append(rejected(coupon.key, f"WooCommerce can't hold {held}"))
            elif offer.kind == "amount_off" and offer.currency != self._shop.currency():
                words = f"the offer is in {offer.currency}, the shop sells in {self._shop.currency()}"
                outcomes.append(rejected(coupon.key, words))
            elif address is None:
                outcomes.append(rejected(coupon.key, _GONE))
            elif not address:
                outcomes.append(rejected(coupon.key, "the customer has no e-mail address to keep the coupon for"))
            else:
                to_send.append((coupon, self._coupon(coupon, address)))
        if to_send:
            answers = self._shop.batch("/coupons", "create", [record for _, record in to_send])
            for (coupon, _), answer in zip(to_send, answers, strict=True):
                outcomes.append(self._coupon_outcome(coupon, answer))
        return outcomes

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        if operation not in self._capabilities.operations:
            return {record.key: Found.UNKNOWN for record in records}
        found: dict[str, Found] = {}
        for start in range(0, len(records), PAGE_SIZE):
            part: Sequence[Any] = records[start : start + PAGE_SIZE]
            if operation is Operation.COUPON:
                found |= {coupon.key: _found(self._owner(coupon) == coupon.key) for coupon in part}
                continue
            customers = self._customers(part)
            for record in part:
                meta = customers.get(record.source_id)
                found[record.key] = _found(meta is not None and self._has(operation, record, meta))
        return found

    def received(self, operation: Operation) -> None:
        """WooCommerce keeps no receipts that could be counted."""
        return

    @property
    def _list_key(self) -> str:
        return f"{self._prefix}recommendations"

    @property
    def _owner_key(self) -> str:
        return f"{self._prefix}key"

    def _tag_entries(self, change: TagChange) -> dict[str, str | None]:
        """Meta data to set; None deletes an entry."""
        entries: dict[str, str | None] = {f"{self._prefix}{tag.name}": None for tag in change.remove}
        return entries | {f"{self._prefix}{tag.name}": tag.value for tag in change.add}

    def _has(self, operation: Operation, record: Any, meta: Mapping[str, Any]) -> bool:
        if operation is Operation.RECOMMENDATIONS:
            return stored_list(meta.get(self._list_key)).covers(record)
        unwanted = {(f"{self._prefix}{tag.name}", tag.value) for tag in record.remove}
        wanted = {(f"{self._prefix}{tag.name}", tag.value) for tag in record.add}
        held = {(key, str(value)) for key, value in meta.items()}
        return wanted <= held and not (unwanted - wanted) & held

    def _write(self, records: Sequence[Any], entries: Callable[[Any], Mapping[str, str | None]]) -> list[Outcome]:
        outcomes, updates, sent = [], [], []
        for record in records:
            meta = [{"key": key, "value": value} for key, value in entries(record).items()]
            if not meta:
                outcomes.append(already(record.key))
                continue
            updates.append({"id": int(record.source_id), "meta_data": meta})
            sent.append(record)
        answers = self._shop.batch("/customers", "update", updates) if updates else []
        for record, answer in zip(sent, answers, strict=True):
            code = error_code(answer)
            if code:
                outcomes.append(
                    rejected(record.key, f"{_GONE if 'invalid_id' in code else 'WooCommerce refuses'} ({code})")
                )
            elif str(answer.get("id")) == record.source_id:
                outcomes.append(applied(record.key))
            else:
                outcomes.append(unknown(record.key, _SILENT))
        return outcomes

    def _accounts(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        ids = ",".join(dict.fromkeys(record.source_id for record in records))
        return self._shop.page("/customers", {"include": ids, "role": "all"})[0]

    def _customers(self, records: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """The meta data that begin with our prefix, by source id, of customers that WooCommerce knows."""
        return {
            str(account["id"]): {
                meta["key"]: meta["value"]
                for meta in account.get("meta_data") or []
                if str(meta.get("key")).startswith(self._prefix)
            }
            for account in self._accounts(records)
        }

    def _addresses(self, coupons: Sequence[CouponIssue]) -> dict[str, str]:
        return {str(account["id"]): str(account.get("email") or "") for account in self._accounts(coupons)}

    def _coupon(self, coupon: CouponIssue, address: str) -> dict[str, Any]:
        offer = coupon.offer
        return {
            "code": coupon.code,
            "discount_type": "fixed_cart" if offer.kind == "amount_off" else "percent",
            "amount": str(offer.value),
            "minimum_amount": str(offer.threshold) if offer.threshold else "",
            # In the shop's own zone; a coupon is over when this moment is.
            "date_expires": f"{coupon.valid_to + timedelta(days=1)}T00:00:00",
            "usage_limit": 1,
            "usage_limit_per_user": 1,
            "email_restrictions": [address],
            "description": f"{self._prefix}{coupon.campaign_id}",
            "meta_data": [{"key": self._owner_key, "value": coupon.key}],
        }

    def _coupon_outcome(self, coupon: CouponIssue, answer: Mapping[str, Any]) -> Outcome:
        code = error_code(answer)
        if code == _TAKEN:
            ours = self._owner(coupon) == coupon.key
            return already(coupon.key) if ours else rejected(coupon.key, "the code belongs to another coupon")
        if code:
            return rejected(coupon.key, f"WooCommerce refuses the coupon ({code})")
        return applied(coupon.key) if answer.get("id") else unknown(coupon.key, _SILENT)

    def _owner(self, coupon: CouponIssue) -> str | None:
        """The key of ours that stands on the coupon with that code; None if there is no such coupon, or it is
        another's."""
        for found in self._shop.page("/coupons", {"code": coupon.code})[0]:
            if str(found["code"]).casefold() == coupon.code.casefold():
                return next((m["value"] for m in found.get("meta_data") or [] if m["key"] == self._owner_key), None)
        return None


def _found(is_there: bool) -> Found:
    return Found.PRESENT if is_there else Found.ABSENT
