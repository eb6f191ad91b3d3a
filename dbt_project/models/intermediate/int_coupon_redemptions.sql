with

order_coupons as (
    select * from {{ ref('stg_order_coupons') }}
),

coupons as (
    select * from {{ ref('stg_coupons') }}
),

orders as (
    select * from {{ ref('orders') }}
),

claims as (
    select
        channel,
        order_id,
        matched_code,
        cast(null as timestamp) as redeemed_at
    from order_coupons
    union all
    select
        channel,
        redeemed_order_id as order_id,
        matched_code,
        redeemed_at
    from coupons
    where redeemed_order_id is not null
),

told_redemptions as (
    select
        channel,
        order_id,
        matched_code,
        min(redeemed_at) as redeemed_at
    from claims
    group by channel, order_id, matched_code
),

kept_redemptions as (
    select
        told_redemptions.matched_code,
        orders.channel,
        orders.order_id,
        orders.store_id,
        orders.customer_id,
        orders.net_amount,
        orders.discount_amount,
        coalesce(told_redemptions.redeemed_at, orders.ordered_at) as redeemed_at
    from told_redemptions
    inner join orders
        on
            told_redemptions.channel = orders.channel
            and told_redemptions.order_id = orders.order_id
    where
        orders.status not in ('cancelled', 'pending')
        and not orders.is_test
),

coupon_redemptions as (
    select
        *,
        row_number() over (
            partition by matched_code
            order by redeemed_at, channel, order_id
        ) as redemption_number
    from kept_redemptions
)

select * from coupon_redemptions
