"""Taking back from destinations what they hold of an erased person, and then forgetting that they held it.

Belongs here: planning withdrawals, trying failed ones again, and what is left of the person's deliveries. A withdrawal
needs the person's address at its destination, so that alone is kept until the destination has confirmed; the log shows
a name that leads nowhere from the beginning. Does not belong here: who is erased, and how anything is sent (outbox,
sending).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from pipelines.activation.revocation import plan_revocations
from pipelines.activation.tables import FAILED, deliveries, destination_state, payloads, withdrawals
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import Configured

UNKNOWN_THERE = "knows nobody of that address"
"""How dispatch says that a destination has no such customer: then nothing of ours is there."""

UNSUPPORTED = "unsupported:"
"""How a delivery begins to say that its destination can't take a coupon back."""

ENDED = "the person was erased"
_SUBJECT = "erased"
_DOUBTFUL = ("sent", "unknown")
_UNIT = "\x1f"


@dataclass(frozen=True)
class Waiting:
    """Withdrawals of one destination and operation that are not confirmed."""

    destination: str
    operation: str
    withdrawals: int
    since: datetime
    reason: str | None


def plan_withdrawals(engine: sa.Engine, erasure_id: str, customers: Collection[str], now: datetime) -> int:
    """Plan to take back tags and recommendations of these customers wherever they are held or may be; how many.

    What was planned for them and not sent ends. All in one transaction; planning again adds nothing.
    """
    if not customers:
        return 0
    with engine.begin() as transaction:
        known = {
            (row.destination, row.operation, row.address)
            for row in transaction.execute(sa.select(withdrawals).where(withdrawals.c.customer_id.in_(customers)))
        }
        places = _places(transaction, customers)
        for place in sorted(places.keys() - known):
            _plan(transaction, erasure_id, place, places[place], now)
        planned = sa.select(withdrawals.c.delivery_id)
        ended = sa.select(deliveries.c.delivery_id).where(
            deliveries.c.customer_id.in_(customers),
            deliveries.c.state.in_(("planned", *_DOUBTFUL)),
            deliveries.c.delivery_id.not_in(planned),
        )
        ids = [row.delivery_id for row in transaction.execute(ended)]
        transaction.execute(payloads.delete().where(payloads.c.delivery_id.in_(ids)))
        transaction.execute(
            deliveries.update()
            .where(deliveries.c.delivery_id.in_(ids))
            .values(state="rejected", reason=ENDED, next_attempt_at=None, settled_at=now)
        )
    return len(places)


@dataclass
class _Held:
    customer_id: str
    version: int
    content: set[tuple[str, str]]


def _places(transaction: sa.Connection, customers: Collection[str]) -> dict[tuple[str, str, str], _Held]:
    """Where something of theirs is held, or may be since a delivery is in doubt."""
    held = transaction.execute(
        sa.select(destination_state).where(
            destination_state.c.customer_id.in_(customers) | destination_state.c.address.in_(customers)
        )
    ).all()
    in_doubt = transaction.execute(
        sa.select(deliveries, payloads.c.content)
        .select_from(deliveries.outerjoin(payloads, payloads.c.delivery_id == deliveries.c.delivery_id))
        .where(
            deliveries.c.customer_id.in_(customers),
            deliveries.c.state.in_(_DOUBTFUL),
            deliveries.c.operation.in_((Operation.TAGS.value, Operation.RECOMMENDATIONS.value)),
        )
    ).all()
    places: dict[tuple[str, str, str], _Held] = {}
    for row in [*(row for row in held if row.fingerprint), *in_doubt]:
        place = places.setdefault(
            (row.destination, row.operation, row.address), _Held(row.customer_id, row.version, set())
        )
        place.version = max(place.version, row.version)
        if row.operation == Operation.TAGS.value:
            place.content |= {(label["tag"], label["value"]) for label in json.loads(row.content or "[]")}
    return places


def _plan(transaction: sa.Connection, erasure_id: str, place: tuple[str, str, str], held: _Held, now: datetime) -> None:
    destination, operation, address = place
    version = held.version + 1
    digest = hashlib.sha256(_UNIT.join((destination, operation, address, str(version), "")).encode()).hexdigest()
    labels = [{"tag": tag, "value": value} for tag, value in sorted(held.content)]
    is_tags = operation == Operation.TAGS.value
    body: dict[str, Any] = {"add": [], "remove": labels} if is_tags else {"items": []}
    delivery_id = f"d{digest[:20]}"
    # The key is the one that a difference would have had: whoever plans it, it is the same withdrawal.
    transaction.execute(deliveries.delete().where(deliveries.c.delivery_id == delivery_id))
    transaction.execute(payloads.delete().where(payloads.c.delivery_id == delivery_id))
    transaction.execute(
        deliveries.insert().values(
            delivery_id=delivery_id, idempotency_key=digest[:32], destination=destination, operation=operation,
            customer_id=_a_name(), address=address, version=version, fingerprint="", subject=_SUBJECT,
            state="planned", attempts=0, decided_on=now.date(), decided_at=now, snapshot_id=f"erasure-{erasure_id}",
            liability_cents=0,
        )
    )  # fmt: skip
    transaction.execute(
        payloads.insert().values(
            delivery_id=delivery_id,
            payload=json.dumps({"source_ids": [], "customer_id": held.customer_id, "body": body}),
            content="[]" if is_tags else None,
        )
    )
    transaction.execute(
        withdrawals.insert().values(
            delivery_id=delivery_id, destination=destination, operation=operation, address=address,
            customer_id=held.customer_id, erasure_id=erasure_id, planned_at=now,
        )
    )  # fmt: skip


