"""SQL of customers and RFM: segments, the RFM map, lifecycle, movement, and one customer's tags and recommendations.

Every statement takes `{chosen}`: the customer_rfm rows of snapshot `$snapshot_date` that the filters keep. No statement
returns anything that names a person: ids and figures only.
"""

from __future__ import annotations

from dashboards.filters import Filters

SNAPSHOT_DATE = "SELECT max(snapshot_date) AS snapshot_date FROM customer_rfm WHERE snapshot_date <= $end"

FIRST_SNAPSHOT_DATE = "SELECT min(snapshot_date) AS snapshot_date FROM customer_rfm"

EARLIER_SNAPSHOT_DATE = (
    "SELECT max(snapshot_date) AS snapshot_date FROM customer_rfm WHERE snapshot_date < $snapshot_date"
)

_CHOSEN = """
chosen AS (
    SELECT customer_rfm.*
    FROM customer_rfm
    {join}
    WHERE customer_rfm.snapshot_date = $snapshot_date AND {condition}
)
"""

SUMMARY = """
WITH {chosen}
SELECT
    count(*) AS customers,
    count(*) FILTER (WHERE frequency >= 1) AS buyers,
    count(*) FILTER (WHERE frequency >= 2) AS repeat_buyers,
    sum(monetary) AS monetary,
    count(*) FILTER (WHERE lifecycle IN ('dormant', 'lost')) AS asleep,
    count(*) FILTER (WHERE lifecycle = 'at_risk') AS at_risk
FROM chosen
"""

SEGMENTS = """
WITH {chosen}
SELECT
    segment,
    count(*) AS customers,
    count(*) / sum(count(*)) OVER () AS share,
    sum(monetary) AS monetary,
    sum(monetary) / nullif(sum(sum(monetary)) OVER (), 0) AS monetary_share,
    avg(monetary) AS mean_monetary,
    avg(frequency) AS mean_frequency,
    avg(recency_days) AS mean_recency_days
FROM chosen
GROUP BY segment
ORDER BY monetary DESC, segment
"""

RFM_MAP = """
WITH {chosen}
SELECT r_score, f_score, count(*) AS customers, sum(monetary) AS monetary
FROM chosen
WHERE r_score IS NOT NULL AND f_score IS NOT NULL
GROUP BY r_score, f_score
ORDER BY r_score, f_score
"""

LIFECYCLE = """
WITH {chosen}
SELECT lifecycle, count(*) AS customers, count(*) / sum(count(*)) OVER () AS share, sum(monetary) AS monetary
FROM chosen
GROUP BY lifecycle
ORDER BY lifecycle
"""

MOVEMENTS = """
WITH {chosen}
SELECT previous_segment AS from_segment, segment AS to_segment, count(*) AS customers
FROM chosen
WHERE previous_segment IS NOT NULL
GROUP BY previous_segment, segment
ORDER BY previous_segment, segment
"""

CUTOFFS = "SELECT score, recency_days, frequency, monetary FROM rfm_cutoffs ORDER BY score"

_SCORED_BY = {"r": ("recency_days", "<="), "f": ("frequency", ">="), "m": ("monetary", ">=")}


def _score(measure: str) -> str:
    """1, and one more for each cutoff that is met, as the nightly scores are made."""
    column, comparison = _SCORED_BY[measure]
    met = [f"CAST(coalesce({column} {comparison} ${measure}_{score}, false) AS INTEGER)" for score in range(2, 6)]
    return " + ".join(["1", *met])


WHAT_IF = f"""
WITH {{chosen}},
cells AS (
    SELECT
        {_score("r")} AS r_score,
        {_score("f")} AS f_score,
        {_score("m")} AS m_score,
        segment AS segment_now,
        count(*) AS customers,
        sum(monetary) AS monetary
    FROM chosen
    GROUP BY ALL
),
moves AS (
    SELECT cells.segment_now, rfm_cells.segment AS segment_then, cells.customers, cells.monetary
    FROM cells
    INNER JOIN rfm_cells USING (r_score, f_score, m_score)
)
SELECT
    segment,
    coalesce(sum(customers) FILTER (is_now), 0)::BIGINT AS customers_now,
    coalesce(sum(customers) FILTER (NOT is_now), 0)::BIGINT AS customers_then,
    coalesce(sum(monetary) FILTER (is_now), 0)::DECIMAL(38, 2) AS monetary_now,
    coalesce(sum(monetary) FILTER (NOT is_now), 0)::DECIMAL(38, 2) AS monetary_then
FROM (
    SELECT segment_now AS segment, true AS is_now, customers, monetary FROM moves
    UNION ALL
    SELECT segment_then AS segment, false AS is_now, customers, monetary FROM moves
) AS sides
GROUP BY segment
ORDER BY segment
"""
"""Customers and money of every segment as scored, and as other cutoffs ($r_2 … $m_5) would have it.

A cutoff that is null is met by nobody. Scores are additive over customers, so that one pass over the snapshot is
enough: at a million customers it takes a fraction of what a page may.
"""

IDENTIFICATION_RATE = """
SELECT sum(identified_net_amount) / nullif(sum(net_amount), 0) AS identification_rate
FROM sales_daily
WHERE business_date BETWEEN $start AND $end AND {condition}
"""

SAMPLE = """
WITH {chosen}
SELECT customer_id
FROM chosen
WHERE customer_id IN (SELECT customer_id FROM recommendations)
ORDER BY hash(customer_id), customer_id
LIMIT 12
"""

ONE_CUSTOMER = """
SELECT
    customer_rfm.customer_id,
    customer_rfm.recency_days,
    customer_rfm.frequency,
    customer_rfm.monetary,
    customer_rfm.r_score,
    customer_rfm.f_score,
    customer_rfm.m_score,
    customer_rfm.segment,
    customer_rfm.previous_segment,
    customer_rfm.lifecycle
FROM customer_rfm
WHERE customer_rfm.snapshot_date = $snapshot_date AND customer_rfm.customer_id = $customer_id
"""

IS_CUSTOMER = "SELECT count(*) AS found FROM customers WHERE customer_id = $customer_id"

TAGS = """
SELECT tag, value, since, source FROM customer_tags WHERE customer_id = $customer_id ORDER BY tag
"""

RECOMMENDATIONS = """
WITH named_products AS (
    SELECT sku, any_value(name ORDER BY name) AS name FROM products GROUP BY sku
)
SELECT
    recommendations.rank,
    recommendations.sku,
    named_products.name AS product,
    recommendations.reason,
    recommendations.strategy,
    recommendations.score,
    recommendations.store_id,
    recommendations.as_of
FROM recommendations
LEFT JOIN named_products ON named_products.sku = recommendations.sku
WHERE recommendations.customer_id = $customer_id
ORDER BY recommendations.rank
"""

RECOMMENDATIONS_WITHOUT_NAMES = """
SELECT rank, sku, CAST(NULL AS VARCHAR) AS product, reason, strategy, score, store_id, as_of
FROM recommendations
WHERE customer_id = $customer_id
ORDER BY rank
"""


def over_chosen(sql: str, filters: Filters) -> str:
    """The statement over the customers whose preferred channel and home store the filters keep.

    Without such a filter `customers` is not joined at all.
    """
    condition = filters.condition("customers.preferred_channel", "customers.home_store_id")
    join = "INNER JOIN customers ON customers.customer_id = customer_rfm.customer_id" if filters.is_narrowed else ""
    return sql.format(chosen=_CHOSEN.format(join=join, condition=condition).strip())
