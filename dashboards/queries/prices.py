"""SQL of prices: one article at several prices at the same time, and the claims that lower prices raise."""

from __future__ import annotations

SUMMARY = """
SELECT
    count(*) FILTER (WHERE gap > 0 AND business_date = $end) AS conflicts,
    max(gap / nullif(highest_price, 0)) FILTER (WHERE business_date = $end) AS widest_share,
    sum(protected_orders) AS protected_orders,
    sum(protection_amount) AS protection_amount
FROM price_conflicts
WHERE business_date BETWEEN $start AND $end
"""

DAILY = """
SELECT
    business_date,
    count(*) FILTER (WHERE gap > 0) AS conflicts,
    sum(protected_orders) AS protected_orders,
    sum(protection_amount) AS protection_amount
FROM price_conflicts
WHERE business_date BETWEEN $start AND $end
GROUP BY business_date
ORDER BY business_date
"""

WIDEST = """
SELECT
    price_conflicts.sku,
    products.name,
    products.category,
    price_conflicts.currency,
    price_conflicts.lowest_price,
    price_conflicts.lowest_channel,
    price_conflicts.lowest_store_id,
    price_conflicts.highest_price,
    price_conflicts.highest_channel,
    price_conflicts.highest_store_id,
    price_conflicts.gap,
    price_conflicts.gap / nullif(price_conflicts.highest_price, 0) AS gap_share
FROM price_conflicts
LEFT JOIN products ON products.sku = price_conflicts.sku
WHERE price_conflicts.business_date = $end AND price_conflicts.gap > 0
ORDER BY gap_share DESC, price_conflicts.gap DESC, price_conflicts.sku
LIMIT 200
"""

CLAIMS = """
SELECT
    price_conflicts.sku,
    products.name,
    products.category,
    sum(price_conflicts.protected_orders) AS protected_orders,
    sum(price_conflicts.protection_amount) AS protection_amount,
    max(price_conflicts.business_date) FILTER (WHERE price_conflicts.protected_orders > 0) AS newest_day
FROM price_conflicts
LEFT JOIN products ON products.sku = price_conflicts.sku
WHERE price_conflicts.business_date BETWEEN $start AND $end AND price_conflicts.protected_orders > 0
GROUP BY price_conflicts.sku, products.name, products.category
ORDER BY protection_amount DESC, price_conflicts.sku
LIMIT 50
"""
