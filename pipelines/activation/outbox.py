"""The outbox: what was decided, what became of it, and what each destination holds of ours.

Belongs here: every transaction on the tables of `tables`. Each transaction is short, so that no
lock is held while anything is sent. Does not belong here: what to decide (differences, decisions) or how to send.

The life of a delivery:
    planned ──claim──> sent ──> applied
       ^                 ├────> rejected | quarantined
       └──known absent───┴────> unknown ──read back──> applied | planned
held_out, suppressed and capped are decisions not to send; they are final at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pipelines.activation.tables import PENDING, campaign_plans, deliveries, destination_state, payloads
from pipelines.destinations.protocol import Operation

_CHUNK = 20_000

Row = dict[str, Any]
"""What planning hands over: the columns of `deliveries` that it decides, with `payload` (null where nothing is to be
sent) and `content` (what the destination holds afterwards, where the next difference needs it)."""

_PLACE = ("destination", "operation", "address", "customer_id")
_NOTED = ("version", "fingerprint", "content")


@dataclass(frozen=True)
class Claim:
    """A delivery taken for sending (or for reading back).

    attempts: counts this one. reason: why it is not settled yet. is_doubted: an earlier attempt ended in doubt.
    """

    delivery_id: str
    key: str
    customer_id: str
    address: str
    operation: str
    campaign_id: str | None
    wave: str | None
    version: int
    fingerprint: str
    attempts: int
    decided_on: Any
    payload: str | None
    reason: str | None = None
    is_doubted: bool = False


@dataclass(frozen=True)
class Settlement:
    """What became of a claimed delivery.

    give_back: the attempt provably never left, so it doesn't count. is_doubted: an effect was absent when last looked
    up, but may appear late.
    """

    claim: Claim
    state: str
    reason: str | None = None
    next_attempt_at: datetime | None = None
    give_back: bool = False
    is_doubted: bool = False


def insert_planned(engine: sa.Engine, chunks: Iterable[list[Row]]) -> None:
    """Add planned deliveries, one transaction a chunk; a delivery that is there already is left as it is.

    The order of chunks and a kill between them don't matter: the next planning finds what is still missing.
    """
    for rows in chunks:
        with engine.begin() as transaction:
            _insert(transaction, rows)


def insert_decisions(engine: sa.Engine, chunks: Iterable[list[Row]], plan: Row) -> None:
    """Add all decisions of one planning of one campaign together with its record, in one transaction.

    All or nothing: budget and caps of what follows depend on them.
    """
    with engine.begin() as transaction:
        for rows in chunks:
            _insert(transaction, rows)
        statement = _insert_into(engine, campaign_plans).values(plan)
        transaction.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "wave", "snapshot_id"],
                set_={
                    "audience": statement.excluded.audience,
                    "decided": campaign_plans.c.decided + statement.excluded.decided,
                    "destinations": statement.excluded.destinations,
                },
            )
        )


def _insert(transaction: sa.Connection, rows: list[Row]) -> None:
    bodies = [
        {name: row[name] for name in ("delivery_id", "payload", "content")}
        for row in rows
        if row["payload"] is not None
    ]
    for row in rows:
        del row["payload"], row["content"]
        row["attempts"] = 0
    transaction.execute(_insert_into(transaction.engine, deliveries).on_conflict_do_nothing(), rows)
    if bodies:
        transaction.execute(_insert_into(transaction.engine, payloads).on_conflict_do_nothing(), bodies)


def supersede(engine: sa.Engine, superseded: Sequence[dict[str, Any]]) -> None:
    """End planned deliveries that newer data has overtaken before they were sent.

    superseded: delivery_id, destination, operation, address, customer_id, version. Their version is used up, so that
    the same content planned again later gets a key of its own.
    """
    for start in range(0, len(superseded), _CHUNK):
        chunk = superseded[start : start + _CHUNK]
        delivery_ids = [row["delivery_id"] for row in chunk]
        with engine.begin() as transaction:
            transaction.execute(
                deliveries.update()
                .where(deliveries.c.delivery_id.in_(delivery_ids), deliveries.c.state == "planned")
                .values(state="rejected", reason="overtaken by newer data before it was sent", next_attempt_at=None)
            )
            _drop_payloads(transaction, delivery_ids)
            statement = _insert_into(engine, destination_state)
            transaction.execute(
                statement.on_conflict_do_update(
                    index_elements=["destination", "operation", "address"],
                    set_={"version": statement.excluded.version},
                ),
                [
                    {
                        **{name: row[name] for name in _PLACE},
                        "version": row["version"],
                        "fingerprint": "",
                    }
                    for row in chunk
                ],
            )


def withhold(engine: sa.Engine, withheld: Sequence[dict[str, Any]]) -> None:
    """Stop planned coupons that may no longer go out. withheld: delivery_id, state, reason."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in withheld:
        alike[row["state"], row["reason"]].append(row["delivery_id"])
    for (state, reason), delivery_ids in alike.items():
        for start in range(0, len(delivery_ids), _CHUNK):
            chunk = delivery_ids[start : start + _CHUNK]
            with engine.begin() as transaction:
                transaction.execute(
                    deliveries.update()
                    .where(deliveries.c.delivery_id.in_(chunk), deliveries.c.state == "planned")
                    .values(state=state, reason=reason, next_attempt_at=None)
                )
                _drop_payloads(transaction, chunk)


