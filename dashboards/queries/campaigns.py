"""SQL of the campaigns page: effects against those held out, budgets, coupons by campaign, pool and store.

Statements over coupons take `{store_condition}` (home stores of the holders). A campaign is of no channel
and no store, so that filters mean nothing to its results. `$language` chooses names.
"""

from __future__ import annotations

TOTALS = """
SELECT
    count(*) FILTER (WHERE treated > 0 AND held_out > 0) AS campaigns_measured,
    sum(treated)::BIGINT AS campaign_treated,
    sum(held_out)::BIGINT AS campaign_held_out,
    sum(cost) AS campaign_cost,
    sum(incremental_margin) AS incremental_margin
FROM campaign_results
"""

RESULTS = """
SELECT
    campaign_id, coalesce(CASE $language WHEN 'zh' THEN name_zh ELSE name_en END, campaign_id) AS campaign, verdict,
    is_complete, treated, held_out, conversion_treated, conversion_control, uplift, ci_low, ci_high,
    incremental_margin, incremental_margin_low, incremental_margin_high, cost, roi, srm_p_value, first_decided_on,
    window_ends_on
FROM campaign_results
ORDER BY treated > 0 DESC, first_decided_on DESC NULLS LAST, campaign_id DESC
"""

BUDGETS = """
SELECT
    coalesce(CASE $language WHEN 'zh' THEN name_zh ELSE name_en END, campaign_id) AS campaign,
    coupons_issued, budget_coupons, coupons_issued / nullif(budget_coupons::DOUBLE, 0) AS coupons_share,
    liability_used::DOUBLE AS liability_used, budget_liability::DOUBLE AS budget_liability,
    liability_used::DOUBLE / nullif(budget_liability::DOUBLE, 0) AS liability_share, budget_currency
FROM campaign_results
WHERE budget_coupons IS NOT NULL OR budget_liability IS NOT NULL
ORDER BY campaign
"""

_COUPONS = """
SELECT
    {key}, store_id, sum(issued)::BIGINT AS issued, sum(claimed)::BIGINT AS claimed, sum(redeemed)::BIGINT AS redeemed,
    sum(expired)::BIGINT AS expired, sum(redeemed) / nullif(sum(issued)::DOUBLE, 0) AS redemption_rate,
    sum(net_amount) AS net_amount, sum(discount_amount) AS discount_amount
FROM {table}
WHERE {store_condition}
GROUP BY {key}, store_id
ORDER BY issued DESC, {key}, store_id
"""

COUPONS_BY_CAMPAIGN = _COUPONS.replace("{key}", "campaign_id").replace("{table}", "coupon_performance")

COUPONS_BY_POOL = _COUPONS.replace("{key}", "channel, pool_id").replace("{table}", "coupon_pools")
