"""Coupons that are out and must come back: which they are, and the deliveries that take them back.

Belongs here: finding coupons that were issued to the wrong person, and planning a `revoke` for any coupon delivery (an
erasure plans its own through `plan_revocations`). Does not belong here: how a platform takes one back (destinations).

A coupon is the wrong person's if a later run found that its account belongs to somebody else than the customer it was
decided for; or, where the destination was told our customer id alone, if that customer was split after the decision:
nobody can say to which of the accounts it went. What is redeemed or has expired stays as it is. The coupon's own
delivery keeps its state, the revocation is a delivery of its own, with a key made of the coupon's: asked for twice, it
is one. Budgets and caps count a revoked coupon still: it may have been seen, and a till that is offline may honour it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines.activation import outbox
from pipelines.activation.differences import Difference
from pipelines.activation.exchange import copy_into, fetch_chunks
from pipelines.activation.plans import Sink
from pipelines.activation.tables import LIVE, deliveries
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import Configured
from pipelines.published import Published

_OPEN_COUPONS = {
    "delivery_id": "VARCHAR",
    "idempotency_key": "VARCHAR",
    "destination": "VARCHAR",
    "customer_id": "VARCHAR",
    "address": "VARCHAR",
    "campaign_id": "VARCHAR",
    "wave": "VARCHAR",
    "subject": "VARCHAR",
    "state": "VARCHAR",
    "decided_at": "TIMESTAMP",
}
_SAMPLES = 3

_MISPLACED = """
    CREATE OR REPLACE TEMP TABLE misplaced AS
    WITH splits AS (
        SELECT from_customer_id AS customer_id, max(logged_at) AS split_at
        FROM marts.customer_merges
        WHERE kind = 'split'
        GROUP BY from_customer_id
    ),

    redeemed AS ($redeemed),

    standing AS (
        SELECT
            open_coupons.*,
            places.channel,
            lineage.person
        FROM open_coupons
        INNER JOIN places ON open_coupons.destination = places.destination
        INNER JOIN lineage ON open_coupons.customer_id = lineage.customer_id AND lineage.via IN ('self', 'merge')
        ANTI JOIN redeemed ON open_coupons.subject = redeemed.coupon_code
    )

    SELECT
        standing.* EXCLUDE (channel, person),
        CASE
            WHEN members.customer_id IS NOT NULL THEN 'its account belongs to another customer since they were parted'
            ELSE 'its customer was parted; nobody can say to which part it went'
        END AS reason
    FROM standing
    LEFT JOIN members
        ON standing.channel = members.channel AND standing.address = members.member_id
        AND standing.person <> members.customer_id
    LEFT JOIN splits
        ON standing.channel IS NULL AND standing.person = splits.customer_id AND standing.decided_at < splits.split_at
    WHERE members.customer_id IS NOT NULL OR splits.customer_id IS NOT NULL
"""


def find_misplaced(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    published: Published,
    destinations: Mapping[str, Configured],
) -> None:
    """Temporary table `misplaced`: live, unredeemed coupons at these destinations that are the wrong person's.

    Needs `members` and `lineage`. Where nobody was ever split it is empty, and nothing is read.
    """
    columns = ", ".join(f"{name} {kind}" for name, kind in (_OPEN_COUPONS | {"reason": "VARCHAR"}).items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE misplaced ({columns})")
    if not _anybody_was_split(connection, published):
        return
    connection.execute("CREATE OR REPLACE TEMP TABLE places (destination VARCHAR, channel VARCHAR)")
    for name, configured in destinations.items():
        connection.execute("INSERT INTO places VALUES (?, ?)", [name, configured.destination.capabilities().channel])
    copy_into(
        connection, engine, "open_coupons", _OPEN_COUPONS, deliveries,
        deliveries.c.operation == Operation.COUPON.value, deliveries.c.state.in_(LIVE),
        deliveries.c.valid_to >= published.as_of, deliveries.c.destination.in_(list(destinations)),
    )  # fmt: skip
    redeemed = (
        "SELECT coupon_code FROM marts.campaign_coupons WHERE is_redeemed AND issued_by = 'omnilake'"
        if "campaign_coupons" in published.tables
        else "SELECT NULL::VARCHAR AS coupon_code WHERE false"
    )
    connection.execute(_MISPLACED.replace("$redeemed", redeemed))


def _anybody_was_split(connection: duckdb.DuckDBPyConnection, published: Published) -> bool:
    """False too for a snapshot of an earlier version, which doesn't say when a split was found."""
    known = connection.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_schema = 'marts' AND table_name = 'customer_merges' "
        "AND column_name = 'logged_at'"
    ).fetchall()
    return bool(known) and bool(
        connection.execute("SELECT 1 FROM marts.customer_merges WHERE kind = 'split' LIMIT 1").fetchall()
    )


