with

coupons as (
    select * from {{ ref('stg_coupons') }}
),

redemptions as (
    select * from {{ ref('int_coupon_redemptions') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

customers as (
    select * from {{ ref('customers') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

held_coupons as (
    select
        coupons.channel,
        coupons.pool_id,
        coupons.matched_code,
        coupons.issued_at,
        coupons.claimed_at,
        customers.home_store_id as store_id,
        redemptions.store_id as redeemed_store_id,
        redemptions.redemption_number is not null as is_redeemed,
        redemptions.redemption_number is null
        and coalesce(cast(coupons.expires_at as date) < run_settings.as_of, false) as is_expired,
        redemptions.order_id,
        redemptions.net_amount,
        redemptions.discount_amount,
        -- An order that redeems several coupons of a pool is counted once.
        row_number() over (
            partition by coupons.channel, coupons.pool_id, redemptions.order_id
            order by coupons.matched_code
        ) as place_in_order
    from coupons
    cross join run_settings
    left join identities
        on
            coupons.channel = identities.channel
            and coupons.member_id = identities.identity
            and identities.kind = 'member'
    left join customers on identities.customer_id = customers.customer_id
    left join redemptions
        on
            coupons.channel = redemptions.channel
            and coupons.matched_code = redemptions.matched_code
            and redemptions.redemption_number = 1
    where coalesce(cast(coupons.issued_at as date), run_settings.as_of) <= run_settings.as_of
),

coupon_pools as (
    select
        channel,
        pool_id,
        store_id,
        count(*) as issued,
        count(case when claimed_at is not null or is_redeemed then 1 end) as claimed,
        count(case when is_redeemed then 1 end) as redeemed,
        count(case when is_redeemed and redeemed_store_id = store_id then 1 end) as redeemed_at_home,
        count(case when is_expired then 1 end) as expired,
        cast(count(case when is_redeemed then 1 end) as double) / count(*) as redemption_rate,
        cast(coalesce(sum(case when place_in_order = 1 then net_amount end), 0) as decimal(18, 2)) as net_amount,
        cast(coalesce(sum(case when place_in_order = 1 then discount_amount end), 0) as decimal(18, 2))
            as discount_amount
    from held_coupons
    group by channel, pool_id, store_id
)

select * from coupon_pools
