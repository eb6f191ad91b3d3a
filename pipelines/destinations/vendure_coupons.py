"""Coupons in a Vendure server: a promotion with the code, for a group of one.

Vendure accepts the same coupon code, and the same group name, as often as it is sent. Ours therefore carry a key in a
custom field that the server keeps unique: a second create fails, whoever sends it and whatever became of the first,
and is then found by its key. Belongs here: promotions and groups. Does not belong here: tags and recommendations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.connectors.vendure_api import LARGEST_PAGE, Node, VendureApi, api_time, minor
from pipelines.destinations.protocol import (
    CouponIssue,
    CouponRevocation,
    Outcome,
    already,
    applied,
    rejected,
    retry_after,
)
from pipelines.destinations.vendure_calls import Inputs, Mutation, change_each, listed

AGAIN_SECONDS = 60.0

_ACTIONS = {"amount_off": "order_fixed_discount", "percent_off": "order_percentage_discount"}

_CHANNEL = "{ activeChannel { defaultCurrencyCode defaultLanguageCode } }"
_PEOPLE = "query ($options: CustomerListOptions) { customers(options: $options) { items { id user { id } } } }"
_GROUPS = """
query ($options: CustomerGroupListOptions) {
  customerGroups(options: $options) {
    items { id customFields { omnilakeKey } customers(options: {take: 2}) { items { id } } }
  }
}
"""
_PROMOTIONS = """
query ($options: PromotionListOptions) {
  promotions(options: $options) { totalItems items { id couponCode enabled customFields { omnilakeKey } } }
}
"""


_CREATE_PROMOTION = Mutation("createPromotion", {"input": "CreatePromotionInput!"}, "... on Promotion { id }")
_END_PROMOTION = Mutation("updatePromotion", {"input": "UpdatePromotionInput!"}, "... on Promotion { id }")
_CREATE_GROUP = Mutation("createCustomerGroup", {"input": "CreateCustomerGroupInput!"})
_JOIN = Mutation("addCustomersToGroup", {"customerGroupId": "ID!", "customerIds": "[ID!]!"})


@dataclass(frozen=True)
class _Unfit:
    """Why a customer can have no group of one."""

    reason: str


class Coupons:
    """The promotions of ours in one Vendure channel. zone: in which a coupon's days begin and end."""

    def __init__(self, api: VendureApi, prefix: str, zone: ZoneInfo) -> None:
        self._api = api
        self._prefix = prefix
        self._zone = zone

    def issue(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        """A promotion with the code, for a group of one: the owner redeems it once, nobody else gets the discount.

        The promotion is made last, so that one which is there is whole.
        """
        outcomes: dict[str, Outcome] = {}
        held = self._promotions([coupon.code for coupon in coupons])
        foreign = self._foreign([coupon.code for coupon in coupons if coupon.code not in held])
        pending = []
        for coupon in coupons:
            if coupon.code in held:
                outcomes[coupon.key] = already(coupon.key)
            elif coupon.code in foreign:
                outcomes[coupon.key] = rejected(coupon.key, "another promotion in Vendure has this code")
            elif reason := self._objection(coupon):
                outcomes[coupon.key] = rejected(coupon.key, reason)
            else:
                pending.append(coupon)
        groups = self._groups_of_one([coupon.source_id for coupon in pending])
        ready = []
        for coupon in pending:
            group = groups.get(coupon.source_id)
            if isinstance(group, str):
                ready.append((coupon, group))
            elif group is None:
                outcomes[coupon.key] = retry_after(coupon.key, AGAIN_SECONDS, "Vendure did not make the group of one")
            else:
                outcomes[coupon.key] = rejected(coupon.key, group.reason)
        outcomes |= self._create_promotions(ready)
        return list(outcomes.values())

    def revoke(self, revocations: Sequence[CouponRevocation]) -> list[Outcome]:
        """Disable the promotions; they stay, as the receipt of what was issued and for the orders that used them."""
        held = self._promotions([one.code for one in revocations])
        live = {code: promotion for code, promotion in held.items() if promotion["enabled"]}
        inputs = {code: {"input": {"id": promotion["id"], "enabled": False}} for code, promotion in live.items()}
        done = change_each(self._api, _END_PROMOTION, inputs, lambda some: self.ended(list(some)))
        return [
            already(one.key)
            if one.code not in live
            else applied(one.key)
            if done[one.code]
            else retry_after(one.key, AGAIN_SECONDS, "Vendure did not end the promotion")
            for one in revocations
        ]

    def ended(self, codes: Sequence[str]) -> set[str]:
        """Which of the codes have a promotion of ours that nobody can redeem any more."""
        return {code for code, promotion in self._promotions(codes).items() if not promotion["enabled"]}

    def held(self, codes: Sequence[str]) -> set[str]:
        """Which of the codes have a promotion of ours."""
        return set(self._promotions(codes))

    def count(self) -> int:
        """How many promotions are ours."""
        # `contains` is the nearest the API has to "begins with"; nothing of ours nests the prefix.
        options = {"take": 1, "filter": {"omnilakeKey": {"contains": self._coupon_key("")}}}
        return int(self._api.query(_PROMOTIONS, options=options)["promotions"]["totalItems"])

    @cached_property
    def _channel(self) -> Node:
        channel: Node = self._api.query(_CHANNEL)["activeChannel"]
        return channel

    def _objection(self, coupon: CouponIssue) -> str | None:
        """Why Vendure can't carry this offer, if it can't."""
        offer = coupon.offer
        if offer.kind not in _ACTIONS:
            return f"a Vendure promotion can't give {offer.kind}"
        if offer.max_discount is not None:
            return "a Vendure promotion can't hold a percentage below a greatest amount (max_discount)"
        if offer.currency != self._channel["defaultCurrencyCode"]:
            return f"the offer is in {offer.currency}, the Vendure channel in {self._channel['defaultCurrencyCode']}"
        digits = self._api.money_digits()
        try:
            minor(offer.threshold, digits)
            if offer.kind == "amount_off":
                minor(offer.value, digits)
        except ValueError as error:
            return str(error)
        return None

    def _create_promotions(self, ready: Sequence[tuple[CouponIssue, str]]) -> dict[str, Outcome]:
        inputs = {coupon.code: {"input": self._promotion(coupon, group)} for coupon, group in ready}
        done = change_each(self._api, _CREATE_PROMOTION, inputs, lambda some: set(self._promotions(list(some))))
        return {
            coupon.key: applied(coupon.key)
            if done[coupon.code]
            else retry_after(coupon.key, AGAIN_SECONDS, "Vendure did not make the promotion")
            for coupon, _ in ready
        }

    def _promotion(self, coupon: CouponIssue, group: str) -> dict[str, Any]:
        offer, digits = coupon.offer, self._api.money_digits()
        value = str(minor(offer.value, digits)) if offer.kind == "amount_off" else format(offer.value, "f")
        conditions = [_operation("customer_group", customerGroupId=group)]
        if offer.threshold:
            amount = str(minor(offer.threshold, digits))
            conditions.append(_operation("minimum_order_amount", amount=amount, taxInclusive="true"))
        return {
            "enabled": True,
            "couponCode": coupon.code,
            "perCustomerUsageLimit": 1,
            "usageLimit": 1,
            "startsAt": api_time(self._midnight(coupon.valid_from)),
            "endsAt": api_time(self._midnight(coupon.valid_to + timedelta(days=1)) - timedelta(milliseconds=1)),
            "conditions": conditions,
            "actions": [_operation(_ACTIONS[offer.kind], discount=value)],
            # The shopper reads the name beside the discount.
            "translations": [{"languageCode": self._channel["defaultLanguageCode"], "name": coupon.code}],
            "customFields": {"omnilakeKey": self._coupon_key(coupon.code)},
        }

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)

    def _coupon_key(self, code: str) -> str:
        return f"{self._prefix}coupon:{code}"

    def _promotions(self, codes: Sequence[str]) -> dict[str, Node]:
        """Promotions of ours by code."""
        keys = {self._coupon_key(code): code for code in codes}
        found = listed(self._api, _PROMOTIONS, "omnilakeKey", list(keys))
        return {keys[promotion["customFields"]["omnilakeKey"]]: promotion for promotion in found}

    def _foreign(self, codes: Sequence[str]) -> set[str]:
        """Codes of promotions that aren't ours: Vendure would take the same code once more."""
        if not codes:
            return set()
        options = {"take": LARGEST_PAGE, "filter": {"couponCode": {"in": list(codes)}}}
        return {
            node["couponCode"]
            for node in self._api.query(_PROMOTIONS, options=options)["promotions"]["items"]
            if node["customFields"]["omnilakeKey"] != self._coupon_key(node["couponCode"])
        }

    def _groups_of_one(self, ids: Sequence[str]) -> dict[str, str | _Unfit]:
        """Per customer the id of the group that is theirs alone, or why there can be none."""
        people = {person["id"]: person for person in listed(self._api, _PEOPLE, "id", ids)}
        groups: dict[str, str | _Unfit] = {}
        for source_id in ids:
            if source_id not in people:
                groups[source_id] = _Unfit("Vendure knows no such customer")
            elif people[source_id]["user"] is None:
                # Whoever types a guest's e-mail address at the checkout is that guest.
                groups[source_id] = _Unfit("the customer is a guest in Vendure, so that anybody could redeem it")
        fit = [source_id for source_id in dict.fromkeys(ids) if source_id not in groups]
        found = self._groups(fit)
        missing = {
            source_id: {"input": {"name": key, "customFields": {"omnilakeKey": key}}}
            for source_id in fit
            if source_id not in found and (key := self._group_key(source_id))
        }
        if missing:
            change_each(self._api, _CREATE_GROUP, missing, lambda some: set(self._groups(list(some))))
            found = self._groups(fit)
        joins = {}
        for source_id, group in found.items():
            members = _members(group)
            if members - {source_id}:
                groups[source_id] = _Unfit("somebody else was added to the customer's own group")
            else:
                groups[source_id] = group["id"]
                if not members:
                    joins[source_id] = {"customerGroupId": group["id"], "customerIds": [source_id]}
        # A mutation of its own, since it alone tells the promotions of it: a customer whom createCustomerGroup takes
        # along could not redeem until the server forgets that they were in no group.
        joined = change_each(self._api, _JOIN, joins, self._joined)
        return {source_id: group for source_id, group in groups.items() if joined.get(source_id, True)}

    def _joined(self, joins: Inputs) -> set[str]:
        return {source_id for source_id, group in self._groups(list(joins)).items() if source_id in _members(group)}

    def _groups(self, ids: Sequence[str]) -> dict[str, Node]:
        keys = {self._group_key(source_id): source_id for source_id in ids}
        found = listed(self._api, _GROUPS, "omnilakeKey", list(keys))
        return {keys[group["customFields"]["omnilakeKey"]]: group for group in found}

    def _group_key(self, source_id: str) -> str:
        return f"{self._prefix}customer:{source_id}"


def _members(group: Node) -> set[str]:
    return {member["id"] for member in group["customers"]["items"]}


def _operation(code: str, **arguments: str) -> dict[str, Any]:
    return {"code": code, "arguments": [{"name": name, "value": value} for name, value in arguments.items()]}
