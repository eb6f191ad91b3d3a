"""Why a delivery happened or did not, in words."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from pipelines.activation.tables import deliveries
from pipelines.errors import PermanentError

_STATES = {
    "planned": "It waits to be sent.",
    "sent": "It was being sent when the push ended; the next push asks the destination whether it arrived.",
    "applied": "The destination confirmed it.",
    "held_out": "It was not sent: this person is in the control group, which shows what happens without the campaign.",
    "suppressed": "It was not sent: the person may not or cannot be addressed.",
    "capped": "It was not sent: a limit was reached.",
    "rejected": "It was not delivered and will not be tried again as it is.",
    "quarantined": "It was set aside: this record breaks the call to the destination. Others were not held up.",
    "unknown": "The destination gave no clear answer; it is asked again before anything is sent a second time.",
}

_OPERATIONS = {"tags": "a change of tags", "recommendations": "a recommendation list", "coupon": "a coupon"}


def explain_delivery(engine: sa.Engine, delivery_id: str) -> str:
    """The story of one delivery, several lines. Takes a delivery_id or an idempotency key.

    Raises PermanentError if there is no such delivery.
    """
    statement = sa.select(deliveries).where(
        sa.or_(deliveries.c.delivery_id == delivery_id, deliveries.c.idempotency_key == delivery_id)
    )
    with engine.begin() as transaction:
        row = transaction.execute(statement).one_or_none()
    if row is None:
        raise PermanentError(
            f"There is no delivery {delivery_id!r}; find ids with "
            '`omnilake query "select delivery_id, customer_id, state from marts.activation_log"`.'
        )
    lines = [
        f"Delivery {row.delivery_id}: {_OPERATIONS.get(row.operation, row.operation)} for customer {row.customer_id} "
        f"at destination {row.destination}.",
        _what(row),
        f"Decided at {row.decided_at:%Y-%m-%d %H:%M} UTC on the data of {row.decided_on} (snapshot {row.snapshot_id}).",
        f"State: {row.state}. {_STATES.get(row.state, '')}".strip(),
    ]
    if row.reason:
        lines.append(f"Reason: {row.reason}.")
    if row.attempts:
        lines.append(f"Attempts so far: {row.attempts}.")
    if row.next_attempt_at:
        lines.append(f"Next attempt from {row.next_attempt_at:%Y-%m-%d %H:%M} UTC.")
    if row.settled_at:
        lines.append(f"Settled at {row.settled_at:%Y-%m-%d %H:%M} UTC.")
    lines.append(f"Idempotency key {row.idempotency_key}: sent again with it, it is still one effect.")
    return "\n".join(lines)


def _what(row: Any) -> str:
    if row.operation == "tags":
        return f"Tags (a minus sign removes): {row.subject}." if row.subject else "No tags left to change."
    if row.operation == "recommendations":
        return f"Products in order: {row.subject}." if row.subject else "The list is withdrawn."
    where = f"campaign {row.campaign_id}, wave {row.wave}"
    if row.valid_to is None:
        return f"Considered for {where}; no code was made."
    return f"Code {row.subject} of {where}, valid to {row.valid_to}."
