"""The activation log: every delivery and every decision not to deliver, for the marts."""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from pipelines.activation.outbox import read_chunks
from pipelines.activation.tables import deliveries

ACTIVATION_LOG = pa.schema(
    [
        ("delivery_id", pa.string()),
        ("destination", pa.string()),
        ("operation", pa.string()),
        ("customer_id", pa.string()),
        ("subject", pa.string()),
        ("decided_at", pa.timestamp("us")),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int64()),
        ("idempotency_key", pa.string()),
        ("campaign_id", pa.string()),
        ("wave", pa.string()),
        ("decided_on", pa.date32()),
        ("valid_to", pa.date32()),
    ]
)
"""Instants are UTC; decided_on is the as-of date of the snapshot that led to the decision. What differs from one run
on the same data to the next (attempt times, snapshot ids) stays in the state database."""


def activation_log(engine: sa.Engine) -> pa.Table:
    """`marts.activation_log`: one row per delivery_id, in the columns of ACTIVATION_LOG."""
    chunks = list(read_chunks(engine, ACTIVATION_LOG, deliveries))
    return pa.concat_tables(chunks) if chunks else ACTIVATION_LOG.empty_table()
