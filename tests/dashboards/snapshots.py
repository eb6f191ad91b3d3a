"""A synthetic published snapshot: the tables pages read, made in SQL, no pipeline needed.

Belongs here: building and publishing it the way a run does. The figures are made up and hold together: sales_daily
and category_daily are sums of orders, customer_rfm and its segments come from orders too.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb

from tests.dashboards.figure_tables import FIGURE_TABLES
from tests.dashboards.stock_tables import STOCK_TABLES

AS_OF = date(2026, 5, 31)

CHANNELS = [
    ("mall", "官方商城", "pc_web", "A", True),
    ("h5", "H5 微商城", "h5", "A", True),
    ("mini", "微信小程序", "mini_program", "A", True),
    ("app", "品牌 App", "app", "A", True),
    ("pos", "门店 POS", "pos", "A", False),
    ("kiosk", "门店自助屏", "kiosk", "A", False),
    ("tmall", "天猫旗舰店", "marketplace", "B", True),
    ("live", "直播间", "live", "B", True),
]

_TABLES = """
CREATE SCHEMA marts;

CREATE TABLE marts.run_settings AS
SELECT CAST($as_of AS DATE) AS as_of, 'CNY' AS reporting_currency, 'Asia/Shanghai' AS timezone;

CREATE TABLE marts.segments AS
SELECT unnest(['champions', 'loyal', 'promising', 'new_customers', 'about_to_sleep', 'cannot_lose', 'slipping',
        'hibernating', 'new', 'active', 'at_risk', 'dormant', 'lost']) AS segment,
    unnest(range(1, 14)) AS position,
    unnest(['核心客户', '忠诚客户', '潜力客户', '近期首购', '即将沉睡', '必须挽回', '流失熟客', '休眠散客',
        '新客', '活跃', '流失风险', '沉睡', '流失']) AS name_zh,
    unnest(['Champions', 'Loyal', 'Promising', 'Recent first-timers', 'About to sleep', 'Cannot lose', 'Slipping',
        'Hibernating', 'New', 'Active', 'At risk', 'Dormant', 'Lost']) AS name_en,
    '近度、频次、金额得分的组合' AS definition_zh, 'a set of recency, frequency and value scores' AS definition_en;

CREATE TABLE marts.stores AS
SELECT 'S' || lpad(n::VARCHAR, 2, '0') AS store_id, city || '店' AS name, 'store' AS kind,
    CASE WHEN n % 4 = 0 THEN 'B' ELSE 'A' END AS brand, left(city, 2) AS city, left(city, 2) AS province,
    22.5 + n * 1.4 AS latitude, 103.5 + (n * 7 % 12) * 1.5 AS longitude
FROM (SELECT unnest(range(1, 13)) AS n, unnest(['上海南京西路', '上海徐汇', '北京国贸', '北京西单', '广州天河',
    '深圳万象', '杭州湖滨', '成都太古里', '武汉江汉路', '西安钟楼', '南京新街口', 'Singapore Orchard']) AS city);

CREATE TABLE marts.products AS
SELECT 'SKU' || lpad(n::VARCHAR, 4, '0') AS sku, category || ' ' || n AS name, category,
    (30 + hash(n) % 400)::DECIMAL(18, 2) AS list_price
FROM (SELECT n, ['奶粉', '纸尿裤', '辅食', '洗护', '玩具', '童装'][1 + (hash(n) % 6)::INTEGER] AS category
    FROM range(1, 121) AS numbers(n));

CREATE TABLE marts.identity_reviews AS
SELECT
    'v' || left(md5(n::VARCHAR), 12) AS review_id, 'c' || left(md5(n::VARCHAR), 20) AS left_customer_id,
    'c' || left(md5((n + 40)::VARCHAR), 20) AS right_customer_id, 'app' AS left_channel, 'A' || n AS left_member_id,
    'pos' AS right_channel, 'P' || n AS right_member_id, (6.9 - n / 4)::DECIMAL(9, 2) AS score,
    'given name same; surname same; birthday one digit apart, or day and month swapped; city differs' AS evidence,
    ['open', 'open', 'accepted', 'rejected'][1 + n % 4] AS state,
    CASE WHEN n % 4 > 1 THEN 'ann' END AS decided_by,
    CASE WHEN n % 4 > 1 THEN CAST($as_of AS DATE) + INTERVAL 9 HOUR END AS decided_at,
    CASE WHEN n % 4 > 1 THEN 'asked at the till' END AS reason
FROM range(24) AS numbers(n);

