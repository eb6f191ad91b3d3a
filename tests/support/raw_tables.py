"""Warehouse tables of the contract from plain dictionaries, for tests of what reads them.

Belongs here: `raw.*`, `reference.*`, `identity.*` and `ops.*` as the steps before dbt leave them. A row names only the
columns that matter to its test; the rest is null, or an obvious default.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.activation.experiments import CAMPAIGNS, DECISIONS
from pipelines.channels import Channel, Channels
from pipelines.feeds.contract import FEEDS, SHARED
from pipelines.reference import load_reference
from pipelines.settings import Settings

Row = Mapping[str, Any]

IDENTITY_TABLES = {
    "identities": {
        "kind": "VARCHAR",
        "channel": "VARCHAR",
        "identity": "VARCHAR",
        "customer_id": "VARCHAR",
        "first_seen_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
        "n_sources": "BIGINT",
        "is_blocked": "BOOLEAN",
        "reason": "VARCHAR",
    },
    "order_customers": {
        "channel": "VARCHAR",
        "order_id": "VARCHAR",
        "customer_id": "VARCHAR",
        "matched_by": "VARCHAR",
    },
    "merges": {
        "event_id": "VARCHAR",
        "at": "TIMESTAMP",
        "kind": "VARCHAR",
        "from_customer_id": "VARCHAR",
        "into_customer_id": "VARCHAR",
        "cause": "VARCHAR",
        "evidence": "VARCHAR",
        "logged_at": "TIMESTAMP",
    },
    "links": {
        "customer_id": "VARCHAR",
        "relation": "VARCHAR",
        "kind": "VARCHAR",
        "channel": "VARCHAR",
        "member_id": "VARCHAR",
        "identity": "VARCHAR",
        "partner_channel": "VARCHAR",
        "partner_id": "VARCHAR",
        "score": "DOUBLE",
        "evidence": "VARCHAR",
        "since": "TIMESTAMP",
    },
    "households": {
        "kind": "VARCHAR",
        "channel": "VARCHAR",
        "identity": "VARCHAR",
        "customer_id": "VARCHAR",
        "since": "TIMESTAMP",
    },
    "blocks": {
        "customer_id": "VARCHAR",
        "kind": "VARCHAR",
        "channel": "VARCHAR",
        "identity": "VARCHAR",
        "block_rule": "VARCHAR",
        "reason": "VARCHAR",
    },
    "reviews": {
        "review_id": "VARCHAR",
        "left_customer_id": "VARCHAR",
        "right_customer_id": "VARCHAR",
        "left_channel": "VARCHAR",
        "left_member_id": "VARCHAR",
        "right_channel": "VARCHAR",
        "right_member_id": "VARCHAR",
        "score": "DECIMAL(9,2)",
        "evidence": "VARCHAR",
        "state": "VARCHAR",
        "decided_by": "VARCHAR",
        "decided_at": "TIMESTAMP",
        "reason": "VARCHAR",
    },
}

OPS_TABLES = {
    "batches": {
        "batch_id": "VARCHAR",
        "run_id": "VARCHAR",
        "channel": "VARCHAR",
        "feed": "VARCHAR",
        "file": "VARCHAR",
        "rows_received": "BIGINT",
        "rows_accepted": "BIGINT",
        "rows_quarantined": "BIGINT",
        "taken_at": "TIMESTAMP",
    },
    "runs": {
        "run_id": "VARCHAR",
        "started_at": "TIMESTAMP",
        "finished_at": "TIMESTAMP",
        "as_of": "DATE",
        "status": "VARCHAR",
        "rows_received": "BIGINT",
        "rows_accepted": "BIGINT",
        "rows_quarantined": "BIGINT",
        "snapshot_id": "VARCHAR",
    },
    "quarantine": {
        "quarantine_id": "VARCHAR",
        "channel": "VARCHAR",
        "feed": "VARCHAR",
        "file": "VARCHAR",
        "line": "BIGINT",
        "column_name": "VARCHAR",
        "reason": "VARCHAR",
        "received_at": "TIMESTAMP",
        "replayed_at": "TIMESTAMP",
    },
    "coupons_issued": {
        "delivery_id": "VARCHAR",
        "destination": "VARCHAR",
        "coupon_code": "VARCHAR",
        "campaign_id": "VARCHAR",
        "wave": "VARCHAR",
        "customer_id": "VARCHAR",
        "decided_on": "DATE",
        "valid_to": "DATE",
    },
    "campaign_decisions": DECISIONS,
    "campaign_rules": CAMPAIGNS,
    "drift": {
        "feed": "VARCHAR",
        "channel": "VARCHAR",
        "column_name": "VARCHAR",
        "first_seen_at": "TIMESTAMP",
        "batches": "BIGINT",
        "rows": "BIGINT",
    },
}


def a_channel(channel_id: str, **changes: Any) -> Channel:
    """A point of sale in Shanghai whose day begins at midnight, unless changed."""
    defaults: dict[str, Any] = {
        "name": channel_id,
        "kind": "pos",
        "brand": None,
        "online": False,
        "timezone": "Asia/Shanghai",
        "business_day_cutoff": time(0),
        "currency": "CNY",
    }
    return Channel(id=channel_id, **{**defaults, **changes})


def the_channels(*channels: Channel, reporting_currency: str = "CNY", timezone: str = "Asia/Shanghai") -> Channels:
    """A checked channels.yml that was never a file."""
    return Channels(Path("channels.yml"), reporting_currency, timezone, {channel.id: channel for channel in channels})


def create_raw_tables(connection: duckdb.DuckDBPyConnection, feeds: Mapping[str, Sequence[Row]]) -> None:
    """`raw.<feed>` for every feed of the contract, empty unless given.

    A row without `_arrival` arrives after the row before it, over all feeds in the order given; a row without
    `channel` is shared, one without `_batch_id` is of batch `b1`.
    """
    unknown = set(feeds) - set(FEEDS)
    if unknown:
        raise ValueError(f"no such feed: {sorted(unknown)}")
    connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
    arrival = 0
    for name in sorted(FEEDS, key=lambda feed: (feed not in feeds, list(feeds).index(feed) if feed in feeds else 0)):
        rows = []
        for row in feeds.get(name, ()):
            arrival += 1
            rows.append({"channel": SHARED, "_batch_id": "b1", "_arrival": arrival, **_with_whole_structs(name, row)})
        create_table(connection, f"raw.{name}", FEEDS[name].raw_columns(), rows)


def create_warehouse_tables(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    channels: Channels,
    as_of: date,
    feeds: Mapping[str, Sequence[Row]],
    identity: Mapping[str, Sequence[Row]] | None = None,
    ops: Mapping[str, Sequence[Row]] | None = None,
) -> None:
    """Everything dbt reads: raw, reference, identity and ops."""
    create_raw_tables(connection, feeds)
    load_reference(connection, settings, channels, as_of)
    for schema, tables, given in (("identity", IDENTITY_TABLES, identity or {}), ("ops", OPS_TABLES, ops or {})):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for name, columns in tables.items():
            create_table(connection, f"{schema}.{name}", columns, given.get(name, ()))


def create_table(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Row]
) -> None:
    """A table of these columns holding these rows, in place of any before it."""
    declared = ", ".join(f'"{name}" {sql_type}' for name, sql_type in columns.items())
    connection.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
    documents = [_with_all_columns(row, columns) for row in rows]
    if not documents:
        return
    values = ", ".join(f'row."{name}"' for name in columns)
    connection.execute(
        f"INSERT INTO {table} SELECT {values} FROM "
        f"(SELECT unnest(CAST(CAST(? AS JSON) AS STRUCT({declared})[])) AS row)",
        [json.dumps(documents, default=_as_text)],
    )


def _with_all_columns(row: Row, columns: Iterable[str]) -> dict[str, Any]:
    names = list(columns)
    unknown = set(row) - set(names)
    if unknown:
        raise ValueError(f"no such column: {sorted(unknown)}")
    return {name: row.get(name) for name in names}


def _with_whole_structs(feed: str, row: Row) -> Row:
    whole = dict(row)
    for column in FEEDS[feed].columns:
        if column.kind == "struct_list" and row.get(column.name) is not None:
            children = [child.name for child in column.children]
            whole[column.name] = [_with_all_columns(element, children) for element in row[column.name]]
    return whole


def _as_text(value: Any) -> str:
    if isinstance(value, (Decimal, datetime, date)):
        return str(value)
    raise TypeError(f"{value!r} has no text form here")
