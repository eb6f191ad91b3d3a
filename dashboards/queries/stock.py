"""SQL of the stock page: cover, stock-outs, transfers and orders, by place and article.

Every statement takes `{store_condition}`: a stock has no channel and no period. The figures are those of
`stock_health`, as of the snapshot's day.
"""

from __future__ import annotations

LISTED_ROWS = 200

TOTALS = """
SELECT
    count(*) AS stock_positions,
    count(*) FILTER (WHERE stockout) AS stockouts,
    count(*) FILTER (WHERE stockout AND available_elsewhere > 0) AS stockouts_elsewhere,
    median(cover_days) AS cover_days,
    sum(transfer_quantity)::BIGINT AS transfer_units,
    sum(reorder_quantity)::BIGINT AS reorder_units
FROM stock_health
WHERE {store_condition}
"""

BY_STORE = """
SELECT
    store_id,
    count(*) AS stock_positions,
    count(*) FILTER (WHERE stockout AND available_elsewhere > 0) AS stockouts_elsewhere,
    count(*) FILTER (WHERE stockout AND available_elsewhere <= 0) AS stockouts_everywhere,
    median(cover_days) AS cover_days,
    sum(demand_next_14d) AS demand_next_14d,
    sum(transfer_quantity)::BIGINT AS transfer_units,
    sum(given_quantity)::BIGINT AS given_units,
    sum(reorder_quantity)::BIGINT AS reorder_units
FROM stock_health
WHERE {store_condition}
GROUP BY store_id
ORDER BY stockouts_elsewhere + stockouts_everywhere DESC, store_id
"""

COVER = """
SELECT band, count(*) AS stock_positions
FROM (
    SELECT CASE
        WHEN cover_days IS NULL THEN 'none'
        WHEN cover_days < 7 THEN 'd7'
        WHEN cover_days < 14 THEN 'd14'
        WHEN cover_days < 28 THEN 'd28'
        WHEN cover_days < 56 THEN 'd56'
        ELSE 'more'
    END AS band
    FROM stock_health
    WHERE {store_condition}
)
GROUP BY band
ORDER BY list_position(['d7', 'd14', 'd28', 'd56', 'more', 'none'], band)
"""

_POSITIONS = """
WITH named AS (
    SELECT sku, any_value(name ORDER BY name) AS product FROM products GROUP BY sku
)
SELECT
    stock_health.store_id, stock_health.sku, named.product, available::DOUBLE AS available, daily_units, cover_days,
    demand_next_14d, demand_next_14d_low, demand_next_14d_high, {columns}
FROM stock_health
LEFT JOIN named ON stock_health.sku = named.sku
WHERE {store_condition:stock_health.store_id} AND {which}
ORDER BY {order}, stock_health.store_id, stock_health.sku
LIMIT 200
"""

TRANSFERS = (
    # A store manager learns that another place can give, not which: its stock is not theirs to see.
    _POSITIONS.replace(
        "{columns}",
        "own_need, CASE WHEN transfer_from_store_id IN (SELECT stores.store_id FROM stores) "
        "THEN transfer_from_store_id ELSE '~elsewhere' END AS giver, transfer_quantity",
    )
    .replace("{which}", "transfer_from_store_id IS NOT NULL")
    .replace("{order}", "stockout DESC, transfer_quantity DESC")
)

ORDERS = (
    _POSITIONS.replace("{columns}", "own_need, transfer_quantity, reorder_quantity")
    .replace("{which}", "reorder_quantity > 0")
    .replace("{order}", "reorder_quantity DESC")
)

OUT_OF_STOCK = (
    _POSITIONS.replace("{columns}", "available_elsewhere::DOUBLE AS available_elsewhere, counted_at")
    .replace("{which}", "stockout AND demand_next_14d > 0")
    .replace("{order}", "demand_next_14d DESC")
)