def plan_coupon_withdrawals(
    engine: sa.Engine,
    erasure_id: str,
    customers: Collection[str],
    redeemed: Collection[str],
    destinations: Mapping[str, Configured],
    now: datetime,
) -> int:
    """Plan to take back these customers' coupons that are out, or may be, and neither redeemed nor expired; how many.

    redeemed: codes. A coupon that its destination can't take back has a delivery that is rejected and says so.
    To be called before `plan_withdrawals`, which ends what is in doubt.
    """
    if not customers:
        return 0
    out = sa.select(deliveries).where(
        deliveries.c.customer_id.in_(customers),
        deliveries.c.operation == Operation.COUPON.value,
        deliveries.c.state.in_(("applied", *_DOUBTFUL)),
        sa.or_(deliveries.c.valid_to.is_(None), deliveries.c.valid_to >= now.date()),
    )
    with engine.begin() as transaction:
        coupons = [
            {**row, "reason": ENDED} for row in transaction.execute(out).mappings() if row["subject"] not in redeemed
        ]
    plan_revocations(engine, coupons, destinations, now.date(), now, f"erasure-{erasure_id}")
    with engine.begin() as transaction:
        planned = transaction.execute(
            sa.select(deliveries, payloads.c.payload)
            .select_from(deliveries.outerjoin(payloads, payloads.c.delivery_id == deliveries.c.delivery_id))
            .where(deliveries.c.customer_id.in_(customers), deliveries.c.operation == Operation.REVOKE.value)
        ).all()
        for row in planned:
            if row.payload is not None:
                payload = {**json.loads(row.payload), "customer_id": row.customer_id}
                transaction.execute(
                    payloads.update()
                    .where(payloads.c.delivery_id == row.delivery_id)
                    .values(payload=json.dumps(payload))
                )
            transaction.execute(
                withdrawals.insert().values(
                    delivery_id=row.delivery_id, destination=row.destination, operation=row.operation,
                    address=row.address, customer_id=row.customer_id, erasure_id=erasure_id, planned_at=now,
                )
            )  # fmt: skip
            transaction.execute(
                deliveries.update()
                .where(deliveries.c.delivery_id == row.delivery_id)
                .values(customer_id=_a_name(), subject=_SUBJECT)
            )
    return len(coupons)


def retry_withdrawals(engine: sa.Engine, destinations: Collection[str]) -> int:
    """Plan withdrawals anew that these destinations refused or that were given up; how many."""
    with engine.begin() as transaction:
        failed = sa.select(deliveries.c.delivery_id).where(
            deliveries.c.delivery_id.in_(sa.select(withdrawals.c.delivery_id)),
            deliveries.c.destination.in_(destinations),
            deliveries.c.state.in_(FAILED),
            ~_is_gone(),
        )
        ids = [row.delivery_id for row in transaction.execute(failed)]
        transaction.execute(
            deliveries.update()
            .where(deliveries.c.delivery_id.in_(ids))
            .values(state="planned", attempts=0, next_attempt_at=None, settled_at=None)
        )
    return len(ids)


def finish_withdrawals(engine: sa.Engine, now: datetime, notice_days: Mapping[str, int]) -> dict[str, list[str]]:
    """Forget the addresses of withdrawals that are confirmed; the customers that each destination shall now blank.

    notice_days: for destinations whose receivers read later, how long a withdrawal must stay readable there. Call
    `forget_notices` once the destination has blanked them.
    """
    blank: dict[str, list[str]] = {}
    with engine.begin() as transaction:
        confirmed = transaction.execute(
            sa.select(withdrawals, deliveries.c.settled_at)
            .join(deliveries, deliveries.c.delivery_id == withdrawals.c.delivery_id)
            .where((deliveries.c.state == "applied") | _is_gone())
        ).all()
        for row in confirmed:
            days = notice_days.get(row.destination, 0) if row.settled_at else 0
            if days and now < (row.settled_at or now) + timedelta(days=days):
                continue
            if days:
                blank.setdefault(row.destination, []).append(row.customer_id)
                continue
            _forget(transaction, row)
    return blank


