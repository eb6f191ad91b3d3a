with

orders as (
    select * from {{ ref('orders') }}
),

channels as (
    select * from {{ ref('channels') }}
),

stores as (
    select * from {{ ref('stores') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

paid_orders as (
    select
        orders.business_date,
        orders.channel,
        orders.store_id,
        orders.ordered_at,
        orders.net_amount,
        coalesce(stores.timezone, channels.timezone, run_settings.timezone) as timezone
    from orders
    cross join run_settings
    left join channels on orders.channel = channels.channel
    left join stores on orders.store_id = stores.store_id
    where
        orders.is_paid
        and orders.has_merchandise
        and not orders.is_test
),

orders_with_hours as (
    select
        paid_orders.business_date,
        paid_orders.channel,
        paid_orders.store_id,
        paid_orders.net_amount,
        {{ local_hour_by_span('paid_orders.ordered_at', 'paid_orders.timezone', 'zone_offsets') }} as hour
    from paid_orders
    left join zone_offsets
        on
            paid_orders.timezone = zone_offsets.timezone
            and paid_orders.ordered_at >= zone_offsets.valid_from
            and paid_orders.ordered_at < zone_offsets.valid_before
),

orders_hourly as (
    select
        business_date,
        channel,
        store_id,
        cast(hour as integer) as hour,
        count(*) as paid_orders,
        cast(sum(net_amount) as decimal(18, 2)) as sales_net_amount
    from orders_with_hours
    group by business_date, channel, store_id, hour
)

select * from orders_hourly
