"""Destination `shopify`: customer tags, discount codes and a metafield with recommendations.

Belongs here: our records as mutations, and what their answers mean. Does not belong here: GraphQL itself
(connectors.shopify_api).

Shopify keeps discount codes unique, so a code is the key of its coupon: one that is taken is looked up, and its title
says whether it is this one. Adding a tag twice is one tag.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.connectors.shopify_api import Shopify, gid, number_of, open_shop
from pipelines.destinations.labels import label
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    Found,
    Operation,
    Outcome,
    Recipient,
    RecommendationList,
    Record,
    Tag,
    TagChange,
    already,
    applied,
    rejected,
    unknown,
)
from pipelines.destinations.recommendation_text import StoredList, list_text, stored_list
from pipelines.errors import ConfigurationError

_CONCURRENCY = 4
_CUSTOMER = re.compile(r"(?:gid://shopify/Customer/)?([1-9][0-9]{0,18})")
_BATCH = {Operation.TAGS: 20, Operation.COUPON: 20, Operation.RECOMMENDATIONS: 25}
"""A mutation costs 10 points; metafieldsSet takes 25."""

_READ_SIZE = 50
_LIST_KEY = "recommendations"
_SILENT = "Shopify gave no answer for this record"


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> ShopifyDestination:
    """The destination of an entry. Raises ConfigurationError naming the channel, the setting and the remedy."""
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    read.end()
    try:
        label(prefix, Tag("", "x" * 255))
    except ValueError as error:
        raise ConfigurationError(f"destinations.yml: destination {name!r}: {error}; choose a shorter one.") from error
    return ShopifyDestination(name, operations, shop, options.channel, prefix)


class ShopifyDestination:
    """One shop's push side. Addresses are the numbers of its customers."""

    def __init__(self, name: str, operations: Iterable[Operation], shop: Shopify, channel: str, prefix: str) -> None:
        self.name = name
        self._shop = shop
        self._prefix = prefix
        self._namespace = re.sub(r"[^A-Za-z0-9_-]+", "_", prefix).strip("_-").ljust(3, "_")
        taken = frozenset(operations) & frozenset(_BATCH)
        self._capabilities = Capabilities(
            operations=taken,
            batch_size={operation: _BATCH[operation] for operation in taken},
            reads_back=taken,
            resend_is_safe=taken,
            channel=channel or None,
            concurrency=_CONCURRENCY,
        )
        self._lock = threading.Lock()

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The number in the address, None without one: Shopify refuses a whole call for one id that is no id."""
        number = _CUSTOMER.fullmatch(recipient.address)
        return number[1] if number else None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        if not changes:
            return []
        fields, variables, signature = [], dict[str, Any](), []
        for index, change in enumerate(changes):
            variables[f"id{index}"] = gid("Customer", change.source_id)
            signature.append(f"$id{index}: ID!")
            for letter, mutation, tags in (("r", "tagsRemove", change.remove), ("a", "tagsAdd", change.add)):
                if tags:
                    variables[f"{letter}{index}"] = [label(self._prefix, tag) for tag in tags]
                    signature.append(f"${letter}{index}: [String!]!")
                    fields.append(
                        f"{letter}{index}: {mutation}(id: $id{index}, tags: ${letter}{index}) "
                        "{ userErrors { field message } }"
                    )
        if not fields:
            return [already(change.key) for change in changes]
        data, doubtful = self._shop.mutate(f"mutation tags({', '.join(signature)}) {{ {' '.join(fields)} }}", variables)
        outcomes = []
        for index, change in enumerate(changes):
            names = [name for name in (f"r{index}", f"a{index}") if name in variables]
            outcomes.append(_outcome(change.key, names, data, doubtful, "Shopify refuses the tags of this customer"))
        return outcomes

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        outcomes = {}
        to_send = []
        for coupon in coupons:
            reason = self._unfit(coupon)
            if reason:
                outcomes[coupon.key] = rejected(coupon.key, reason)
            else:
                to_send.append(coupon)
        if to_send:
            variables = {f"c{index}": self._discount(coupon) for index, coupon in enumerate(to_send)}
            signature = ", ".join(f"${name}: DiscountCodeBasicInput!" for name in variables)
            fields = " ".join(
                f"{name}: discountCodeBasicCreate(basicCodeDiscount: ${name}) "
                "{ codeDiscountNode { id } userErrors { field code message } }"
                for name in variables
            )
            data, doubtful = self._shop.mutate(f"mutation coupons({signature}) {{ {fields} }}", variables)
            taken = []
            for index, coupon in enumerate(to_send):
                if _codes(data.get(f"c{index}")) & {"TAKEN"}:
                    taken.append(coupon)
                    continue
                words = "Shopify refuses this discount code"
                outcomes[coupon.key] = _outcome(coupon.key, [f"c{index}"], data, doubtful, words)
            titles = self._titles(taken)
            for coupon in taken:
                ours = titles.get(coupon.key) == self._title(coupon)
                words = "the code belongs to another discount of the shop"
                outcomes[coupon.key] = already(coupon.key) if ours else rejected(coupon.key, words)
        return list(outcomes.values())

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        if not lists:
            return []
        stored = self._stored_lists(lists)
        outcomes, to_send = [], []
        for one in lists:
            if one.source_id not in stored:
                outcomes.append(rejected(one.key, "Shopify knows no such customer"))
            elif stored[one.source_id].covers(one):
                outcomes.append(already(one.key))
            else:
                to_send.append(one)
        while to_send:
            refused = self._set_lists(to_send)
            if not refused:
                return outcomes + [applied(one.key) for one in to_send]
            # All or none are set: without the refused ones the others go through.
            words = "Shopify refuses this list"
            outcomes += [rejected(to_send[index].key, words) for index in refused]
            to_send = [one for index, one in enumerate(to_send) if index not in refused]
        return outcomes

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for start in range(0, len(records), _READ_SIZE):
            found |= self._read_back(operation, records[start : start + _READ_SIZE])
        return found

    def received(self, operation: Operation) -> None:
        """Shopify keeps no receipts that could be counted."""
        return

    def _read_back(self, operation: Operation, records: Sequence[Any]) -> dict[str, Found]:
        if not records or operation not in self._capabilities.operations:
            return {record.key: Found.UNKNOWN for record in records}
        is_there: Callable[[Any], bool]
        match operation:
            case Operation.TAGS:
                tags = self._customers(records, "tags", lambda node: {str(tag).casefold() for tag in node["tags"]})
                is_there = lambda change: self._has_tags(change, tags.get(change.source_id))  # noqa: E731
            case Operation.COUPON:
                titles = self._titles(records)
                is_there = lambda coupon: titles.get(coupon.key) == self._title(coupon)  # noqa: E731
            case _:
                stored = self._stored_lists(records)
                is_there = lambda one: stored.get(one.source_id, StoredList()).covers(one)  # noqa: E731
        return {record.key: Found.PRESENT if is_there(record) else Found.ABSENT for record in records}

    def _has_tags(self, change: TagChange, tags: set[str] | None) -> bool:
        if tags is None:
            return False
        wanted = {label(self._prefix, tag).casefold() for tag in change.add}
        unwanted = {label(self._prefix, tag).casefold() for tag in change.remove} - wanted
        return wanted <= tags and not unwanted & tags

    def _customers(self, records: Sequence[Any], fields: str, read: Callable[[Any], Any]) -> dict[str, Any]:
        """What `read` makes of each customer that Shopify knows, by source id."""
        ids = list(dict.fromkeys(gid("Customer", record.source_id) for record in records))
        document = f"query customers($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Customer {{ id {fields} }} }} }}"
        nodes = self._shop.query(document, {"ids": ids})["nodes"]
        return {number_of(node["id"]): read(node) for node in nodes if node}

    def _stored_lists(self, lists: Sequence[RecommendationList]) -> dict[str, StoredList]:
        fields = f'metafield(namespace: "{self._namespace}", key: "{_LIST_KEY}") {{ value }}'
        return self._customers(lists, fields, lambda node: stored_list((node["metafield"] or {}).get("value")))

    def _set_lists(self, lists: Sequence[RecommendationList]) -> set[int]:
        """Set all of them; the positions of those that made Shopify refuse, which set none."""
        metafields = [
            {
                "ownerId": gid("Customer", one.source_id),
                "namespace": self._namespace,
                "key": _LIST_KEY,
                "type": "json",
                "value": list_text(one),
            }
            for one in lists
        ]
        document = (
            "mutation lists($metafields: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $metafields) "
            "{ metafields { id } userErrors { field code message } } }"
        )
        data, _ = self._shop.mutate(document, {"metafields": metafields})
        errors = data["metafieldsSet"]["userErrors"]
        named = {int(part) for error in errors for part in (error.get("field") or []) if str(part).isdigit()}
        return {index for index in named if index < len(lists)} or (set(range(len(lists))) if errors else set())

    def _titles(self, coupons: Sequence[CouponIssue]) -> dict[str, str]:
        """By key, the title of the discount that has the coupon's code."""
        if not coupons:
            return {}
        variables = {f"c{index}": coupon.code for index, coupon in enumerate(coupons)}
        signature = ", ".join(f"${name}: String!" for name in variables)
        fields = " ".join(
            f"{name}: codeDiscountNodeByCode(code: ${name}) "
            "{ codeDiscount { ... on DiscountCodeBasic { title } } }"
            for name in variables
        )
        data = self._shop.query(f"query codes({signature}) {{ {fields} }}", variables)
        found = {coupon.key: data.get(f"c{index}") for index, coupon in enumerate(coupons)}
        return {key: str((node["codeDiscount"] or {}).get("title", "")) for key, node in found.items() if node}

    def _title(self, coupon: CouponIssue) -> str:
        return f"{self._prefix}{coupon.campaign_id} {coupon.key}"[:255]

    def _unfit(self, coupon: CouponIssue) -> str | None:
        if coupon.offer.kind not in ("amount_off", "percent_off"):
            return f"Shopify's basic discount can't carry an offer of kind {coupon.offer.kind}"
        if coupon.offer.max_discount is not None:
            return "Shopify's basic discount can't hold a percentage below a greatest amount (max_discount)"
        currency = self._settings["currencyCode"]
        if coupon.offer.kind == "amount_off" and coupon.offer.currency != currency:
            return f"the offer is in {coupon.offer.currency}, the shop sells in {currency}"
        return None

    def _discount(self, coupon: CouponIssue) -> dict[str, Any]:
        offer = coupon.offer
        if offer.kind == "amount_off":
            value: dict[str, Any] = {"discountAmount": {"amount": str(offer.value), "appliesOnEachItem": False}}
        else:
            value = {"percentage": offer.value / Decimal(100)}
        discount: dict[str, Any] = {
            "title": self._title(coupon),
            "code": coupon.code,
            "startsAt": self._midnight(coupon.valid_from),
            "endsAt": self._midnight(coupon.valid_to + timedelta(days=1)),
            "context": {"customers": {"add": [gid("Customer", coupon.source_id)]}},
            "customerGets": {"value": value, "items": {"all": True}},
            "usageLimit": 1,
            "appliesOncePerCustomer": True,
        }
        if offer.threshold > 0:
            discount["minimumRequirement"] = {"subtotal": {"greaterThanOrEqualToSubtotal": str(offer.threshold)}}
        return discount

    def _midnight(self, day: date) -> str:
        try:
            zone = ZoneInfo(str(self._settings["ianaTimezone"]))
        except ZoneInfoNotFoundError:
            zone = ZoneInfo("UTC")
        return datetime.combine(day, time(), zone).isoformat()

    @cached_property
    def _settings_of_shop(self) -> Mapping[str, Any]:
        return dict(self._shop.query("query shop { shop { currencyCode ianaTimezone } }")["shop"])

    @property
    def _settings(self) -> Mapping[str, Any]:
        with self._lock:
            return self._settings_of_shop


def _codes(payload: Any) -> set[str]:
    return {str(error.get("code")) for error in (payload or {}).get("userErrors") or []}


def _outcome(key: str, names: Sequence[str], data: Mapping[str, Any], doubtful: set[str], refusal: str) -> Outcome:
    """The outcome of a record from the answers of its aliases."""
    if doubtful.intersection(names) or any(data.get(name) is None for name in names):
        return unknown(key, _SILENT)
    errors = [error for name in names for error in data[name]["userErrors"]]
    if errors:
        code = next((str(error["code"]) for error in errors if error.get("code")), "")
        return rejected(key, f"{refusal}{f' ({code})' if code else ''}")
    return applied(key)