def forget_notices(engine: sa.Engine, destination: str, customers: Collection[str]) -> None:
    """The destination has blanked its withdrawals of these customers: nothing of them is left to keep."""
    with engine.begin() as transaction:
        rows = transaction.execute(
            sa.select(withdrawals).where(
                withdrawals.c.destination == destination, withdrawals.c.customer_id.in_(customers)
            )
        ).all()
        for row in rows:
            _forget(transaction, row)


def waiting_withdrawals(engine: sa.Engine) -> list[Waiting]:
    """Withdrawals that their destinations have not confirmed yet."""
    statement = (
        sa.select(
            withdrawals.c.destination,
            withdrawals.c.operation,
            sa.func.count().label("withdrawals"),
            sa.func.min(withdrawals.c.planned_at).label("since"),
            sa.func.max(deliveries.c.reason).label("reason"),
        )
        .join(deliveries, deliveries.c.delivery_id == withdrawals.c.delivery_id)
        .where(deliveries.c.state != "applied", ~_is_gone())
        .group_by(withdrawals.c.destination, withdrawals.c.operation)
        .order_by(withdrawals.c.destination, withdrawals.c.operation)
    )
    with engine.begin() as transaction:
        return [Waiting(**row._mapping) for row in transaction.execute(statement)]


def unsent_withdrawals(engine: sa.Engine) -> dict[tuple[str, str], list[str]]:
    """Ids of planned withdrawals by destination and operation."""
    statement = (
        sa.select(withdrawals.c.destination, withdrawals.c.operation, withdrawals.c.delivery_id)
        .join(deliveries, deliveries.c.delivery_id == withdrawals.c.delivery_id)
        .where(deliveries.c.state == "planned")
        .order_by(withdrawals.c.delivery_id)
    )
    found: dict[tuple[str, str], list[str]] = {}
    with engine.begin() as transaction:
        for row in transaction.execute(statement):
            found.setdefault((row.destination, row.operation), []).append(row.delivery_id)
    return found


def forget_deliveries(engine: sa.Engine, customers: Collection[str]) -> int:
    """Make deliveries and decisions of these customers nobody's, but for withdrawals under way; how many.

    They are still counted: audience, budget and receipts of a campaign add up as before. Of one campaign's wave they
    stay one person, of two they are two.
    """
    if not customers:
        return 0
    of_theirs = (
        deliveries.c.customer_id.in_(customers),
        deliveries.c.delivery_id.not_in(sa.select(withdrawals.c.delivery_id)),
    )
    under_way = sa.select(withdrawals.c.delivery_id).where(
        withdrawals.c.destination == destination_state.c.destination,
        withdrawals.c.operation == destination_state.c.operation,
        withdrawals.c.address == destination_state.c.address,
    )
    with engine.begin() as transaction:
        waves = sa.select(deliveries.c.campaign_id, deliveries.c.wave).where(*of_theirs).distinct()
        changed = 0
        for campaign_id, wave in transaction.execute(waves).all():
            in_wave = (
                deliveries.c.campaign_id.is_not_distinct_from(campaign_id),
                deliveries.c.wave.is_not_distinct_from(wave),
            )
            ids = sa.select(deliveries.c.delivery_id).where(*of_theirs, *in_wave)
            transaction.execute(payloads.delete().where(payloads.c.delivery_id.in_(ids)))
            changed += transaction.execute(
                deliveries.update().where(*of_theirs, *in_wave).values(**_nobody(has_code=campaign_id is not None))
            ).rowcount
        transaction.execute(
            destination_state.delete().where(
                destination_state.c.customer_id.in_(customers) | destination_state.c.address.in_(customers),
                ~sa.exists(under_way),
            )
        )
    return changed


def _forget(transaction: sa.Connection, row: Any) -> None:
    transaction.execute(
        destination_state.delete().where(
            destination_state.c.destination == row.destination,
            destination_state.c.operation == row.operation,
            destination_state.c.address == row.address,
        )
    )
    transaction.execute(payloads.delete().where(payloads.c.delivery_id == row.delivery_id))
    transaction.execute(
        deliveries.update().where(deliveries.c.delivery_id == row.delivery_id).values(**_nobody(has_code=False))
    )
    transaction.execute(withdrawals.delete().where(withdrawals.c.delivery_id == row.delivery_id))


def _nobody(*, has_code: bool) -> dict[str, str]:
    """A name that leads nowhere. A coupon's code stays: orders are credited by it, and it names nobody any more."""
    name = _a_name()
    return {"customer_id": name, "address": name, **({} if has_code else {"subject": _SUBJECT})}


def _a_name() -> str:
    return f"erased-{secrets.token_hex(8)}"


def _is_gone() -> sa.ColumnElement[bool]:
    """Nothing of ours is there, or it is there for good: trying again changes nothing."""
    reason = sa.func.coalesce(deliveries.c.reason, "")
    return (deliveries.c.state == "rejected") & (reason.like(f"%{UNKNOWN_THERE}") | reason.like(f"{UNSUPPORTED}%"))