CREATE TABLE marts.orders AS
WITH drawn AS (
    SELECT n, hash(n, 'a') % 1000 AS a, hash(n, 'b') % 1000 AS b, hash(n, 'c') % 100000 AS c, hash(n, 'd') % 1000 AS d
    FROM range($orders) AS numbers(n)
),
placed AS (
    SELECT *,
        CAST($as_of AS DATE) - CAST(floor(150 * power(a / 1000.0, 1.2)) AS INTEGER) AS business_date,
        channel_at(floor(power(b / 1000.0, 1.6) * 8)) AS channel
    FROM drawn
)
SELECT
    channel, 'O' || n AS order_id,
    CASE WHEN d < 780 THEN 'c' || left(md5((floor(power(c / 100000.0, 2.2) * $customers))::INTEGER::VARCHAR), 20) END
        AS customer_id,
    CASE WHEN channel IN ('pos', 'kiosk') THEN 'S' || lpad((1 + (c % 12))::VARCHAR, 2, '0') END AS store_id,
    'completed' AS status, business_date + INTERVAL 5 HOUR AS ordered_at, business_date, 'CNY' AS currency,
    ((40 + c % 700) * $factor * (1 + 0.4 * CAST(dayofweek(business_date) IN (0, 6) AS INTEGER)))::DECIMAL(18, 2)
        AS net_amount,
    CASE WHEN a % 17 = 0 THEN (20 + c % 60)::DECIMAL(18, 2) ELSE 0::DECIMAL(18, 2) END AS refunded_amount,
    true AS is_qualified, false AS is_test, d % 200 = 0 AS is_staff, c % 9 = 0 AS is_first_order,
    ['奶粉', '纸尿裤', '辅食', '洗护', '玩具', 'uncategorised'][1 + CAST(floor(power(d / 1000.0, 1.7) * 6) AS INTEGER)]
        AS category
FROM placed;

CREATE TABLE marts.sales_daily AS
SELECT business_date, channel, store_id,
    sum(net_amount * 1.15)::DECIMAL(18, 2) AS gross_amount,
    (sum(net_amount * 1.15)::DECIMAL(18, 2) - sum(net_amount))::DECIMAL(18, 2) AS discount_amount,
    sum(net_amount - refunded_amount)::DECIMAL(18, 2) AS net_amount,
    sum(net_amount - refunded_amount * 1.1)::DECIMAL(18, 2) AS net_amount_cohort,
    count(*) AS orders, count(*) AS paid_orders, (count(*) * 2)::DECIMAL(18, 3) AS quantity,
    count(DISTINCT customer_id) AS customers, count(*) FILTER (WHERE is_first_order) AS new_customers,
    coalesce(sum(net_amount - refunded_amount) FILTER (WHERE customer_id IS NOT NULL), 0)::DECIMAL(18, 2)
        AS member_net_amount,
    coalesce(sum(net_amount - refunded_amount) FILTER (WHERE customer_id IS NOT NULL), 0)::DECIMAL(18, 2)
        AS identified_net_amount,
    sum(net_amount)::DECIMAL(18, 2) AS sales_net_amount
FROM marts.orders GROUP BY ALL;

CREATE TABLE marts.category_daily AS
SELECT business_date, channel, store_id, category, sum(net_amount - refunded_amount)::DECIMAL(18, 2) AS net_amount,
    sum(net_amount - refunded_amount)::DECIMAL(18, 2) AS net_amount_cohort, (count(*) * 2)::DECIMAL(18, 3) AS quantity,
    (sum(net_amount) * 0.61)::DECIMAL(18, 2) AS cost_amount
FROM marts.orders GROUP BY ALL;

