with

raw_coupons as (
    select * from {{ source('raw', 'coupons') }}
),

holding_versions as (
    {{ holding_arrivals('raw_coupons', ['channel', 'coupon_code']) }}
),

newest_coupons as (
    select
        raw_coupons.channel,
        raw_coupons.coupon_code,
        raw_coupons.campaign_id,
        raw_coupons.pool_id,
        raw_coupons.member_id,
        raw_coupons.issued_at,
        raw_coupons.claimed_at,
        raw_coupons.redeemed_at,
        raw_coupons.redeemed_order_id,
        raw_coupons.expires_at,
        upper(trim(raw_coupons.coupon_code)) as matched_code
    from raw_coupons
    inner join holding_versions on raw_coupons._arrival = holding_versions._arrival
)

select * from newest_coupons
