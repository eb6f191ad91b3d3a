"""Tables and columns that readers of a snapshot may rely on; names here only grow."""

from __future__ import annotations

from pipelines.settings import Settings
from pipelines.warehouse import open_snapshot

MARTS: dict[str, tuple[str, ...]] = {
    name: tuple(columns.split())
    for name, columns in {
        "customers": "customer_id first_seen_at last_seen_at n_members n_channels home_store_id level is_staff "
        "consent_marketing first_order_at last_order_at first_channel preferred_channel preferred_store_id "
        "preferred_category",
        "customer_identities": "customer_id channel kind identity first_seen_at last_seen_at n_sources is_blocked "
        "reason",
        "customer_consents": "customer_id purpose channel member_id is_granted at source is_live rule decides",
        "golden_record": "customer_id attribute value is_masked is_valid source_channel source_member rule as_of",
        "customer_merges": "at kind from_customer_id into_customer_id cause evidence",
        "customer_blocks": "customer_id kind channel identity block_rule reason",
        "customer_links": "customer_id relation kind channel member_id identity partner_channel partner_id score "
        "evidence since",
        "households": "household_id customer_id kind channel identity since",
        "identity_reviews": "review_id left_customer_id right_customer_id left_channel left_member_id right_channel "
        "right_member_id score evidence state decided_by decided_at reason",
        "orders": "channel order_id customer_id store_id fulfil_store_id fulfilment status ordered_at business_date "
        "currency gross_amount discount_amount net_amount refunded_amount is_qualified is_test is_staff "
        "is_first_order campaign_id",
        "order_events": "event_id channel order_id line_id kind at business_date sku store_id customer_id quantity "
        "gross_amount discount_amount net_amount tax_amount cost_amount",
        "sales_daily": "business_date channel store_id gross_amount discount_amount net_amount net_amount_cohort "
        "orders paid_orders quantity customers new_customers member_net_amount",
        "category_daily": "business_date channel store_id category net_amount net_amount_cohort quantity cost_amount",
        "customer_rfm": "customer_id snapshot_date recency_days frequency monetary r_score f_score m_score segment "
        "lifecycle previous_segment",
        "customer_tags": "customer_id tag value since source",
        "segment_members": "segment customer_id since",
        "recommendations": "customer_id rank sku score reason strategy store_id as_of",
        "rfm_cells": "r_score f_score m_score segment",
        "rfm_cutoffs": "score method recency_days frequency monetary",
        "customer_scores": "customer_id p_alive expected_orders_90d expected_orders_90d_low expected_orders_90d_high "
        "clv_12m clv_12m_low clv_12m_high churn_probability churn_horizon_days next_order_due next_order_earliest "
        "next_order_latest model_version churn_model_version as_of",
        "campaign_results": "campaign_id treated held_out conversion_treated conversion_control uplift ci_low ci_high "
        "incremental_margin cost roi srm_p_value verdict coupons_issued liability_used",
        "stock_health": "store_id sku on_hand cover_days stockout transfer_from_store_id demand_next_14d "
        "reorder_quantity demand_next_14d_low demand_next_14d_high available daily_units own_need surplus "
        "transfer_quantity given_quantity available_elsewhere as_of",
        "model_versions": "model version as_of window_start window_end rows seed status reason protocol notes "
        "parameters card registered_at",
        "model_metrics": "model version metric predictor value",
        "model_calibration": "model version position bin predicted actual members",
        "model_drift": "model as_of input version psi is_warning",
        "coupon_performance": "campaign_id store_id issued claimed redeemed expired redemption_rate net_amount "
        "discount_amount",
        "campaign_coupons": "issued_by coupon_code campaign_id customer_id redeemed_at redeemed_order_id",
        "activation_log": "delivery_id destination operation customer_id subject decided_at state reason attempts "
        "idempotency_key campaign_id next_attempt_at settled_at",
        "batches": "batch_id run_id channel feed file rows_received rows_accepted rows_quarantined taken_at",
        "runs": "run_id started_at finished_at as_of status rows_received rows_accepted rows_quarantined snapshot_id",
        "quarantine": "quarantine_id channel feed file line column_name reason received_at replayed_at",
        "funnel_daily": "business_date channel step persons rate_from_previous baseline_rate alert",
        "traffic_daily": "business_date channel visitors known_visitors sessions viewers purchasers",
        "aov_gaps": "month online_orders store_orders online_aov store_aov gap mix_adjusted_gap",
        "first_order_conversion": "month channel new_members with_first_order conversion_rate",
        "door_flows": "flow from_door to_door month window_days customers followed flow_rate",
        "store_online_daily": "business_date channel store_id city city_orders pickup_orders picked_up pickup_expired "
        "pickup_cancelled pickup_waiting ship_from_store_orders same_city_orders located_orders nearest_orders "
        "staff_orders scan_orders",
        "store_attribution_daily": "business_date channel store_id role net_amount profit_amount",
        "purchase_cycles": "first_channel customers repeaters repeating_share median_days",
        "retention_cohorts": "cohort_month first_channel month_number cohort_size active retention net_amount",
        "buyer_periods": "period period_start period_end buyers repeat_buyers returning_buyers repurchase_rate "
        "returning_rate is_finished",
        "points_daily": "business_date channel members earned green_bonus redeemed expired adjusted balance_change",
        "points_expiring": "channel month is_overdue members points",
        "stores_scorecard": "store_id quarter net_amount orders rating net_per_m2 member_share pickup_share tier "
        "previous_tier currency net_amount_local score attributed_net_amount attributed_profit_amount",
        "product_daily": "business_date channel store_id sku net_amount quantity quantity_sold cost_amount",
        "orders_hourly": "business_date channel store_id hour paid_orders sales_net_amount",
        "sell_through": "sku store_id season opening_units closing_units net_units received_units sell_through_rate",
        "gmroi": "category month n_points average_inventory_amount margin_amount gmroi",
        "region_categories": "region category net_amount share rest_share share_index missing_skus missing_sku",
        "price_conflicts": "sku business_date currency lowest_price lowest_channel lowest_store_id highest_price "
        "highest_channel highest_store_id gap protected_orders protection_amount",
        "coupon_pools": "channel pool_id store_id issued claimed redeemed expired redemption_rate net_amount "
        "discount_amount",
    }.items()
}


def missing_columns(settings: Settings) -> list[str]:
    """`table.column` of everything the current snapshot lacks; empty when the contract holds."""
    with open_snapshot(settings) as connection:
        present = set(
            connection.execute(
                "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts'"
            ).fetchall()
        )
    return [
        f"{table}.{column}" for table, columns in MARTS.items() for column in columns if (table, column) not in present
    ]
