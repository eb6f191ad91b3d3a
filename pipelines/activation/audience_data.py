"""What planning reads: the published snapshot and the outbox, side by side in one DuckDB connection.

Belongs here: temporary tables of persons, their addresses at a destination, the coupon history, and who today's
person behind an earlier customer id is. Does not belong here: deciding anything.
"""

from __future__ import annotations

import duckdb
import sqlalchemy as sa

from pipelines.activation.exchange import copy_into
from pipelines.activation.tables import deliveries
from pipelines.destinations.protocol import Operation
from pipelines.published import Published

COUPON_HISTORY = {
    "delivery_id": "VARCHAR",
    "destination": "VARCHAR",
    "customer_id": "VARCHAR",
    "campaign_id": "VARCHAR",
    "campaign_kind": "VARCHAR",
    "wave": "VARCHAR",
    "state": "VARCHAR",
    "decided_on": "DATE",
    "liability_cents": "BIGINT",
    "valid_to": "DATE",
}


def prepare_persons(connection: duckdb.DuckDBPyConnection, published: Published) -> None:
    """Temporary tables `members` (channel, member_id, customer_id) and `persons` (one row per customer)."""
    members = (
        """
        SELECT
            channel,
            identity AS member_id,
            customer_id
        FROM marts.customer_identities
        WHERE kind = 'member' AND customer_id IS NOT NULL AND channel IS NOT NULL
        """
        if "customer_identities" in published.tables
        else "SELECT NULL::VARCHAR AS channel, NULL::VARCHAR AS member_id, NULL::VARCHAR AS customer_id WHERE false"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE members AS {members}")
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE persons AS
        WITH memberships AS (
            SELECT
                customer_id,
                list(
                    {'channel': channel, 'member_id': member_id} ORDER BY channel, member_id
                ) AS source_ids
            FROM members
            GROUP BY customer_id
        )

        SELECT
            customers.customer_id,
            coalesce(customers.is_staff, false) AS is_staff,
            coalesce(customers.consent_marketing, false) AS has_consent,
            coalesce(to_json(memberships.source_ids)::VARCHAR, '[]') AS source_ids
        FROM marts.customers AS customers
        LEFT JOIN memberships ON customers.customer_id = memberships.customer_id
        """
    )


def prepare_refusals(connection: duckdb.DuckDBPyConnection, published: Published) -> None:
    """Temporary table `refusals` (channel, customer_id): who said no to marketing in a channel, whatever they said in
    others."""
    refused = (
        """
        SELECT DISTINCT channel, customer_id
        FROM marts.customer_consents
        WHERE purpose = 'marketing' AND is_live AND NOT is_granted
        """
        if "customer_consents" in published.tables
        else "SELECT NULL::VARCHAR AS channel, NULL::VARCHAR AS customer_id WHERE false"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE refusals AS {refused}")


def prepare_addresses(connection: duckdb.DuckDBPyConnection, channel: str | None) -> None:
    """Temporary table `addresses` (address, customer_id) of a destination that knows `channel`'s members, or all."""
    if channel is None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE addresses AS SELECT customer_id AS address, customer_id FROM persons"
        )
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE addresses AS SELECT member_id AS address, customer_id FROM members "
        "WHERE channel = ?",
        [channel],
    )


def prepare_coupon_history(connection: duckdb.DuckDBPyConnection, engine: sa.Engine, published: Published) -> None:
    """Temporary tables `coupon_history` (every coupon decision) and `lineage` (which person each stands for today).

    lineage (customer_id, person, via): via `self` or `merge`, the decision is that person's own; via `split`, the
    person came out of a customer who had it: it counts for their caps, so that a split never earns a second coupon.
    """
    copy_into(
        connection, engine, "coupon_history", COUPON_HISTORY, deliveries,
        deliveries.c.operation == Operation.COUPON.value,
    )  # fmt: skip
    events = (
        'SELECT kind, from_customer_id, into_customer_id, "at" FROM marts.customer_merges'
        if "customer_merges" in published.tables
        else "SELECT NULL::VARCHAR AS kind, NULL::VARCHAR AS from_customer_id, NULL::VARCHAR AS into_customer_id, "
        'NULL::TIMESTAMP AS "at" WHERE false'
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE lineage AS
        WITH RECURSIVE events AS ({events}),

        holders AS (
            SELECT DISTINCT customer_id FROM coupon_history
        ),

        newest_merges AS (
            SELECT
                from_customer_id,
                into_customer_id
            FROM events
            WHERE kind = 'merge'
            QUALIFY row_number() OVER (PARTITION BY from_customer_id ORDER BY "at" DESC, into_customer_id) = 1
        ),

        walked AS (
            SELECT
                holders.customer_id,
                newest_merges.into_customer_id AS reached
            FROM holders
            INNER JOIN newest_merges ON holders.customer_id = newest_merges.from_customer_id
            ANTI JOIN persons ON holders.customer_id = persons.customer_id
            UNION
            SELECT
                walked.customer_id,
                newest_merges.into_customer_id AS reached
            FROM walked
            INNER JOIN newest_merges ON walked.reached = newest_merges.from_customer_id
            WHERE walked.reached NOT IN (SELECT persons.customer_id FROM persons)
        ),

        standing AS (
            SELECT
                holders.customer_id,
                holders.customer_id AS person,
                'self' AS via
            FROM holders
            SEMI JOIN persons ON holders.customer_id = persons.customer_id
            UNION ALL
            SELECT
                walked.customer_id,
                walked.reached AS person,
                'merge' AS via
            FROM walked
            SEMI JOIN persons ON walked.reached = persons.customer_id
        ),

        split_off AS (
            SELECT DISTINCT
                standing.customer_id,
                events.into_customer_id AS person,
                'split' AS via
            FROM standing
            INNER JOIN events ON standing.person = events.from_customer_id
            INNER JOIN persons ON events.into_customer_id = persons.customer_id
            WHERE events.kind = 'split' AND events.into_customer_id <> standing.person
        )

        SELECT * FROM standing
        UNION ALL
        SELECT * FROM split_off
        """
    )
