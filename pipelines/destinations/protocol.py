"""What every destination can be asked, and the only answers it may give.

Belongs here: the records that go out, the outcomes that come back, capabilities, and the protocol that joins them.
Does not belong here: deciding what to send, retrying and remembering (activation), or how one platform is spoken to
(one file a platform beside this one).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Operation(StrEnum):
    """The effects a destination can carry."""

    TAGS = "tags"
    RECOMMENDATIONS = "recommendations"
    COUPON = "coupon"
    REVOKE = "revoke"


@dataclass(frozen=True)
class SourceId:
    """A member as a channel itself names them; a keyed token where the id was a phone number or an address."""

    channel: str
    member_id: str


@dataclass(frozen=True)
class Recipient:
    """Whom a record is for.

    address: how the destination is told the person: a member id of `Capabilities.channel`, or our customer id.
    source_ids: every membership through which a channel may know the customer (none for a mere guest).
    contact: the person's own phone (E.164) or e-mail, for a destination whose capabilities ask for it; never kept.
    """

    customer_id: str
    address: str
    source_ids: tuple[SourceId, ...] = ()
    contact: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Tag:
    """One tag of ours, such as segment = champions."""

    name: str
    value: str


@dataclass(frozen=True)
class TagChange:
    """Add and remove tags of ours; a changed value is one removal and one addition.

    source_id: the destination's own id of the person, as `resolve_customer` answered.
    version: counts up per address, so that a receiver of several changes knows the latest.
    """

    key: str
    recipient: Recipient
    source_id: str
    version: int
    decided_on: date
    add: tuple[Tag, ...] = ()
    remove: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class Offer:
    """What a coupon is worth. `value` is money for amount_off, percent for percent_off, the gift's worth for gift.

    max_discount: the most that a percent_off may take off. A destination that can't hold it refuses the coupon, since
    the campaign's budget counts on it.
    """

    kind: str
    value: Decimal
    threshold: Decimal
    currency: str
    max_discount: Decimal | None = None


@dataclass(frozen=True)
class CouponIssue:
    """One coupon for one person. `code` is the same at every attempt and every destination."""

    key: str
    recipient: Recipient
    source_id: str
    version: int
    decided_on: date
    campaign_id: str
    wave: str
    code: str
    offer: Offer
    valid_from: date
    valid_to: date


@dataclass(frozen=True)
class RecommendedItem:
    """One place of a recommendation list."""

    rank: int
    sku: str
    reason: str | None = None
    store_id: str | None = None


@dataclass(frozen=True)
class RecommendationList:
    """The whole list a customer shall have from now on; empty withdraws it."""

    key: str
    recipient: Recipient
    source_id: str
    version: int
    decided_on: date
    items: tuple[RecommendedItem, ...] = ()


@dataclass(frozen=True)
class CouponRevocation:
    """One coupon that shall no longer be redeemed. coupon_key: the key under which it was issued."""

    key: str
    recipient: Recipient
    source_id: str
    version: int
    decided_on: date
    campaign_id: str
    wave: str
    code: str
    coupon_key: str
    reason: str


Record = TagChange | CouponIssue | RecommendationList | CouponRevocation


class OutcomeKind(StrEnum):
    """What a destination may answer about one record."""

    APPLIED = "applied"
    ALREADY = "already"
    REJECTED = "rejected"
    RETRY_AFTER = "retry_after"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """The answer about one record.

    reason: for a reader, never with PII. seconds: how long to wait, of retry_after alone.
    """

    key: str
    kind: OutcomeKind
    reason: str | None = None
    seconds: float = 0.0


def applied(key: str) -> Outcome:
    """The effect is there, made by this call."""
    return Outcome(key, OutcomeKind.APPLIED)


def already(key: str) -> Outcome:
    """The effect was there before this call."""
    return Outcome(key, OutcomeKind.ALREADY)


def rejected(key: str, reason: str) -> Outcome:
    """The destination refuses for good; trying again without a change gives the same answer."""
    return Outcome(key, OutcomeKind.REJECTED, reason)


def retry_after(key: str, seconds: float, reason: str) -> Outcome:
    """The effect is surely not there; try again after that many seconds."""
    return Outcome(key, OutcomeKind.RETRY_AFTER, reason, seconds)


def unknown(key: str, reason: str) -> Outcome:
    """The effect may be there or not: a time-out, a broken answer. Read back before any retry."""
    return Outcome(key, OutcomeKind.UNKNOWN, reason)


class Found(StrEnum):
    """What reading back says of one record. UNKNOWN: the destination can't tell."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Capabilities:
    """What a destination can do; what is missing here is simply not sent to it.

    operations: effects it takes. batch_size: records a call at most, per operation.
    reads_back: operations whose effect it can look up again.
    resend_is_safe: operations that may be repeated blindly (setting the same tag twice is one tag). An operation that
      is in neither set is never sent again after an unknown outcome.
    channel: the channel whose member ids are its addresses; None: it takes our customer ids.
    concurrency: calls that may be made at a time; more than 1 only where every method may be called by several threads.
    contact: 'phone' or 'email': what every recipient must come with; who has none that can be used is rejected.
    late_effect_seconds: how long after a call was cut off its effect may still appear; what was absent before is looked
      up again after that time, before it is sent anew.
    """

    operations: frozenset[Operation]
    batch_size: dict[Operation, int] = field(default_factory=dict)
    reads_back: frozenset[Operation] = frozenset()
    resend_is_safe: frozenset[Operation] = frozenset()
    channel: str | None = None
    concurrency: int = 1
    contact: str | None = None
    late_effect_seconds: float = 10.0


class Destination(Protocol):
    """One place that takes effects.

    Every sending method takes a batch and answers one outcome per record, in any order. It raises only what holds for
    the whole batch: the errors of `pipelines.http` mean what they say (busy, unreachable and refused: nothing happened;
    doubtful: it may have), and of anything else every record counts as unknown. A record without an answer counts as
    unknown too.
    """

    name: str

    def capabilities(self) -> Capabilities: ...

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The destination's own id of the person, often the address itself; None if it knows nobody of that address."""
        ...

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]: ...

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]: ...

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]: ...

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        """Per key, whether the effect of that record is there."""
        ...

    def received(self, operation: Operation) -> int | None:
        """How many distinct records of ours it holds a receipt of; None if it can't tell."""
        ...


@runtime_checkable
class RevokesCoupons(Protocol):
    """What a destination besides has whose capabilities name `REVOKE`."""

    def revoke_coupon(self, revocations: Sequence[CouponRevocation]) -> list[Outcome]:
        """Make codes of ours unusable. One that was redeemed before stays redeemed; one that isn't there is done."""
        ...


@runtime_checkable
class KeepsRecords(Protocol):
    """A destination that keeps, within our reach, what it was sent: it can blank what it keeps of erased persons.

    notice_days: how long it must go on showing a withdrawal, since its receivers read later.
    """

    notice_days: int

    def blank(self, customers: Collection[str]) -> int:
        """Empty whatever names these customers, keeping the keys of receipts; how many records. Repeatable."""
        ...
