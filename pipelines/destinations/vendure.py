"""Destination `vendure`: tags and recommendations in custom fields of the customer, coupons as promotions for one.

Belongs here: settings, and what stands in the custom fields. Does not belong here: coupons (vendure_coupons), the
API's manners (connectors.vendure_api), and what the connector reads.
"""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.channels import timezone_names
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.connectors.vendure_api import Node, VendureApi, is_id, open_api
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    CouponRevocation,
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
    retry_after,
)
from pipelines.destinations.vendure_calls import Mutation, change_each, listed
from pipelines.destinations.vendure_coupons import AGAIN_SECONDS, Coupons
from pipelines.errors import ConfigurationError

_BATCH = {Operation.TAGS: 100, Operation.RECOMMENDATIONS: 100, Operation.COUPON: 50, Operation.REVOKE: 50}

_CUSTOMERS = """
query ($options: CustomerListOptions) {
  customers(options: $options) { items { id customFields { omnilakeTags omnilakeRecommendations } } }
}
"""

_UPDATE = Mutation("updateCustomer", {"input": "UpdateCustomerInput!"}, "... on Customer { id }")


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> VendureDestination:
    """Settings beside the channel's: timezone, in which a coupon's days begin and end (Asia/Shanghai)."""
    read = SettingsReader(options, f"destinations.yml: destination {name!r}")
    api = open_api(read)
    zone_name = read.text("timezone", "Asia/Shanghai")
    read.end()
    if not options.channel:
        raise ConfigurationError(
            f"destinations.yml: destination {name!r} of kind vendure names no channel; add `channel:`, the channel "
            "whose member ids are this server's customer ids."
        )
    if zone_name not in timezone_names():
        raise ConfigurationError(
            f"destinations.yml: destination {name!r} has timezone {zone_name!r}; give an IANA name such as "
            "Asia/Shanghai."
        )
    return VendureDestination(name, options.channel, operations, api, prefix, zoneinfo.ZoneInfo(zone_name))


class VendureDestination:
    """One Vendure channel. See `pipelines.destinations.protocol.Destination`; faults are those of `pipelines.http`."""

    def __init__(
        self,
        name: str,
        channel: str,
        operations: Iterable[Operation],
        api: VendureApi,
        prefix: str,
        zone: zoneinfo.ZoneInfo,
    ) -> None:
        self.name = name
        self._api = api
        self._prefix = prefix
        self._coupons = Coupons(api, prefix, zone)
        self._capabilities = Capabilities(
            operations=frozenset(operations),
            batch_size=dict(_BATCH),
            reads_back=frozenset(operations),
            resend_is_safe=frozenset(operations),
            channel=channel,
            concurrency=4,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The address, without a call: each batch sees for itself which of its customers there are."""
        return recipient.address if is_id(recipient.address) else None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        """Tags stand as texts in a list, ours beginning with the prefix; whatever else stands there stays."""
        return self._set_fields(changes)

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        """The list stands as JSON text; nothing where it is withdrawn."""
        return self._set_fields(lists)

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return self._coupons.issue(coupons)

    def revoke_coupon(self, revocations: Sequence[CouponRevocation]) -> list[Outcome]:
        return self._coupons.revoke(revocations)

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        if operation is Operation.REVOKE:
            revocations = [record for record in records if isinstance(record, CouponRevocation)]
            ended = self._coupons.ended([one.code for one in revocations])
            return {one.key: Found.PRESENT if one.code in ended else Found.ABSENT for one in revocations}
        coupons = [record for record in records if isinstance(record, CouponIssue)]
        codes = self._coupons.held([coupon.code for coupon in coupons])
        present = {coupon.key for coupon in coupons if coupon.code in codes}
        others = [record for record in records if isinstance(record, TagChange | RecommendationList)]
        fields = self._fields([record.source_id for record in others])
        present |= {
            record.key
            for record in others
            if record.source_id in fields and not self._lacks(record, fields[record.source_id])
        }
        return {record.key: Found.PRESENT if record.key in present else Found.ABSENT for record in records}

    def received(self, operation: Operation) -> int | None:
        """Promotions of ours; what stands in a custom field keeps no count of what was sent."""
        return self._coupons.count() if operation is Operation.COUPON else None

    def _set_fields(self, records: Sequence[TagChange | RecommendationList]) -> list[Outcome]:
        """Write the custom fields of those customers who don't have what their records want."""
        outcomes: dict[str, Outcome] = {}
        fields = self._fields([record.source_id for record in records])
        lacking: dict[str, dict[str, Any]] = {}
        waiting: dict[str, str] = {}
        for record in records:
            if record.source_id not in fields:
                outcomes[record.key] = rejected(record.key, "Vendure knows no such customer")
            elif lack := self._lacks(record, fields[record.source_id]):
                # A second record of the same customer builds on the first.
                fields[record.source_id] = {**fields[record.source_id], **lack}
                lacking[record.source_id] = {**lacking.get(record.source_id, {}), **lack}
                waiting[record.key] = record.source_id
            else:
                outcomes[record.key] = already(record.key)
        inputs = {source_id: {"input": {"id": source_id, "customFields": lack}} for source_id, lack in lacking.items()}
        done = change_each(self._api, _UPDATE, inputs, self._updated)
        for key, source_id in waiting.items():
            failed = retry_after(key, AGAIN_SECONDS, "Vendure did not update the customer")
            outcomes[key] = applied(key) if done[source_id] else failed
        return list(outcomes.values())

    def _updated(self, inputs: Mapping[str, Mapping[str, Any]]) -> set[str]:
        fields = self._fields(list(inputs))
        return {
            source_id
            for source_id, wanted in inputs.items()
            if source_id in fields and wanted["input"]["customFields"].items() <= fields[source_id].items()
        }

    def _fields(self, ids: Sequence[str]) -> dict[str, Node]:
        """Custom fields by customer id."""
        return {person["id"]: person["customFields"] for person in listed(self._api, _CUSTOMERS, "id", ids)}

    def _lacks(self, record: TagChange | RecommendationList, held: Node) -> dict[str, Any]:
        """The custom field to write so that the record's effect is there; nothing if it is."""
        if isinstance(record, TagChange):
            before = held["omnilakeTags"] or []
            after = self._tagged(before, record)
            return {} if set(after) == set(before) else {"omnilakeTags": after}
        if _is_recommended(held["omnilakeRecommendations"], record):
            return {}
        return {"omnilakeRecommendations": _recommendation_text(record)}

    def _tagged(self, before: Sequence[str], change: TagChange) -> list[str]:
        added = [self._tag(tag) for tag in change.add]
        gone = {self._tag(tag) for tag in change.remove} | set(added)
        return [*(tag for tag in before if tag not in gone), *dict.fromkeys(added)]

    def _tag(self, tag: Tag) -> str:
        return f"{self._prefix}{tag.name}={tag.value}"


def _recommendation_text(recommended: RecommendationList) -> str | None:
    if not recommended.items:
        return None
    content = {"as_of": recommended.decided_on.isoformat(), "items": _items(recommended)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _items(recommended: RecommendationList) -> list[dict[str, Any]]:
    return [
        {"rank": item.rank, "sku": item.sku, "reason": item.reason, "store_id": item.store_id}
        for item in recommended.items
    ]


def _is_recommended(text: str | None, recommended: RecommendationList) -> bool:
    if not text or not recommended.items:
        return not text and not recommended.items
    try:
        held = json.loads(text)["items"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(held == _items(recommended))
