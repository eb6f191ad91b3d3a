"""SQL of the overview: sales, orders, customers of a day and a period, by channel, store and category.

Every statement takes `{condition}` (the filters' channels and stores) and binds `$start` and `$end` (the period),
`$day` (the day shown) and `$weeks` (how many of the four weeks before it the data covers).
The formulas are METRICS': operating net, AOV = pre-return net / paid orders, identified part of net sales.
"""

from __future__ import annotations

DAILY = """
SELECT
    business_date,
    sum(net_amount) AS net_amount,
    sum(net_amount_cohort) AS net_amount_cohort,
    sum(sales_net_amount) AS sales_net_amount,
    sum(gross_amount) AS gross_amount,
    sum(discount_amount) AS discount_amount,
    sum(orders) AS orders,
    sum(paid_orders) AS paid_orders,
    sum(quantity) AS quantity,
    sum(new_customers) AS new_customers,
    sum(member_net_amount) AS member_net_amount,
    sum(identified_net_amount) AS identified_net_amount
FROM sales_daily
WHERE business_date BETWEEN $start AND $end AND {condition}
GROUP BY business_date
ORDER BY business_date
"""

# Distinct over channels and stores, which sales_daily cannot add up.
DAILY_CUSTOMERS = """
SELECT business_date, count(DISTINCT customer_id) AS paying_customers
FROM orders
WHERE business_date BETWEEN $start AND $end AND is_qualified AND customer_id IS NOT NULL AND {condition}
GROUP BY business_date
ORDER BY business_date
"""

DAILY_BY_CHANNEL = """
SELECT business_date, channel, sum(net_amount) AS net_amount, sum(net_amount_cohort) AS net_amount_cohort
FROM sales_daily
WHERE business_date BETWEEN $start AND $end AND {condition}
GROUP BY business_date, channel
ORDER BY business_date, channel
"""

_PLACE = """
WITH figures AS (
    SELECT
        {place},
        sum(net_amount) FILTER (WHERE business_date = $day) AS day_net_amount,
        sum(net_amount) FILTER (WHERE business_date = $day - 7) AS last_week_net_amount,
        sum(net_amount) FILTER (WHERE business_date IN ($day - 7, $day - 14, $day - 21, $day - 28))
            / nullif($weeks, 0) AS mean_net_amount,
        sum(net_amount) FILTER (WHERE business_date BETWEEN $start AND $end) AS net_amount,
        sum(paid_orders) FILTER (WHERE business_date BETWEEN $start AND $end) AS paid_orders,
        sum(identified_net_amount) FILTER (WHERE business_date BETWEEN $start AND $end) AS identified_net_amount
    FROM sales_daily
    WHERE business_date BETWEEN least($start, $day - 28) AND $end AND {condition}
    GROUP BY {place}
)
SELECT
    {place},
    day_net_amount,
    last_week_net_amount,
    mean_net_amount,
    net_amount,
    net_amount / nullif(sum(net_amount) OVER (), 0) AS share,
    paid_orders,
    identified_net_amount / nullif(net_amount, 0) AS identification_rate
FROM figures
ORDER BY net_amount DESC NULLS LAST, {place}
"""

BY_CHANNEL = _PLACE.replace("{place}", "channel")

BY_STORE = _PLACE.replace("{place}", "store_id")

BY_CATEGORY = """
SELECT
    category,
    sum(net_amount) AS net_amount,
    sum(net_amount) / nullif(sum(sum(net_amount)) OVER (), 0) AS share,
    sum(quantity) AS quantity,
    (sum(net_amount) - sum(cost_amount)) / nullif(sum(net_amount), 0) AS margin_rate
FROM category_daily
WHERE business_date BETWEEN $start AND $end AND {condition}
GROUP BY category
ORDER BY net_amount DESC, category
"""
