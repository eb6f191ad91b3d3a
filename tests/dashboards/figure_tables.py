"""The figures of the synthetic snapshot: funnels, flows, stores, articles, prices and points, made up in SQL.

Belongs here: tables that pages of figures read. What they are made of (orders, stores, products) is in `snapshots`.
"""

from __future__ import annotations

FIGURE_TABLES = """
CREATE TABLE marts.funnel_daily AS
WITH steps AS (SELECT unnest(range(1, 5)) AS position, unnest(['product_view', 'add_to_cart', 'checkout',
    'purchase']) AS step),
days AS (SELECT day::DATE AS business_date FROM range(CAST($as_of AS DATE) - 149, CAST($as_of AS DATE) + 1,
    INTERVAL 1 DAY) AS d(day)),
drawn AS (
    SELECT business_date, channel_at(n) AS channel, step, position,
        (400 + hash(business_date, n) % 60) * [1.0, 0.4, 0.2, 0.1][position] AS persons
    FROM days, range(4) AS c(n), steps
)
SELECT business_date, channel, step, position::INTEGER AS position, persons::BIGINT AS persons,
    (lag(persons) OVER sequence)::BIGINT AS persons_before,
    persons / lag(persons) OVER sequence AS rate_from_previous,
    CASE WHEN position > 1 THEN 0.5 END AS baseline_rate, CASE WHEN position > 1 THEN 0.45 END AS alert_below,
    position = 2 AND channel = 'mini' AND dayofmonth(business_date) = 7 AS alert
FROM drawn WINDOW sequence AS (PARTITION BY business_date, channel ORDER BY position);

CREATE TABLE marts.traffic_daily AS
SELECT business_date, channel, max(persons) * 2 AS visitors, max(persons) AS known_visitors,
    max(persons) * 3 AS sessions,
    max(persons) AS viewers, min(persons) AS purchasers
FROM marts.funnel_daily GROUP BY business_date, channel;

CREATE TABLE marts.aov_gaps AS
SELECT month::DATE AS month, 120::BIGINT AS online_orders, 80::BIGINT AS store_orders, 210.5::DECIMAL(18,
    2) AS online_aov,
    180::DECIMAL(18, 2) AS store_aov, 0.1694 AS gap, 0.052 AS mix_adjusted_gap, 0.97 AS compared_share
FROM range(DATE '2026-01-01', CAST($as_of AS DATE), INTERVAL 1 MONTH) AS months(month);

CREATE TABLE marts.first_order_conversion AS
SELECT month::DATE AS month, channel_at(n) AS channel, (40 + n)::BIGINT AS new_members,
    (9 + n)::BIGINT AS with_first_order,
    CASE WHEN month < DATE '2026-05-01' THEN (9 + n) / (40 + n) END AS conversion_rate
FROM range(DATE '2026-01-01', CAST($as_of AS DATE), INTERVAL 1 MONTH) AS months(month), range(5) AS c(n);

CREATE TABLE marts.door_flows AS
SELECT flow, from_door, to_door, month::DATE AS month, 90 AS window_days, 100::BIGINT AS customers,
    followed::BIGINT AS followed,
    CASE WHEN month < DATE '2026-03-01' THEN followed / 100 END AS flow_rate
FROM (VALUES ('store_to_online', 'store', 'online', 22), ('online_to_pickup', 'online', 'pickup', 14),
        ('brand_to_brand', 'A', 'B', 6), ('scan_to_home', 'store', 'home', 9)) AS flows(flow, from_door, to_door,
        followed),
    range(DATE '2026-01-01', CAST($as_of AS DATE), INTERVAL 1 MONTH) AS months(month);

CREATE TABLE marts.store_online_daily AS
SELECT business_date, channel_at(hash(store_id) % 4) AS channel, store_id, left(store_id, 2) AS city,
    20::BIGINT AS city_orders,
    5::BIGINT AS pickup_orders, 3::BIGINT AS picked_up, 1::BIGINT AS pickup_expired, 1::BIGINT AS pickup_cancelled,
    0::BIGINT AS pickup_waiting, 600::BIGINT AS pickup_minutes, 4::BIGINT AS ship_from_store_orders,
    2::BIGINT AS same_city_orders, 10::BIGINT AS located_orders, 7::BIGINT AS nearest_orders,
    2::BIGINT AS staff_orders,
    1::BIGINT AS scan_orders
FROM (SELECT DISTINCT business_date, store_id FROM marts.sales_daily WHERE store_id IS NOT NULL);

CREATE TABLE marts.store_attribution_daily AS
SELECT business_date, channel, store_id, role, 40::DECIMAL(18, 2) AS net_amount, 16::DECIMAL(18, 2) AS profit_amount
FROM marts.store_online_daily, (SELECT unnest(['guiding', 'fulfilling', 'home']) AS role)
UNION ALL
SELECT business_date, 'mall', NULL, 'none', 500, 200 FROM (SELECT DISTINCT business_date FROM marts.sales_daily);

CREATE TABLE marts.buyer_periods AS
SELECT period, period_start::DATE AS period_start, period_start::DATE + 27 AS period_end, 200::BIGINT AS buyers,
    60::BIGINT AS repeat_buyers, 120::BIGINT AS returning_buyers, 0.3 AS repurchase_rate, 0.6 AS returning_rate,
    period_start < DATE '2026-05-01' AS is_finished
FROM range(DATE '2026-01-01', CAST($as_of AS DATE), INTERVAL 1 MONTH) AS months(period_start),
    (SELECT unnest(['month', 'quarter', 'year']) AS period);

CREATE TABLE marts.purchase_cycles AS
SELECT NULL AS first_channel, 300::BIGINT AS customers, 180::BIGINT AS repeaters, 0.6 AS repeating_share,
    24::BIGINT AS median_days
UNION ALL SELECT 'pos', 120, 80, 0.667, 21 UNION ALL SELECT 'mall', 90, 30, 0.333, NULL;

CREATE TABLE marts.retention_cohorts AS
SELECT cohort_month::DATE AS cohort_month, first_channel, k::INTEGER AS month_number, 50::BIGINT AS cohort_size,
    CASE WHEN done THEN (50 / (k + 1))::BIGINT END AS active,
    CASE WHEN done THEN (50 / (k + 1))::BIGINT / 50 END AS retention,
    CASE WHEN done THEN 999.5::DECIMAL(18, 2) END AS net_amount
FROM (
    SELECT *, cohort_month + to_months(k::INTEGER) < DATE '2026-05-01' AS done
    FROM range(DATE '2026-01-01', CAST($as_of AS DATE), INTERVAL 1 MONTH) AS months(cohort_month), range(5) AS ks(k),
        (SELECT unnest(['pos', 'mall']) AS first_channel)
) WHERE cohort_month + to_months(k::INTEGER) < DATE '2026-06-01';

CREATE TABLE marts.points_daily AS
SELECT business_date, channel, 9::BIGINT AS members, 120::DECIMAL(18, 4) AS earned, 20::DECIMAL(18, 4) AS green_bonus,
    30::DECIMAL(18, 4) AS redeemed, 5::DECIMAL(18, 4) AS expired, 0::DECIMAL(18, 4) AS adjusted, 105::DECIMAL(18,
    4) AS balance_change
FROM marts.traffic_daily;

CREATE TABLE marts.points_expiring AS
SELECT channel_at(n) AS channel, month::DATE AS month, month < DATE '2026-06-01' AS is_overdue, 12::BIGINT AS members,
    (400 + 10 * n)::DECIMAL(18, 4) AS points
FROM range(DATE '2026-05-01', DATE '2026-12-01', INTERVAL 1 MONTH) AS months(month), range(4) AS c(n);

CREATE TABLE marts.stores_scorecard AS
SELECT store_id, quarter, quarter < DATE '2026-04-01' AS is_finished, brand, province AS region,
    (9000 + hash(store_id, quarter) % 9000)::DECIMAL(18, 2) AS net_amount, 'CNY' AS currency,
    (9000 + hash(store_id, quarter) % 9000)::DECIMAL(18, 2) AS net_amount_local, 10000::DECIMAL(18,
    2) AS sales_net_amount,
    120::BIGINT AS orders, 4.0 + (hash(store_id) % 10) / 10 AS rating, 9::BIGINT AS n_ratings,
    200.0 AS selling_area_m2,
    (45 + hash(store_id, quarter) % 45)::DECIMAL(18, 2) AS net_per_m2, 0.6 AS member_share, 0.25 AS pickup_share,
    0.01 AS diverted_share, 3000::DECIMAL(18, 2) AS attributed_net_amount, 1100::DECIMAL(18,
    2) AS attributed_profit_amount,
    80::BIGINT AS trading_days, 140::BIGINT AS trading_days_so_far, 'brand' AS peer_group, 8::BIGINT AS peers,
    (hash(store_id) % 100) / 100 AS score,
    ['S', 'A', 'B', 'C', NULL][1 + (hash(store_id) % 5)::INTEGER] AS tier, 'B' AS previous_tier
FROM marts.stores, (SELECT unnest([DATE '2026-01-01', DATE '2026-04-01']) AS quarter);

CREATE TABLE marts.product_daily AS
SELECT business_date, channel, store_id, 'SKU' || lpad((1 + hash(order_id) % 120)::VARCHAR, 4, '0') AS sku,
    sum(net_amount - refunded_amount)::DECIMAL(18, 2) AS net_amount, (2 * count(*))::DECIMAL(18, 4) AS quantity,
    (2 * count(*) + 1)::DECIMAL(18, 4) AS quantity_sold, (0.6 * sum(net_amount))::DECIMAL(18, 2) AS cost_amount
FROM marts.orders GROUP BY ALL;

CREATE TABLE marts.orders_hourly AS
SELECT business_date, channel, store_id, (8 + hash(order_id) % 15)::INTEGER AS hour, count(*) AS paid_orders,
    sum(net_amount)::DECIMAL(18, 2) AS sales_net_amount
FROM marts.orders GROUP BY ALL;

CREATE TABLE marts.sell_through AS
SELECT sku, store_id, DATE '2026-03-01' AS season, $now::TIMESTAMP - INTERVAL 80 DAY AS opened_at,
    $now::TIMESTAMP AS closed_at,
    20::DECIMAL(18, 4) AS opening_units, 12::DECIMAL(18, 4) AS closing_units, (hash(sku) % 9)::DECIMAL(18,
    4) AS net_units,
    3::DECIMAL(18, 4) AS received_units, (hash(sku) % 9) / 23 AS sell_through_rate
FROM marts.products, (SELECT store_id FROM marts.stores LIMIT 3);

CREATE TABLE marts.gmroi AS
SELECT DISTINCT category, DATE '2026-04-01' AS month, CASE WHEN category = '玩具' THEN 9 ELSE 13 END AS n_points,
    40000::DECIMAL(18, 2) AS average_inventory_amount, 52000::DECIMAL(18, 2) AS margin_amount,
    CASE WHEN category != '玩具' THEN 1.3 END AS gmroi
FROM marts.products;

CREATE TABLE marts.region_categories AS
SELECT region, category, 900::DECIMAL(18, 2) AS net_amount, 0.2 AS share, 0.16 AS rest_share,
    (hash(region, category) % 200) / 100 AS share_index, (hash(region) % 5)::BIGINT AS missing_skus,
    CASE WHEN hash(region) % 5 > 0 THEN 'SKU0003' END AS missing_sku,
    CASE WHEN hash(region) % 5 > 0 THEN 2.5 END AS missing_units_a_store
FROM (SELECT DISTINCT province AS region FROM marts.stores), (SELECT DISTINCT category FROM marts.products);

CREATE TABLE marts.price_conflicts AS
SELECT 'SKU' || lpad((1 + n)::VARCHAR, 4, '0') AS sku, business_date, 'CNY' AS currency, (90 - n)::DECIMAL(18,
    4) AS lowest_price,
    'mini' AS lowest_channel, NULL AS lowest_store_id, 100::DECIMAL(18, 4) AS highest_price, 'pos' AS highest_channel,
    'S03' AS highest_store_id, (10 + n)::DECIMAL(18, 4) AS gap, (n % 3)::BIGINT AS protected_orders,
    ((n % 3) * 10)::DECIMAL(18, 2) AS protection_amount
FROM (SELECT DISTINCT business_date FROM marts.traffic_daily), range(15) AS numbers(n)
WHERE hash(business_date, n) % 3 > 0 OR business_date = $as_of;

CREATE TABLE marts.coupon_pools AS
SELECT 'mini' AS channel, 'P1' AS pool_id, store_id, 20::BIGINT AS issued, 15::BIGINT AS claimed,
    6::BIGINT AS redeemed,
    2::BIGINT AS redeemed_at_home, 9::BIGINT AS expired, 0.3 AS redemption_rate, 900::DECIMAL(18, 2) AS net_amount,
    120::DECIMAL(18, 2) AS discount_amount
FROM marts.stores;
"""
