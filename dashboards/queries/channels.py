"""SQL of channels and funnels: visitors and steps, channels beside each other, and the flows between doors.

Funnels and flows know no store: they take the filters' `{channel_condition}`, flows none at all. A funnel's rate over
a period is that of its visitor-days, and needs a hundred of them as a day's does.
"""

from __future__ import annotations

FUNNEL = """
SELECT
    step,
    position,
    sum(persons) AS persons,
    CASE WHEN sum(persons_before) >= 100 THEN sum(persons) / sum(persons_before) END AS rate
FROM funnel_daily
WHERE business_date BETWEEN $start AND $end AND {channel_condition}
GROUP BY step, position
ORDER BY position
"""

FUNNEL_BY_CHANNEL = """
SELECT
    channel,
    step,
    position,
    sum(persons) AS persons,
    CASE WHEN sum(persons_before) >= 100 THEN sum(persons) / sum(persons_before) END AS rate
FROM funnel_daily
WHERE business_date BETWEEN $start AND $end AND {channel_condition}
GROUP BY channel, step, position
ORDER BY channel, position
"""

ALERTS = """
SELECT business_date, channel, step, persons_before, rate_from_previous, baseline_rate, alert_below
FROM funnel_daily
WHERE alert AND business_date BETWEEN $start AND $end AND {channel_condition}
ORDER BY business_date DESC, channel, position
LIMIT 200
"""

_COMPARED = """
WITH sales AS (
    SELECT
        channel,
        sum(net_amount) AS net_amount,
        sum(sales_net_amount) AS sales_net_amount,
        sum(member_net_amount) AS member_net_amount,
        sum(paid_orders) AS paid_orders,
        sum(new_customers) AS new_customers
    FROM sales_daily
    WHERE business_date BETWEEN $start AND $end AND {condition}
    GROUP BY channel
),

traffic AS (
    SELECT channel, sum(visitors) AS visitors, sum(purchasers) AS purchasers
    FROM traffic_daily
    WHERE business_date BETWEEN $start AND $end AND {channel_condition}
    GROUP BY channel
),

figures AS (
    SELECT
        coalesce(sales.channel, traffic.channel) AS channel,
        channels.kind,
        sales.* EXCLUDE (channel),
        traffic.visitors,
        traffic.purchasers
    FROM sales
    FULL JOIN traffic ON traffic.channel = sales.channel
    LEFT JOIN channels ON channels.channel = coalesce(sales.channel, traffic.channel)
)
SELECT
    {by},
    sum(net_amount) AS net_amount,
    sum(visitors) AS visitors,
    sum(purchasers) / nullif(sum(visitors), 0) AS conversion_rate,
    sum(paid_orders) AS paid_orders,
    sum(sales_net_amount) / nullif(sum(paid_orders), 0) AS aov,
    sum(member_net_amount) / nullif(sum(net_amount), 0) AS member_share,
    sum(new_customers) AS new_customers
FROM figures
GROUP BY {by}
ORDER BY net_amount DESC NULLS LAST, {by}
"""

BY_CHANNEL = _COMPARED.replace("{by}", "channel")

BY_KIND = _COMPARED.replace("{by}", "kind")

AOV_GAPS = """
SELECT month, online_orders, store_orders, online_aov, store_aov, gap, mix_adjusted_gap, compared_share
FROM aov_gaps
WHERE month BETWEEN date_trunc('month', $end) - INTERVAL 11 MONTH AND $end
ORDER BY month
"""

FIRST_ORDERS = """
SELECT
    channel,
    sum(new_members) AS new_members,
    sum(with_first_order) AS with_first_order,
    sum(with_first_order) / sum(new_members) AS conversion_rate
FROM first_order_conversion
WHERE
    conversion_rate IS NOT NULL
    AND month BETWEEN date_trunc('month', $end) - INTERVAL 12 MONTH AND $end
    AND {channel_condition}
GROUP BY channel
ORDER BY new_members DESC, channel
"""

FLOWS = """
SELECT
    flow,
    from_door,
    to_door,
    max(window_days) AS window_days,
    sum(customers) AS customers,
    sum(followed) AS followed,
    sum(followed) FILTER (WHERE flow_rate IS NOT NULL)
        / sum(customers) FILTER (WHERE flow_rate IS NOT NULL) AS flow_rate
FROM door_flows
WHERE month BETWEEN date_trunc('month', $end) - INTERVAL 12 MONTH AND $end
GROUP BY flow, from_door, to_door
ORDER BY flow, from_door, to_door
"""

PICKUPS = """
WITH of_cities AS (
    SELECT DISTINCT business_date, channel, city, city_orders
    FROM store_online_daily
    WHERE city_orders > 0 AND business_date BETWEEN $start AND $end AND {channel_condition} AND {store_condition}
),

of_stores AS (
    SELECT
        sum(pickup_orders) AS pickup_orders,
        sum(picked_up) AS picked_up,
        sum(pickup_expired) AS pickup_expired,
        sum(pickup_cancelled) AS pickup_cancelled,
        sum(ship_from_store_orders) AS ship_from_store_orders,
        sum(nearest_orders) AS nearest_orders,
        sum(located_orders) AS located_orders
    FROM store_online_daily
    WHERE business_date BETWEEN $start AND $end AND {channel_condition} AND {store_condition}
)
SELECT
    pickup_orders,
    pickup_orders / nullif((SELECT sum(city_orders) FROM of_cities), 0) AS pickup_share,
    picked_up / nullif(pickup_orders - pickup_cancelled, 0) AS completion_rate,
    pickup_expired / nullif(pickup_orders, 0) AS expiry_rate,
    ship_from_store_orders,
    nearest_orders / nullif(located_orders, 0) AS nearest_share
FROM of_stores
"""
