"""The tables of activation in the state database.

Belongs here: their columns, the states a delivery can be in.
Does not belong here: any transaction on them (outbox).
"""

from __future__ import annotations

import sqlalchemy as sa

from pipelines.state import metadata

PENDING = ("planned", "sent", "unknown")
FAILED = ("rejected", "quarantined")
LIVE = (*PENDING, "applied")
"""States whose effect exists or may come to exist: they count for caps and budgets."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery_id", sa.String(32), primary_key=True),
    sa.Column("idempotency_key", sa.String(64), nullable=False),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("operation", sa.String(32), nullable=False),
    sa.Column("customer_id", sa.String(64), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("campaign_id", sa.String(128)),
    sa.Column("wave", sa.String(64)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next_attempt_at", sa.DateTime),
    sa.Column("decided_on", sa.Date, nullable=False),
    sa.Column("decided_at", sa.DateTime, nullable=False),
    sa.Column("settled_at", sa.DateTime),
    sa.Column("snapshot_id", sa.String(128), nullable=False),
    sa.Column("campaign_kind", sa.String(64)),
    sa.Column("liability_cents", sa.BigInteger, nullable=False, default=0),
    sa.Column("valid_to", sa.Date),
    sa.Column("doubted_at", sa.DateTime),
    sa.Index(
        "deliveries_waiting",
        "destination",
        "operation",
        "state",
        "delivery_id",
        sqlite_where=sa.text("state IN ('planned', 'sent', 'unknown')"),
        postgresql_where=sa.text("state IN ('planned', 'sent', 'unknown')"),
    ),
    sa.Index(
        "deliveries_of_campaigns",
        "campaign_id",
        "wave",
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

payloads = sa.Table(
    "delivery_payloads",
    metadata,
    sa.Column("delivery_id", sa.String(32), primary_key=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("content", sa.Text),
    sqlite_with_rowid=False,
    comment="What is still to be sent; dropped once applied, so that the log stays slim.",
)

destination_state = sa.Table(
    "destination_state",
    metadata,
    sa.Column("destination", sa.String(64), primary_key=True),
    sa.Column("operation", sa.String(32), primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("content", sa.Text),
    sqlite_with_rowid=False,
    comment="What a destination holds of ours per address (a member id of its channel, or our customer id); "
    "an empty fingerprint: nothing (any more).",
)

campaign_plans = sa.Table(
    "campaign_plans",
    metadata,
    sa.Column("campaign_id", sa.String(128), primary_key=True),
    sa.Column("wave", sa.String(64), primary_key=True),
    sa.Column("snapshot_id", sa.String(128), primary_key=True),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("destinations", sa.Text, nullable=False),
    sa.Column("audience", sa.Integer, nullable=False),
    sa.Column("decided", sa.Integer, nullable=False),
    sa.Column("planned_at", sa.DateTime, nullable=False),
    comment="How many persons each planning found in the audience, and how many it newly decided.",
)

withdrawals = sa.Table(
    "erasure_withdrawals",
    metadata,
    sa.Column("delivery_id", sa.String(32), primary_key=True),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("operation", sa.String(32), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("customer_id", sa.String(64), nullable=False),
    sa.Column("erasure_id", sa.String(64), nullable=False),
    sa.Column("planned_at", sa.DateTime, nullable=False),
    comment="What is to be taken back from destinations for erased persons; a row goes once it is confirmed.",
)
