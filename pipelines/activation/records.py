"""From an outbox row to the record a destination takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from pipelines.activation.outbox import Claim
from pipelines.destinations.protocol import (
    CouponIssue,
    CouponRevocation,
    Offer,
    Operation,
    Recipient,
    RecommendationList,
    RecommendedItem,
    Record,
    SourceId,
    Tag,
    TagChange,
)


class UnreadablePayloadError(Exception):
    """The outbox row can't be turned into a record; sending it again can't help."""


def make_record(claim: Claim, resolve: Callable[[Recipient], str | None]) -> Record | None:
    """The record of a claim; None if `resolve` says that the destination knows nobody of that address.

    Raises UnreadablePayloadError if the stored payload is missing or broken.
    """
    if claim.payload is None:
        raise UnreadablePayloadError("the payload of this delivery is missing")
    try:
        payload = json.loads(claim.payload)
        sources = tuple(SourceId(source["channel"], source["member_id"]) for source in payload["source_ids"])
        # Of an erased person the log holds another name, and only the payload says who it was.
        recipient = Recipient(payload.get("customer_id", claim.customer_id), claim.address, sources)
        build = _BUILDERS[Operation(claim.operation)]
        source_id = resolve(recipient)
        return None if source_id is None else build(claim, recipient, source_id, payload["body"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise UnreadablePayloadError(f"the payload of this delivery is broken ({type(error).__name__})") from error


def _tags(claim: Claim, recipient: Recipient, source_id: str, body: dict[str, Any]) -> TagChange:
    return TagChange(
        key=claim.key,
        recipient=recipient,
        source_id=source_id,
        version=claim.version,
        decided_on=claim.decided_on,
        add=tuple(Tag(label["tag"], label["value"]) for label in body["add"]),
        remove=tuple(Tag(label["tag"], label["value"]) for label in body["remove"]),
    )


def _recommendations(claim: Claim, recipient: Recipient, source_id: str, body: dict[str, Any]) -> RecommendationList:
    return RecommendationList(
        key=claim.key,
        recipient=recipient,
        source_id=source_id,
        version=claim.version,
        decided_on=claim.decided_on,
        items=tuple(
            RecommendedItem(item["rank"], item["sku"], item["reason"], item["store_id"]) for item in body["items"]
        ),
    )


def _coupon(claim: Claim, recipient: Recipient, source_id: str, body: dict[str, Any]) -> CouponIssue:
    return CouponIssue(
        key=claim.key,
        recipient=recipient,
        source_id=source_id,
        version=claim.version,
        decided_on=claim.decided_on,
        campaign_id=claim.campaign_id or "",
        wave=claim.wave or "",
        code=body["code"],
        offer=Offer(
            body["kind"],
            Decimal(body["value"]),
            Decimal(body["threshold"]),
            body["currency"],
            Decimal(body["max_discount"]) if body.get("max_discount") is not None else None,
        ),
        valid_from=date.fromisoformat(body["valid_from"]),
        valid_to=date.fromisoformat(body["valid_to"]),
    )


def _revocation(claim: Claim, recipient: Recipient, source_id: str, body: dict[str, Any]) -> CouponRevocation:
    return CouponRevocation(
        key=claim.key,
        recipient=recipient,
        source_id=source_id,
        version=claim.version,
        decided_on=claim.decided_on,
        campaign_id=claim.campaign_id or "",
        wave=claim.wave or "",
        code=body["code"],
        coupon_key=body["coupon_key"],
        reason=body["reason"],
    )


_BUILDERS: dict[Operation, Callable[[Claim, Recipient, str, dict[str, Any]], Record]] = {
    Operation.TAGS: _tags,
    Operation.RECOMMENDATIONS: _recommendations,
    Operation.COUPON: _coupon,
    Operation.REVOKE: _revocation,
}
