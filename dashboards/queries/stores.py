"""SQL of the stores: the scorecard of a quarter, where they lie, and their part in what is bought online."""

from __future__ import annotations

QUARTERS = """
SELECT DISTINCT quarter, is_finished FROM stores_scorecard WHERE quarter <= $end ORDER BY quarter DESC
"""

SCORECARD = """
SELECT
    stores_scorecard.store_id,
    stores.name,
    stores_scorecard.tier,
    stores_scorecard.previous_tier,
    stores_scorecard.score AS tier_score,
    stores_scorecard.brand,
    stores_scorecard.region,
    stores_scorecard.net_amount,
    stores_scorecard.currency,
    stores_scorecard.net_amount_local,
    stores_scorecard.orders,
    stores_scorecard.net_per_m2,
    stores_scorecard.rating,
    stores_scorecard.n_ratings,
    stores_scorecard.member_share,
    stores_scorecard.pickup_share,
    stores_scorecard.diverted_share,
    stores_scorecard.attributed_profit_amount,
    stores_scorecard.trading_days_so_far,
    stores_scorecard.peer_group,
    stores_scorecard.peers,
    stores.latitude,
    stores.longitude
FROM stores_scorecard
LEFT JOIN stores ON stores.store_id = stores_scorecard.store_id
WHERE stores_scorecard.quarter = $quarter AND {store_condition:stores_scorecard.store_id}
ORDER BY stores_scorecard.net_amount DESC, stores_scorecard.store_id
"""

ATTRIBUTION = """
SELECT
    store_id,
    role,
    sum(net_amount) AS net_amount,
    sum(profit_amount) AS profit_amount
FROM store_attribution_daily
WHERE business_date BETWEEN $start AND $end AND {channel_condition} AND {store_condition}
GROUP BY store_id, role
ORDER BY sum(sum(profit_amount)) OVER (PARTITION BY store_id) DESC, store_id, role
"""

ONLINE = """
SELECT
    store_id,
    sum(pickup_orders) AS pickup_orders,
    sum(pickup_orders) / nullif(sum(city_orders), 0) AS pickup_share,
    sum(picked_up) / nullif(sum(pickup_orders - pickup_cancelled), 0) AS completion_rate,
    sum(pickup_expired) / nullif(sum(pickup_orders), 0) AS expiry_rate,
    sum(pickup_minutes) / nullif(sum(picked_up), 0) / 60.0 AS hours_to_pickup,
    sum(ship_from_store_orders) AS ship_from_store_orders,
    sum(same_city_orders) AS same_city_orders,
    sum(nearest_orders) / nullif(sum(located_orders), 0) AS nearest_share,
    sum(staff_orders) AS staff_orders,
    sum(scan_orders) AS scan_orders
FROM store_online_daily
WHERE business_date BETWEEN $start AND $end AND {channel_condition} AND {store_condition}
GROUP BY store_id
ORDER BY pickup_orders DESC, store_id
"""
