with

newest_orders as (
    select * from {{ ref('stg_orders') }}
),

channels as (
    select * from {{ source('reference', 'channels') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

stores as (
    select * from {{ ref('stg_stores') }}
),

order_customers as (
    select * from {{ source('identity', 'order_customers') }}
),

fx_rates as (
    select * from {{ ref('stg_fx_rates') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

orders_in_their_zone as (
    select
        newest_orders.*,
        run_settings.as_of,
        coalesce(own_stores.timezone, shared_stores.timezone, channels.timezone, run_settings.timezone) as timezone,
        coalesce(channels.business_day_cutoff, time '00:00:00') as day_begins_at,
        newest_orders.paid_at is not null
        or newest_orders.status in ('paid', 'shipped', 'completed', 'refunded', 'partially_refunded') as was_paid,
        case
            when newest_orders.status = 'cancelled' then coalesce(newest_orders.cancelled_at, newest_orders.updated_at)
        end as reversed_at
    from newest_orders
    cross join run_settings
    left join channels on newest_orders.channel = channels.channel
    left join stores as own_stores
        on
            newest_orders.channel = own_stores.channel
            and newest_orders.store_id = own_stores.store_id
    left join stores as shared_stores
        on
            shared_stores.channel = '_shared'
            and newest_orders.store_id = shared_stores.store_id
),

orders_with_days as (
    select
        orders_in_their_zone.*,
        {{ business_day_by_span('placed_at', 'orders_in_their_zone.timezone', 'day_begins_at', 'zone_offsets') }}
            as placed_on,
        {{ business_day_by_span(
            'coalesce(paid_at, placed_at)', 'orders_in_their_zone.timezone', 'day_begins_at', 'zone_offsets'
        ) }} as paid_on,
        {{ business_day_by_span('reversed_at', 'orders_in_their_zone.timezone', 'day_begins_at', 'zone_offsets') }}
            as reversed_on,
        {{ business_day_by_span('completed_at', 'orders_in_their_zone.timezone', 'day_begins_at', 'zone_offsets') }}
            as completed_on
    from orders_in_their_zone
    left join zone_offsets
        on
            orders_in_their_zone.timezone = zone_offsets.timezone
            and orders_in_their_zone.placed_at >= zone_offsets.valid_from
            and orders_in_their_zone.placed_at < zone_offsets.valid_before
),

-- What happened after the as-of date is undone: a payment, a completion, a cancellation.
orders_as_of as (
    select
        *,
        was_paid and paid_on <= as_of as is_paid,
        coalesce(reversed_on <= as_of, false) as is_cancelled
    from orders_with_days
),

dated_orders as (
    select
        *,
        case when is_paid then coalesce(paid_at, placed_at) else placed_at end as ordered_at,
        case when is_paid then paid_on else placed_on end as business_date,
        case
            when was_paid and not is_paid then 'pending'
            when status = 'cancelled' and not is_cancelled and is_paid then 'paid'
            when status = 'cancelled' and not is_cancelled then 'pending'
            when status = 'completed' and completed_on > as_of then 'paid'
            else status
        end as status_as_of
    from orders_as_of
),

orders_until_as_of as (
    select * from dated_orders
    where business_date <= as_of
),

orders as (
    select
        orders_until_as_of.order_key,
        orders_until_as_of.batch_id,
        orders_until_as_of.channel,
        orders_until_as_of.order_id,
        order_customers.customer_id,
        orders_until_as_of.store_id,
        orders_until_as_of.fulfil_store_id,
        orders_until_as_of.fulfilment,
        orders_until_as_of.staff_id,
        orders_until_as_of.campaign_id,
        orders_until_as_of.status_as_of as status,
        orders_until_as_of.placed_at,
        orders_until_as_of.ordered_at,
        orders_until_as_of.business_date,
        orders_until_as_of.updated_at,
        orders_until_as_of.pickup_ready_at,
        orders_until_as_of.picked_up_at,
        orders_until_as_of.completed_on,
        orders_until_as_of.timezone,
        orders_until_as_of.day_begins_at,
        orders_until_as_of.currency,
        fx_rates.rate as fx_rate,
        orders_until_as_of.order_discount_amount,
        orders_until_as_of.shipping_amount,
        orders_until_as_of.paid_amount,
        orders_until_as_of.exchange_of,
        orders_until_as_of.is_paid,
        orders_until_as_of.is_cancelled,
        orders_until_as_of.is_test,
        orders_until_as_of.is_staff,
        orders_until_as_of.is_exchange,
        orders_until_as_of.as_of,
        orders_until_as_of.member_id is not null as is_member_order,
        case when orders_until_as_of.is_cancelled then orders_until_as_of.reversed_at end as cancelled_at,
        case when orders_until_as_of.is_cancelled then orders_until_as_of.reversed_on end as cancelled_on
    from orders_until_as_of
    left join order_customers
        on
            orders_until_as_of.channel = order_customers.channel
            and orders_until_as_of.order_id = order_customers.order_id
    left join fx_rates
        on
            orders_until_as_of.currency = fx_rates.currency
            and orders_until_as_of.business_date >= fx_rates.valid_from
            and orders_until_as_of.business_date < fx_rates.valid_before
)

select * from orders
