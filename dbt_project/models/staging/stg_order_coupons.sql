with

raw_orders as (
    select * from {{ source('raw', 'orders') }}
),

-- Few orders carry a code: only theirs are looked through for the version that holds.
orders_with_codes as (
    select distinct
        channel,
        order_id
    from {{ source('raw', 'orders') }}
    where len(coupon_codes) > 0
),

their_versions as (
    select
        raw_orders.channel,
        raw_orders.order_id,
        raw_orders.updated_at,
        raw_orders.coupon_codes,
        raw_orders._arrival
    from raw_orders
    inner join orders_with_codes
        on
            raw_orders.channel = orders_with_codes.channel
            and raw_orders.order_id = orders_with_codes.order_id
),

holding_versions as (
    {{ holding_arrivals('their_versions', ['channel', 'order_id']) }}
),

holding_orders as (
    select
        their_versions.channel,
        their_versions.order_id,
        their_versions.coupon_codes
    from their_versions
    inner join holding_versions on their_versions._arrival = holding_versions._arrival
),

codes as (
    {{ list_elements('holding_orders', 'coupon_codes', ['channel', 'order_id']) }}
),

order_coupons as (
    select distinct
        channel,
        order_id,
        upper(trim(element)) as matched_code
    from codes
    where trim(element) <> ''
)

select * from order_coupons
