"""SQL of the products: what sells most, when, where and where not, and what the stock of it earns."""

from __future__ import annotations

_TOP = """
WITH sold AS (
    SELECT
        sku,
        sum(net_amount) AS net_amount,
        sum(quantity) AS quantity,
        (sum(net_amount) - sum(cost_amount)) / nullif(sum(net_amount), 0) AS margin_rate,
        sum(quantity_sold) - sum(quantity) AS returned
    FROM product_daily
    WHERE business_date BETWEEN $start AND $end AND {condition}
    GROUP BY sku
)
SELECT
    sold.sku,
    products.name,
    products.category,
    sold.net_amount,
    sold.net_amount / nullif(sum(sold.net_amount) OVER (), 0) AS share,
    sold.quantity,
    sold.margin_rate,
    sold.returned
FROM sold
LEFT JOIN products ON products.sku = sold.sku
ORDER BY {by} DESC, sold.sku
LIMIT 10
"""

TOP_BY_SALES = _TOP.replace("{by}", "sold.net_amount")

TOP_BY_UNITS = _TOP.replace("{by}", "sold.quantity")

HOURS = """
SELECT hour, sum(paid_orders) AS paid_orders, sum(sales_net_amount) AS sales_net_amount
FROM orders_hourly
WHERE business_date BETWEEN $start AND $end AND {condition}
GROUP BY hour
ORDER BY hour
"""

REGIONS = """
SELECT
    region_categories.region,
    region_categories.category,
    region_categories.net_amount,
    region_categories.share,
    region_categories.rest_share,
    region_categories.share_index,
    region_categories.missing_skus,
    region_categories.missing_sku,
    products.name AS missing_name,
    region_categories.missing_units_a_store
FROM region_categories
LEFT JOIN products ON products.sku = region_categories.missing_sku
ORDER BY region_categories.region, region_categories.category
"""

SEASONS = "SELECT DISTINCT season FROM sell_through WHERE season <= $end ORDER BY season DESC"

SELL_THROUGH = """
SELECT
    products.category,
    count(DISTINCT sell_through.sku) AS skus,
    sum(sell_through.net_units) AS net_units,
    sum(sell_through.opening_units) AS opening_units,
    sum(sell_through.received_units) AS received_units,
    CASE WHEN sum(sell_through.opening_units + sell_through.received_units) > 0 AND sum(sell_through.net_units) >= 0
        THEN sum(sell_through.net_units) / sum(sell_through.opening_units + sell_through.received_units) END
        AS sell_through_rate
FROM sell_through
INNER JOIN products ON products.sku = sell_through.sku
WHERE sell_through.season = $season AND sell_through.opened_at < sell_through.closed_at AND {store_condition}
GROUP BY products.category
ORDER BY sell_through_rate DESC NULLS LAST, products.category
"""

GMROI = """
SELECT category, month, n_points, average_inventory_amount, margin_amount, gmroi
FROM gmroi
WHERE month = (SELECT max(month) FROM gmroi WHERE month <= $end)
ORDER BY gmroi DESC NULLS LAST, margin_amount DESC, category
"""
