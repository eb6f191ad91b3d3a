"""SQL of loyalty: who buys again, after how long, month by month, and the points that reward it."""

from __future__ import annotations

BUYERS = """
SELECT period_start, buyers, repeat_buyers, returning_buyers, repurchase_rate, returning_rate, is_finished
FROM buyer_periods
WHERE period = $period AND period_start <= $end
ORDER BY period_start
"""

CYCLES = """
SELECT first_channel, customers, repeaters, repeating_share, median_days
FROM purchase_cycles
WHERE first_channel IS NULL OR {channel_condition:first_channel}
ORDER BY first_channel NULLS FIRST
"""

COHORTS = """
SELECT
    cohort_month,
    month_number,
    sum(cohort_size) AS cohort_size,
    sum(active) AS active,
    sum(active) / nullif(sum(cohort_size) FILTER (WHERE active IS NOT NULL), 0) AS retention,
    sum(net_amount) AS net_amount
FROM retention_cohorts
WHERE cohort_month BETWEEN date_trunc('month', $end) - INTERVAL 12 MONTH AND $end AND {channel_condition:first_channel}
GROUP BY cohort_month, month_number
ORDER BY cohort_month, month_number
"""

POINTS = """
SELECT
    sum(earned) AS earned,
    sum(green_bonus) AS green_bonus,
    sum(redeemed) AS redeemed,
    sum(expired) AS expired,
    sum(adjusted) AS adjusted
FROM points_daily
WHERE business_date BETWEEN $start AND $end AND {channel_condition}
"""

POINTS_EXPIRING = """
SELECT month, is_overdue, sum(points) AS points, sum(members) AS members
FROM points_expiring
WHERE {channel_condition}
GROUP BY month, is_overdue
ORDER BY month, is_overdue
LIMIT 24
"""