_CLAIM_COLUMNS = (
    deliveries.c.delivery_id,
    deliveries.c.idempotency_key,
    deliveries.c.customer_id,
    deliveries.c.address,
    deliveries.c.operation,
    deliveries.c.campaign_id,
    deliveries.c.wave,
    deliveries.c.version,
    deliveries.c.fingerprint,
    deliveries.c.attempts,
    deliveries.c.decided_on,
    payloads.c.payload,
    deliveries.c.reason,
    deliveries.c.doubted_at,
)


def claim_due(engine: sa.Engine, destination: str, operation: Operation, now: datetime, limit: int) -> list[Claim]:
    """Take the next due deliveries in the order of their ids and mark them `sent` before anything leaves."""
    with engine.begin() as transaction:
        rows = transaction.execute(_due("planned", destination, operation, now).limit(limit)).all()
        if rows:
            transaction.execute(
                deliveries.update()
                .where(_among(engine, deliveries.c.delivery_id, [row.delivery_id for row in rows]))
                .values(state="sent", attempts=deliveries.c.attempts + 1, next_attempt_at=None)
            )
    return [_claim(row, attempts=row.attempts + 1) for row in rows]


def claim_these(engine: sa.Engine, delivery_ids: Sequence[str]) -> list[Claim]:
    """Take these deliveries as far as they are planned, as `claim_due` does, whenever they are due."""
    wanted = (_among(engine, deliveries.c.delivery_id, delivery_ids), deliveries.c.state == "planned")
    statement = (
        sa.select(*_CLAIM_COLUMNS)
        .select_from(deliveries.outerjoin(payloads, payloads.c.delivery_id == deliveries.c.delivery_id))
        .where(*wanted)
        .order_by(deliveries.c.delivery_id)
    )
    with engine.begin() as transaction:
        rows = transaction.execute(statement).all()
        transaction.execute(
            deliveries.update()
            .where(*wanted)
            .values(state="sent", attempts=deliveries.c.attempts + 1, next_attempt_at=None)
        )
    return [_claim(row, attempts=row.attempts + 1) for row in rows]


def unresolved(
    engine: sa.Engine, destination: str, operation: Operation, state: str, now: datetime, after: str, limit: int
) -> list[Claim]:
    """Deliveries whose effect is in doubt: `sent` (a push died) or `unknown` (no clear answer), after that id."""
    statement = _due(state, destination, operation, now).where(deliveries.c.delivery_id > after).limit(limit)
    with engine.begin() as transaction:
        return [_claim(row, attempts=row.attempts) for row in transaction.execute(statement)]


def next_due(engine: sa.Engine, destination: str, now: datetime) -> datetime | None:
    """When the earliest waiting delivery of that destination is due, None if none waits."""
    with engine.begin() as transaction:
        return transaction.execute(
            sa.select(sa.func.min(deliveries.c.next_attempt_at)).where(
                deliveries.c.destination == destination,
                deliveries.c.state.in_(("planned", "unknown")),
                deliveries.c.next_attempt_at > now,
            )
        ).scalar()


