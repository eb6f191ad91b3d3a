"""The codes that are out, for the warehouse: so that an order that redeems one is credited to its campaign."""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from pipelines.activation.exchange import create, insert, read_chunks
from pipelines.activation.tables import LIVE, deliveries
from pipelines.destinations.protocol import Operation

ISSUED = {
    "delivery_id": "VARCHAR",
    "destination": "VARCHAR",
    "subject": "VARCHAR",
    "campaign_id": "VARCHAR",
    "wave": "VARCHAR",
    "customer_id": "VARCHAR",
    "decided_on": "DATE",
    "valid_to": "DATE",
}
"""Columns of `ops.coupons_issued`, where `subject` is called coupon_code."""


def load_issued_coupons(connection: duckdb.DuckDBPyConnection, engine: sa.Engine) -> None:
    """Make `ops.coupons_issued` anew: deliveries of coupons whose effect exists or may come to exist."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ops")
    columns = {"coupon_code" if name == "subject" else name: kind for name, kind in ISSUED.items()}
    create(connection, "ops.coupons_issued", columns, kind="TABLE")
    conditions = (
        deliveries.c.operation == Operation.COUPON.value,
        deliveries.c.state.in_(LIVE),
        deliveries.c.valid_to.is_not(None),  # only a decision to treat has a code
    )
    insert(connection, "ops.coupons_issued", columns, read_chunks(engine, ISSUED, deliveries, *conditions))
