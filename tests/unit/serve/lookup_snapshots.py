"""A small published snapshot with what look-ups read, made by the real `publish`."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, publish
from pipelines.warehouse import open_warehouse

PHONE = "13912345678"

_MARTS = """
CREATE SCHEMA IF NOT EXISTS marts;

CREATE OR REPLACE TABLE marts.customers AS
SELECT * FROM (VALUES
    ('c2', 'gold', true, false, 'S2', NULL, 'milk', TIMESTAMP '2026-01-01', TIMESTAMP '2026-06-01'),
    ('c1', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL),
    ('c3', 'silver', false, true, NULL, 'S1', 'milk', TIMESTAMP '2026-02-01', TIMESTAMP '2026-02-01')
) AS t(customer_id, level, consent_marketing, is_staff, home_store_id, preferred_store_id, preferred_category,
    first_order_at, last_order_at);

CREATE OR REPLACE TABLE marts.customer_identities AS
SELECT * FROM (VALUES
    ('c2', 'mall', 'member', 'M2'), ('c2', 'pos', 'member', 'P2'), ('c1', 'mall', 'member', 'M/1 ü'),
    ('c3', 'mall', 'member', $token), (NULL, 'mall', 'member', 'M9'), ('c2', NULL, 'phone', 'abc'),
    ('c2', 'pos', 'member', 'M1')
) AS t(customer_id, channel, kind, identity);

CREATE OR REPLACE TABLE marts.customer_tags AS
SELECT * FROM (VALUES
    ('c2', 'segment', $segment, DATE '2026-05-01', 'rfm'), ('c2', 'lifecycle', 'active', DATE '2026-05-01', 'rfm')
) AS t(customer_id, tag, value, since, source);

CREATE OR REPLACE TABLE marts.products AS
SELECT * FROM (VALUES ('A', 'Apple', true), ('B', 'Bread', true), ('C', 'Cake', true), ('D', 'Draft', false))
    AS t(sku, name, is_sellable);

CREATE OR REPLACE TABLE marts.recommendations AS
SELECT * FROM (VALUES
    ('c2', 1, 'A', 0.9, 'because', 'item_item'), ('c2', 2, 'B', 0.5, NULL, 'personal'),
    ('c2', 3, 'C', 0.1, NULL, 'popular'),
    ('c3', 1, 'B', 0.9, NULL, 'popular')
) AS t(customer_id, rank, sku, score, reason, strategy);

CREATE OR REPLACE TABLE marts.order_events AS
SELECT * FROM (VALUES
    (DATE '2026-06-01', 'B', 5), (DATE '2026-06-01', 'A', 2), (DATE '2026-06-01', 'D', 50), (DATE '2025-01-01', 'C', 99)
) AS t(business_date, sku, quantity);

CREATE OR REPLACE TABLE marts.stores AS
SELECT * FROM (VALUES
    ('S1', 'store', 'Shanghai', 31.23, 121.47, NULL::DATE), ('S2', 'store', 'Shanghai', 31.20, 121.44, NULL),
    ('S3', 'store', 'Beijing', 39.90, 116.40, NULL), ('S4', 'store', 'Shanghai', NULL, NULL, NULL),
    ('S5', 'store', 'Shanghai', 31.23, 121.47, DATE '2026-01-01'), ('W1', 'warehouse', 'Shanghai', 31.23, 121.47, NULL)
) AS t(store_id, kind, city, latitude, longitude, closed_on);

CREATE OR REPLACE TABLE marts.stock AS
SELECT * FROM (VALUES
    ('S1', 'C', 4), ('S2', 'C', 0), ('S3', 'A', 9), ('S4', 'B', 1), ('W1', 'A', 99), ('S5', 'A', 99)
) AS t(store_id, sku, available);
"""


def publish_snapshot(settings: Settings, keys: Keys, segment: str = "champions") -> str:
    """Publish it anew; returns its id."""
    with open_warehouse(settings) as connection:
        for statement in _MARTS.split(";\n"):
            named = {"token": keys.token("phone", f"+86{PHONE}"), "segment": segment}
            connection.execute(statement, {name: value for name, value in named.items() if f"${name}" in statement})
    snapshot_id = new_snapshot_id()
    publish(settings, snapshot_id, {"figures": pa.table({"as_of": [date(2026, 6, 30)]})})
    return snapshot_id
