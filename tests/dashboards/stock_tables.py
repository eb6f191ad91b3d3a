"""Made-up marts of stock and campaigns for the synthetic snapshot.

Belongs here: tables that only the pages of stock and of campaigns read. Does not belong here: publishing them.
"""

from __future__ import annotations

STOCK_TABLES = """
CREATE TABLE marts.stock_health AS
WITH drawn AS (
    SELECT
        store_id, sku, (hash(store_id, sku, 'a') % 40)::BIGINT AS units,
        (hash(store_id, sku, 'b') % 30)::BIGINT AS demand
    FROM marts.stores, (SELECT sku FROM marts.products ORDER BY sku LIMIT 20)
)
SELECT
    store_id, sku, units::DECIMAL(18, 4) AS on_hand, 0::DECIMAL(18, 4) AS reserved, units::DECIMAL(18, 4) AS available,
    $now::TIMESTAMP AS counted_at, units = 0 AS stockout, demand / 14.0 AS daily_units,
    CASE WHEN demand > 0 THEN units / (demand / 14.0) END AS cover_days, demand::DOUBLE AS demand_next_14d,
    demand * 0.5 AS demand_next_14d_low, demand * 1.7 AS demand_next_14d_high, (demand * 1.2)::BIGINT AS own_need,
    greatest(units - (demand * 1.2)::BIGINT, 0)::BIGINT AS surplus,
    (sum(units) OVER (PARTITION BY sku) - units)::DECIMAL(18, 4) AS available_elsewhere,
    CASE WHEN units < demand AND store_id <> 'S01' THEN 'S01' END AS transfer_from_store_id,
    CASE WHEN units < demand AND store_id <> 'S01' THEN 2 ELSE 0 END::BIGINT AS transfer_quantity,
    CASE WHEN store_id = 'S01' THEN 22 ELSE 0 END::BIGINT AS given_quantity,
    greatest(demand - units, 0)::BIGINT AS reorder_quantity, CAST($as_of AS DATE) AS as_of
FROM drawn;

CREATE TABLE marts.campaign_results AS
SELECT * REPLACE (
    cost::DECIMAL(18, 2) AS cost, incremental_margin::DECIMAL(18, 2) AS incremental_margin,
    incremental_margin_low::DECIMAL(18, 2) AS incremental_margin_low,
    incremental_margin_high::DECIMAL(18, 2) AS incremental_margin_high,
    first_decided_on::DATE AS first_decided_on, window_ends_on::DATE AS window_ends_on
)
FROM (VALUES
    ('recall', '沉睡召回', 'Win back', 'recall', '2026-05-01', '2026-05-31', true, 900, 100, 0.12, 0.07, 0.05, -0.01,
        0.09, 5200.50, -800.00, 11200.00, 45.00, 115.6, 0.84, 'no_effect_seen', 880, 1000, 26400.0, 30000.0, 'CNY'),
    ('spring', '春季', 'Spring', 'promo', '2026-03-01', '2026-03-31', true, 2000, 500, 0.2, 0.1, 0.1, 0.06, 0.13,
        90000.00, 50000.00, 130000.00, 1000.00, 90.0, 0.5, 'lift', 2000, NULL, 60000.0, 60000.0, 'CNY'),
    ('CAM-202605', '五月满减', 'May', 'coupon', NULL, NULL, false, 0, 0, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, 3500.00, NULL, NULL, 'not_decided', 0, NULL, 0.0, NULL, NULL)
) AS results (
    campaign_id, name_zh, name_en, kind, first_decided_on, window_ends_on, is_complete, treated, held_out,
    conversion_treated, conversion_control, uplift, ci_low, ci_high, incremental_margin, incremental_margin_low,
    incremental_margin_high, cost, roi, srm_p_value, verdict, coupons_issued, budget_coupons, liability_used,
    budget_liability, budget_currency
);

CREATE TABLE marts.coupon_performance AS
SELECT
    'recall' AS campaign_id, store_id, 40::BIGINT AS issued, 20::BIGINT AS claimed, 10::BIGINT AS redeemed,
    5::BIGINT AS expired, 0.25 AS redemption_rate, 900::DECIMAL(18, 2) AS net_amount,
    90::DECIMAL(18, 2) AS discount_amount
FROM marts.stores;
"""
