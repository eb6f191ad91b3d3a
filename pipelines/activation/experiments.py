"""Who was treated and who was held out, for the warehouse: so that a campaign's effect is measured in dbt.

Belongs here: decisions of coupons and the campaigns' own settings as tables of schema `ops`. Does not belong here: any
figure made of them.
"""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from pipelines.activation.campaigns import load_campaigns
from pipelines.activation.exchange import create, insert, read_chunks
from pipelines.activation.tables import deliveries
from pipelines.destinations.protocol import Operation
from pipelines.settings import Settings

DECISIONS = {
    "delivery_id": "VARCHAR",
    "campaign_id": "VARCHAR",
    "wave": "VARCHAR",
    "customer_id": "VARCHAR",
    "state": "VARCHAR",
    "decided_on": "DATE",
    "valid_to": "DATE",
    "liability_cents": "BIGINT",
}
"""Columns of `ops.campaign_decisions`. A decision to treat has a valid_to, whatever became of its delivery since."""

CAMPAIGNS = {
    "campaign_id": "VARCHAR",
    "name_zh": "VARCHAR",
    "name_en": "VARCHAR",
    "kind": "VARCHAR",
    "holdout_share": "DECIMAL(9, 6)",
    "valid_days": "BIGINT",
    "currency": "VARCHAR",
    "send_cost": "DECIMAL(18, 4)",
    "budget_coupons": "BIGINT",
    "budget_liability": "DECIMAL(18, 2)",
}
"""Columns of `ops.campaign_rules`: campaigns.yml as it is now."""


def load_experiments(connection: duckdb.DuckDBPyConnection, settings: Settings, engine: sa.Engine) -> None:
    """Make `ops.campaign_decisions` and `ops.campaign_rules` anew. Raises ConfigurationError if the file is wrong."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ops")
    create(connection, "ops.campaign_decisions", DECISIONS, kind="TABLE")
    conditions = (
        deliveries.c.operation == Operation.COUPON.value,
        deliveries.c.valid_to.is_not(None) | (deliveries.c.state == "held_out"),
    )
    insert(connection, "ops.campaign_decisions", DECISIONS, read_chunks(engine, DECISIONS, deliveries, *conditions))
    create(connection, "ops.campaign_rules", CAMPAIGNS, kind="TABLE")
    rows = [
        (
            campaign_id,
            campaign.name.get("zh", campaign_id),
            campaign.name.get("en", campaign_id),
            campaign.kind,
            str(campaign.holdout.share),
            campaign.offer.valid_days,
            campaign.offer.currency,
            None if campaign.send_cost is None else str(campaign.send_cost),
            campaign.budget.coupons,
            None if campaign.budget.liability is None else str(campaign.budget.liability),
        )
        for campaign_id, campaign in load_campaigns(settings).campaigns.items()
    ]
    insert(connection, "ops.campaign_rules", CAMPAIGNS, [rows] if rows else [])