def misplaced_waiting(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Those that haven't left yet: delivery_id, state and reason, as `outbox.withhold` takes them."""
    query = "SELECT delivery_id, 'suppressed' AS state, reason FROM misplaced WHERE state = 'planned'"
    return [row for chunk in fetch_chunks(connection, query) for row in chunk]


def revoke_misplaced(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    published: Published,
    destinations: Mapping[str, Configured],
    now: datetime,
    *,
    write: bool,
    sink: Sink | None = None,
) -> list[Difference]:
    """Plan the revocation of those that are out; what is in doubt waits until it is known. Per destination, how many.

    Planned once: a coupon whose revocation is known already is not counted again.
    """
    query = "SELECT * FROM misplaced WHERE state = 'applied' ORDER BY delivery_id"
    coupons = [row for chunk in fetch_chunks(connection, query) for row in chunk]
    if not coupons:
        return []
    planned = _not_known(engine, _revocations(coupons, destinations, published.as_of, now, published.snapshot_id))
    if sink and planned:
        sink([{**row, "kind": "create"} for row in planned if row["state"] == "planned"])
    found = []
    for name in sorted({row["destination"] for row in planned}):
        rows = [row for row in planned if row["destination"] == name]
        samples = tuple(f"revoke {row['customer_id']}: {row['reason']}" for row in rows[:_SAMPLES])
        found.append(Difference(name, Operation.REVOKE, creates=len(rows), samples=samples))
    if write and planned:
        outbox.insert_planned(engine, [planned])
    return found


def plan_revocations(
    engine: sa.Engine,
    coupons: Iterable[Mapping[str, Any]],
    destinations: Mapping[str, Configured],
    as_of: date,
    now: datetime,
    snapshot_id: str,
) -> int:
    """Put the revocation of these coupon deliveries into the outbox; how many are new.

    coupons: delivery_id, idempotency_key, destination, customer_id, address, campaign_id, wave, subject (the code) and
    reason. Where a destination cannot take a coupon back, the delivery is there as `rejected` and says so.
    """
    planned = _not_known(engine, _revocations(coupons, destinations, as_of, now, snapshot_id))
    outbox.insert_planned(engine, [planned] if planned else [])
    return len(planned)


def _revocations(
    coupons: Iterable[Mapping[str, Any]],
    destinations: Mapping[str, Configured],
    as_of: date,
    now: datetime,
    snapshot_id: str,
) -> list[dict[str, Any]]:
    rows = []
    for coupon in coupons:
        place = coupon["destination"]
        digest = hashlib.sha256(f"{Operation.REVOKE}\x1f{coupon['idempotency_key']}".encode()).hexdigest()
        is_possible = place in destinations and destinations[place].wants(Operation.REVOKE)
        body = {"code": coupon["subject"], "coupon_key": coupon["idempotency_key"], "reason": coupon["reason"]}
        refused = f"unsupported: {place} takes no coupon back; withdraw it there by hand ({coupon['reason']})"
        rows.append(
            {
                "delivery_id": f"d{digest[:20]}",
                "idempotency_key": digest[:32],
                "destination": place,
                "operation": Operation.REVOKE.value,
                "customer_id": coupon["customer_id"],
                "address": coupon["address"],
                "campaign_id": coupon["campaign_id"],
                "wave": coupon["wave"],
                "version": 1,
                "fingerprint": digest[:32],
                "subject": f"{coupon['subject']} ({coupon['reason']})",
                "state": "planned" if is_possible else "rejected",
                "reason": coupon["reason"] if is_possible else refused,
                "decided_on": as_of,
                "decided_at": now,
                "snapshot_id": snapshot_id,
                "campaign_kind": None,
                "liability_cents": 0,
                "valid_to": None,
                "payload": json.dumps({"source_ids": [], "body": body}) if is_possible else None,
                "content": None,
            }
        )
    return rows


def _not_known(engine: sa.Engine, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with engine.begin() as transaction:
        known = {
            delivery_id
            for (delivery_id,) in transaction.execute(
                sa.select(deliveries.c.delivery_id).where(deliveries.c.operation == Operation.REVOKE.value)
            )
        }
    return [row for row in rows if row["delivery_id"] not in known]