CREATE TABLE marts.customer_rfm AS
WITH snapshot_dates AS (
    SELECT CAST($as_of AS DATE) - back AS snapshot_date FROM (SELECT unnest([0, 28]) AS back)
),
bought AS (
    SELECT snapshot_date, customer_id, snapshot_date - max(business_date) AS recency_days, count(*) AS frequency,
        sum(net_amount - refunded_amount)::DECIMAL(18, 2) AS monetary, snapshot_date - min(business_date) AS known_days
    FROM marts.orders, snapshot_dates
    WHERE customer_id IS NOT NULL AND NOT is_staff AND business_date <= snapshot_date
    GROUP BY snapshot_date, customer_id
),
scored AS (
    SELECT *,
        CASE WHEN recency_days <= 7 THEN 5 WHEN recency_days <= 21 THEN 4 WHEN recency_days <= 45 THEN 3
            WHEN recency_days <= 90 THEN 2 ELSE 1 END AS r_score,
        least(5, frequency)::INTEGER AS f_score,
        CASE WHEN monetary > 3000 THEN 5 WHEN monetary > 1500 THEN 4 WHEN monetary > 700 THEN 3
            WHEN monetary > 300 THEN 2 ELSE 1 END AS m_score
    FROM bought
),
named AS (
    SELECT *,
        CASE WHEN r_score >= 4 AND f_score >= 4 THEN 'champions' WHEN r_score >= 3 AND f_score >= 3 THEN 'loyal'
            WHEN r_score = 5 AND f_score = 1 THEN 'new_customers' WHEN r_score >= 4 THEN 'promising'
            WHEN r_score = 3 THEN 'about_to_sleep' WHEN r_score = 2 AND f_score >= 3 THEN 'cannot_lose'
            WHEN r_score = 2 THEN 'slipping' ELSE 'hibernating' END AS segment,
        CASE WHEN known_days <= 30 THEN 'new' WHEN recency_days <= 30 THEN 'active'
            WHEN recency_days <= 60 THEN 'at_risk' WHEN recency_days <= 110 THEN 'dormant' ELSE 'lost' END AS lifecycle
    FROM scored
)
SELECT * EXCLUDE (known_days),
    lag(segment) OVER (PARTITION BY customer_id ORDER BY snapshot_date) AS previous_segment
FROM named;

CREATE TABLE marts.rfm_cells AS
SELECT r.score::INTEGER AS r_score, f.score::INTEGER AS f_score, m.score::INTEGER AS m_score,
    CASE WHEN r.score >= 4 AND f.score >= 4 THEN 'champions' WHEN r.score >= 3 AND f.score >= 3 THEN 'loyal'
        WHEN r.score = 5 AND f.score = 1 THEN 'new_customers' WHEN r.score >= 4 THEN 'promising'
        WHEN r.score = 3 THEN 'about_to_sleep' WHEN r.score = 2 AND f.score >= 3 THEN 'cannot_lose'
        WHEN r.score = 2 THEN 'slipping' ELSE 'hibernating' END AS segment
FROM range(1, 6) AS r (score), range(1, 6) AS f (score), range(1, 6) AS m (score);

CREATE TABLE marts.rfm_cutoffs AS
SELECT * FROM (VALUES
    (2, 'fixed', 90::BIGINT, 2::BIGINT, 300.01::DECIMAL(18, 2)), (3, 'fixed', 45, 3, 700.01),
    (4, 'fixed', 21, 4, 1500.01), (5, 'fixed', 7, 5, 3000.01)
) AS cutoffs (score, method, recency_days, frequency, monetary);

CREATE TABLE marts.model_versions AS
SELECT 'churn' AS model, 'churn-20260601-0123456789' AS version, DATE '2026-06-01' AS as_of,
    DATE '2025-06-01' AS window_start, DATE '2026-06-01' AS window_end, 900::BIGINT AS rows, 7::BIGINT AS seed,
    'in_use' AS status, 'first version' AS reason, 'Measured on later days.' AS protocol,
    'The model beats the best simple rule.' AS notes, '{}' AS parameters, '{}' AS card,
    TIMESTAMP '2026-06-02 04:00:00' AS registered_at;

CREATE TABLE marts.model_metrics AS
SELECT 'churn' AS model, 'churn-20260601-0123456789' AS version, metric, predictor, value
FROM (VALUES ('auc', 'model', 0.8), ('auc', 'recency', 0.7), ('brier', 'model', 0.2)) AS figures (
    metric, predictor, value
);

CREATE TABLE marts.model_calibration AS
SELECT 'churn' AS model, 'churn-20260601-0123456789' AS version, position::INTEGER AS position,
    position || '0%' AS bin, position / 10.0 AS predicted, position / 11.0 AS actual, 90::BIGINT AS members
FROM range(1, 10) AS points (position);

CREATE TABLE marts.model_drift AS
SELECT 'churn' AS model, DATE '2026-06-30' AS as_of, input, 'churn-20260601-0123456789' AS version, psi,
    psi >= 0.25 AS is_warning
FROM (VALUES ('recency_days', 0.3), ('order_days', 0.01)) AS found (input, psi);

CREATE TABLE marts.customers AS
SELECT customer_id, mode(channel) AS preferred_channel, mode(channel) AS first_channel,
    'S' || lpad((1 + hash(customer_id) % 12)::VARCHAR, 2, '0') AS home_store_id, false AS is_staff,
    ['gold', 'silver', NULL][1 + (hash(customer_id, 'level') % 3)::INTEGER] AS level,
    hash(customer_id, 'consent') % 2 = 0 AS consent_marketing, min(ordered_at) AS first_order_at