def _due(state: str, destination: str, operation: Operation, now: datetime) -> sa.Select[Any]:
    return (
        sa.select(*_CLAIM_COLUMNS)
        .select_from(deliveries.outerjoin(payloads, payloads.c.delivery_id == deliveries.c.delivery_id))
        .where(
            # Spelled out, since a partial index serves no parameter.
            deliveries.c.state == sa.literal_column(f"'{state}'"),
            deliveries.c.destination == destination,
            deliveries.c.operation == operation.value,
            sa.or_(deliveries.c.next_attempt_at.is_(None), deliveries.c.next_attempt_at <= now),
        )
        .order_by(deliveries.c.delivery_id)
    )


def _claim(row: Any, attempts: int) -> Claim:
    return Claim(
        row.delivery_id, row.idempotency_key, row.customer_id, row.address, row.operation, row.campaign_id, row.wave,
        row.version, row.fingerprint, attempts, row.decided_on, row.payload, row.reason, row.doubted_at is not None,
    )  # fmt: skip


def settle(engine: sa.Engine, settlements: Sequence[Settlement], now: datetime) -> None:
    """Record what became of a window, and what the destination holds now, in one transaction."""
    if not settlements:
        return
    alike: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for one in settlements:
        doubted = one.is_doubted or one.claim.is_doubted or one.state == "unknown"
        alike[one.state, one.reason, one.next_attempt_at, one.give_back, doubted].append(one.claim.delivery_id)
    with engine.begin() as transaction:
        for (state, reason, next_attempt_at, give_back, doubted), delivery_ids in alike.items():
            transaction.execute(
                deliveries.update()
                .where(_among(engine, deliveries.c.delivery_id, delivery_ids))
                .values(
                    state=state,
                    reason=reason,
                    next_attempt_at=next_attempt_at,
                    attempts=deliveries.c.attempts - int(give_back),
                    settled_at=None if state in PENDING else now,
                    doubted_at=now if doubted else None,
                )
            )
        applied = [one.claim.delivery_id for one in settlements if one.state == "applied"]
        if applied:
            _hold(transaction, applied)
            _drop_payloads(transaction, applied)


def _hold(transaction: sa.Connection, delivery_ids: Sequence[str]) -> None:
    """Note what destinations hold now; coupons and their revocations are never differenced, so not noted."""
    carried = (
        sa.select(
            deliveries.c.destination,
            deliveries.c.operation,
            deliveries.c.address,
            deliveries.c.customer_id,
            deliveries.c.version,
            deliveries.c.fingerprint,
            payloads.c.content,
        )
        .select_from(deliveries.outerjoin(payloads, payloads.c.delivery_id == deliveries.c.delivery_id))
        .where(
            _among(transaction.engine, deliveries.c.delivery_id, delivery_ids),
            deliveries.c.operation.not_in((Operation.COUPON.value, Operation.REVOKE.value)),
        )
    )
    statement = _insert_into(transaction.engine, destination_state).from_select([*_PLACE, *_NOTED], carried)
    transaction.execute(
        statement.on_conflict_do_update(
            index_elements=["destination", "operation", "address"],
            set_={name: statement.excluded[name] for name in ("customer_id", *_NOTED)},
        )
    )


def _drop_payloads(transaction: sa.Connection, delivery_ids: Sequence[str]) -> None:
    transaction.execute(payloads.delete().where(_among(transaction.engine, payloads.c.delivery_id, delivery_ids)))


def _among(engine: sa.Engine, column: sa.Column[str], ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """`column IN (ids)` with one parameter: thousands of them would be compiled anew for every window."""
    if engine.dialect.name == "postgresql":
        return column == sa.func.any(sa.literal(list(ids), postgresql.ARRAY(sa.String)))
    listed = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def _insert_into(engine: sa.Engine, table: sa.Table) -> Any:
    """INSERT with ON CONFLICT, which SQLAlchemy spells per dialect."""
    dialect: Any = postgresql if engine.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
