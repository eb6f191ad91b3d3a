"""A home to put under load: two channels with secrets, and a published snapshot of a retailer made up in SQL."""

from __future__ import annotations

from pathlib import Path

from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, publish
from pipelines.warehouse import open_warehouse

SECRETS = {
    "LOAD_MALL_TOKEN": "token of the mall",
    "LOAD_MALL_HOOK": "webhook secret of the mall",
    "LOAD_POS_HOOK": "webhook secret of the tills",
    "LOAD_MALL_KEY": "look-up key of the mall",
}

CHANNELS = """
channels:
  - {id: mall, kind: pc_web, connector: shopify, url: "https://127.0.0.1:9", access_token_env: LOAD_MALL_TOKEN,
     webhook_secret_env: LOAD_MALL_HOOK, lookup_key_env: LOAD_MALL_KEY}
  - {id: pos, kind: pos, webhook_secret_env: LOAD_POS_HOOK}
"""

STORES, SKUS = 300, 5000

_MARTS = """
CREATE SCHEMA marts;

CREATE TABLE marts.customers AS
SELECT 'c' || left(md5(n::VARCHAR), 20) AS customer_id, 'gold' AS level, true AS consent_marketing, false AS is_staff,
    'S' || n % $stores AS home_store_id, 'S' || n % $stores AS preferred_store_id, 'milk' AS preferred_category,
    TIMESTAMP '2026-01-01' AS first_order_at, TIMESTAMP '2026-06-01' AS last_order_at
FROM range($customers) AS numbers(n);

CREATE TABLE marts.customer_identities AS
SELECT 'c' || left(md5(n::VARCHAR), 20) AS customer_id, 'mall' AS channel, 'member' AS kind,
    'M' || lpad(n::VARCHAR, 9, '0') AS identity
FROM range($customers) AS numbers(n)
UNION ALL
SELECT 'c' || left(md5(n::VARCHAR), 20), NULL, 'phone', md5(n::VARCHAR) FROM range($customers) AS numbers(n);

CREATE TABLE marts.customer_tags AS
SELECT 'c' || left(md5(n::VARCHAR), 20) AS customer_id, tag, 'champions' AS value, DATE '2026-05-01' AS since,
    'rfm' AS source
FROM range($customers) AS numbers(n), (VALUES ('segment'), ('lifecycle')) AS tags(tag);

CREATE TABLE marts.products AS
SELECT 'SKU' || n AS sku, 'Article ' || n AS name, true AS is_sellable FROM range($skus) AS numbers(n);

CREATE TABLE marts.recommendations AS
SELECT customer_id, rank, 'SKU' || hash(customer_id, rank) % $skus AS sku, 1.0 / rank AS score,
    'bought by people who bought Article ' || rank AS reason, 'item_item' AS strategy
FROM marts.customers, range(1, 11) AS ranks(rank)
ORDER BY customer_id, rank;

CREATE TABLE marts.order_events AS
SELECT DATE '2026-06-01' AS business_date, sku, 1 AS quantity FROM marts.products;

CREATE TABLE marts.stores AS
SELECT 'S' || n AS store_id, 'store' AS kind, 'City ' || n % 20 AS city, 31 + (n % 17) / 50.0 AS latitude,
    121 + (n % 19) / 50.0 AS longitude, NULL::DATE AS closed_on
FROM range($stores) AS numbers(n);

CREATE TABLE marts.stock AS
SELECT store_id, sku, (hash(store_id, sku) % 5)::DECIMAL(18, 4) AS available FROM marts.stores, marts.products
"""


def make_home(home: Path, customers: int) -> Settings:
    """The home with its channels.yml and a snapshot of so many customers, members of the mall."""
    settings = Settings(home=home, memory_limit="2GB")
    (home / "reference").mkdir(parents=True)
    (home / "reference" / "channels.yml").write_text(CHANNELS)
    values = {"customers": customers, "stores": STORES, "skus": SKUS}
    with open_warehouse(settings) as connection:
        for statement in _MARTS.split(";\n"):
            connection.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
    publish(settings, new_snapshot_id(), {})
    return settings


def publish_again(settings: Settings) -> None:
    """A newer snapshot of the same content."""
    publish(settings, new_snapshot_id(), {})