FROM marts.orders WHERE customer_id IS NOT NULL GROUP BY customer_id;

CREATE TABLE marts.order_events AS
SELECT channel || order_id AS event_id, channel, order_id, customer_id, store_id, business_date, 'sale' AS kind,
    'SKU' || lpad((1 + hash(order_id) % 120)::VARCHAR, 4, '0') AS sku, 'dairy' AS category, 1 AS quantity, net_amount
FROM marts.orders;

CREATE TABLE marts.customer_tags AS
SELECT customer_id, unnest(['segment', 'lifecycle']) AS tag, unnest([segment, lifecycle]) AS value,
    snapshot_date AS since, 'rfm' AS source
FROM marts.customer_rfm WHERE snapshot_date = $as_of;

CREATE TABLE marts.segment_members AS
SELECT segment, customer_id, snapshot_date AS since FROM marts.customer_rfm WHERE snapshot_date = $as_of;

CREATE TABLE marts.recommendations AS
SELECT customer_id, rank, 'SKU' || lpad((1 + hash(customer_id, rank) % 120)::VARCHAR, 4, '0') AS sku,
    (1.0 / rank)::DOUBLE AS score,
    CASE WHEN rank < 4 THEN '买过奶粉的顾客也常买' ELSE '近期热销' END AS reason,
    CASE WHEN rank < 4 THEN 'item_item' ELSE 'popular' END AS strategy, NULL::VARCHAR AS store_id,
    CAST($as_of AS DATE) AS as_of
FROM (SELECT customer_id FROM marts.customers ORDER BY customer_id LIMIT 200), range(1, 6) AS ranks(rank);

