with

campaign_coupons as (
    select * from {{ ref('campaign_coupons') }}
),

coupon_performance as (
    select
        campaign_id,
        store_id,
        count(*) as issued,
        count(*) filter (where claimed_at is not null or is_redeemed) as claimed,
        count(*) filter (where is_redeemed) as redeemed,
        count(*) filter (where is_expired) as expired,
        cast(count(*) filter (where is_redeemed) as double) / count(*) as redemption_rate,
        cast(coalesce(sum(net_amount), 0) as decimal(18, 2)) as net_amount,
        cast(coalesce(sum(discount_amount), 0) as decimal(18, 2)) as discount_amount
    from campaign_coupons
    group by campaign_id, store_id
)

select * from coupon_performance