CREATE TABLE marts.batches AS
SELECT 'b' || n AS batch_id, 'run-' || (n // 40) AS run_id,
    CASE WHEN feed IN ('products', 'stores', 'fx_rates') THEN '_shared' ELSE channel END AS channel, feed,
    feed || '-' || n || '.jsonl.gz' AS file, accepted + refused AS rows_received, accepted AS rows_accepted,
    refused AS rows_quarantined, $now::TIMESTAMP - (80 - n // 4) * INTERVAL 1 HOUR AS taken_at
FROM (
    SELECT n,
        ['orders', 'members', 'events', 'refunds', 'products', 'stores', 'fx_rates'][1 + (n % 7)::INTEGER] AS feed,
        channel_at(hash(n) % 8) AS channel, 200 + hash(n, 'r') % 3000 AS accepted, hash(n, 'q') % 12 AS refused
    FROM range(300) AS numbers(n)
);

CREATE TABLE marts.runs AS
SELECT 'run-' || n AS run_id, $now::TIMESTAMP - (7 - n) * INTERVAL 24 HOUR AS started_at,
    $now::TIMESTAMP - (7 - n) * INTERVAL 24 HOUR + INTERVAL 95 SECOND AS finished_at,
    CAST($as_of AS DATE) - (7 - n)::INTEGER AS as_of, CASE WHEN n = 4 THEN 'failed' ELSE 'success' END AS status,
    60000 + n AS rows_received, 59900 + n AS rows_accepted, 100 AS rows_quarantined, '2026060' || n AS snapshot_id
FROM range(8) AS numbers(n);

CREATE TABLE marts.quarantine AS
SELECT 'q' || n AS quarantine_id, channel, feed, file, (hash(n) % 900)::BIGINT AS line,
    ['quantity', 'currency', 'placed_at', NULL][1 + (n % 4)::INTEGER] AS column_name,
    ['not a number', 'unknown currency', 'impossible date', 'broken JSON'][1 + (n % 4)::INTEGER] AS reason,
    taken_at AS received_at, CASE WHEN n % 5 = 0 THEN taken_at + INTERVAL 1 HOUR END AS replayed_at
FROM (SELECT row_number() OVER (ORDER BY batch_id) AS n, * FROM marts.batches WHERE rows_quarantined > 0);

CREATE TABLE marts.drift AS
SELECT 'orders' AS feed, 'tmall' AS channel, 'buyer_memo' AS column_name,
    $now::TIMESTAMP - INTERVAL 3 DAY AS first_seen_at, 4::BIGINT AS batches, 812::BIGINT AS rows;

CREATE TABLE marts.waiting AS
SELECT 'refunds' AS feed, 'tmall' AS channel, 'R' || n AS entity_id, 'order has not come' AS reason,
    $now::TIMESTAMP - n * INTERVAL 5 HOUR AS since
FROM range(1, 9) AS numbers(n);

CREATE TABLE marts.customer_identities AS
SELECT 'c' || n AS customer_id, 'member' AS kind, unnest(['app', 'pos']) AS channel,
    'm"' || n AS identity, $now::TIMESTAMP AS first_seen_at, $now::TIMESTAMP AS last_seen_at, 1::BIGINT AS n_sources,
    false AS is_blocked, NULL::VARCHAR AS reason
FROM range(3) AS numbers(n)
UNION ALL
SELECT customer_id, 'member', preferred_channel, 'm' || customer_id, first_order_at, first_order_at, 1, false, NULL
FROM marts.customers WHERE customer_id NOT IN ('c0', 'c1', 'c2');

CREATE TABLE marts.customer_links AS
SELECT customer_id, 'link' AS relation, 'phone' AS kind, channel, identity AS member_id,
    md5(customer_id) AS identity, NULL::VARCHAR AS partner_channel, NULL::VARCHAR AS partner_id, NULL::DOUBLE AS score,
    NULL::VARCHAR AS evidence, first_seen_at AS since
FROM marts.customer_identities;

CREATE TABLE marts.customer_blocks AS
SELECT 'c1' AS customer_id, 'phone' AS kind, NULL::VARCHAR AS channel, md5('clerk') AS identity,
    'staff' AS block_rule, 'a phone of the staff feed' AS reason;

CREATE TABLE marts.households AS
SELECT 'phone::' || md5('home') AS household_id, unnest(['c1', 'c2']) AS customer_id, 'phone' AS kind,
    NULL::VARCHAR AS channel, md5('home') AS identity, $now::TIMESTAMP AS since;

CREATE TABLE marts.customer_merges AS
SELECT 'e1' AS event_id, $now::TIMESTAMP AS "at", 'merge' AS kind, 'gone' AS from_customer_id,
    'c1' AS into_customer_id, 'merge by ann (r1)' AS cause, '[]' AS evidence, $now::TIMESTAMP AS logged_at;

CREATE TABLE marts.activation_log AS
SELECT 'd' || n AS delivery_id, 'files' AS destination,
    ['tags', 'coupon', 'recommendations'][1 + (n % 3)::INTEGER] AS operation,
    'c' || n AS customer_id, 'x' AS subject, $now::TIMESTAMP AS decided_at,
    CASE WHEN n % 9 = 0 THEN 'held_out' WHEN n % 13 = 0 THEN 'suppressed' WHEN n = 7 THEN 'planned'
        WHEN n IN (8, 10) THEN 'rejected' ELSE 'applied' END AS state,
    CASE WHEN n % 9 = 0 THEN 'control group' WHEN n % 13 = 0 THEN 'no consent' WHEN n = 7 THEN 'asked to try later'
        WHEN n IN (8, 10) THEN 'refused by the shop' END AS reason,
    1 AS attempts, 'recall' AS campaign_id,
    CASE WHEN n = 7 THEN $now::TIMESTAMP + INTERVAL 1 HOUR END AS next_attempt_at
FROM range(900) AS numbers(n);
"""


def build_snapshot(
    path: Path, *, orders: int = 6000, customers: int = 900, factor: float = 1.0, now: str = "2026-06-01 03:10:00"
) -> Path:
    """Write a snapshot file; `factor` multiplies every order, so that two snapshots differ visibly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(path), config={"threads": 1, "memory_limit": "400MB"})
    values = {"as_of": AS_OF.isoformat(), "orders": orders, "customers": customers, "factor": factor, "now": now}
    names = ", ".join(f"'{channel}'" for channel, *_ in CHANNELS)
    try:
        connection.execute(f"CREATE TEMP MACRO channel_at(place) AS ([{names}])[1 + place::INTEGER]")
        for statement in (_TABLES + FIGURE_TABLES + STOCK_TABLES).split(";\n"):
            bound = {name: value for name, value in values.items() if f"${name}" in statement}
            connection.execute(statement, bound)
        connection.execute(
            "CREATE TABLE marts.channels (channel TEXT, name TEXT, kind TEXT, brand TEXT, is_online BOOL)"
        )
        connection.executemany("INSERT INTO marts.channels VALUES (?, ?, ?, ?, ?)", CHANNELS)
    finally:
        connection.close()
    return path


def publish(home: Path, source: Path, snapshot_id: str) -> Path:
    """Make a file the current snapshot, as a run does: rename into place, then swap the link."""
    snapshots = home / "lake" / "snapshots"
    snapshots.mkdir(parents=True, exist_ok=True)
    target = snapshots / f"marts-{snapshot_id}.duckdb"
    source.replace(target)
    link = snapshots / f".current-{snapshot_id}"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    os.replace(link, snapshots / "current")  # noqa: PTH105
    return target
