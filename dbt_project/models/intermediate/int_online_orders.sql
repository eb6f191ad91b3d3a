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

members as (
    select * from {{ ref('stg_members') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

customers as (
    select * from {{ ref('customers') }}
),

staff as (
    select * from {{ ref('stg_staff') }}
),

visits as (
    select * from {{ ref('int_visits') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

-- One number of staff may come from several channels: the shared record speaks for all.
staff_stores as (
    select
        staff_id,
        {{ first_value_by('store_id', ["case when channel = '_shared' then 0 else 1 end", 'channel']) }} as store_id
    from staff
    where store_id is not null
    group by staff_id
),

customer_cities as (
    select
        identities.customer_id,
        {{ last_value_by('city', ['members.updated_at', 'members.member_key']) }} as city
    from members
    inner join identities
        on
            members.channel = identities.channel
            and members.member_id = identities.identity
            and identities.kind = 'member'
    where
        members.city is not null
        and not members.is_deleted
        and identities.customer_id is not null
    group by identities.customer_id
),

paid_orders as (
    select
        orders.channel,
        orders.order_id,
        orders.customer_id,
        orders.business_date,
        orders.ordered_at,
        orders.fulfilment,
        orders.staff_id,
        orders.is_cancelled,
        orders.pickup_ready_at,
        orders.picked_up_at,
        -- A pickup whose record names one store alone is fetched there.
        case
            when orders.fulfilment in ('pickup', 'ship_from_store', 'same_city')
                then coalesce(orders.fulfil_store_id, orders.store_id)
        end as handing_store_id
    from orders
    inner join channels on orders.channel = channels.channel
    where
        channels.is_online
        and orders.is_paid
        and orders.has_merchandise
        and not orders.is_test
),

scans as (
    select
        customer_id,
        scanned_store_id,
        scanned_at
    from visits
    where
        customer_id is not null
        and scanned_store_id is not null
),

scans_before_orders as (
    select
        paid_orders.channel,
        paid_orders.order_id,
        {{ last_value_by('scans.scanned_store_id', ['scans.scanned_at', 'scans.scanned_store_id']) }} as store_id
    from paid_orders
    cross join figure_settings
    inner join scans
        on
            paid_orders.customer_id = scans.customer_id
            and paid_orders.ordered_at >= scans.scanned_at
            and paid_orders.ordered_at
            <= {{ days_later('scans.scanned_at', 'figure_settings.windows_scan_days') }}
    group by paid_orders.channel, paid_orders.order_id
),

placed_orders as (
    select
        paid_orders.*,
        customers.home_store_id,
        staff_stores.store_id as staff_store_id,
        scans_before_orders.store_id as scanned_store_id,
        {{ city_key('customer_cities.city') }} as customer_city,
        {{ city_key('stores.city') }} as store_city,
        coalesce(stores.timezone, channels.timezone, run_settings.timezone) as timezone,
        coalesce(channels.business_day_cutoff, time '00:00:00') as day_begins_at
    from paid_orders
    cross join run_settings
    inner join channels on paid_orders.channel = channels.channel
    left join stores on paid_orders.handing_store_id = stores.store_id
    left join customers on paid_orders.customer_id = customers.customer_id
    left join customer_cities on paid_orders.customer_id = customer_cities.customer_id
    left join staff_stores on paid_orders.staff_id = staff_stores.staff_id
    left join scans_before_orders
        on
            paid_orders.channel = scans_before_orders.channel
            and paid_orders.order_id = scans_before_orders.order_id
),

orders_with_pickup_days as (
    select
        placed_orders.*,
        {{ business_day_by_span(
            'placed_orders.pickup_ready_at', 'placed_orders.timezone', 'placed_orders.day_begins_at', 'zone_offsets'
        ) }} as ready_on,
        {{ business_day_by_span(
            'placed_orders.picked_up_at', 'placed_orders.timezone', 'placed_orders.day_begins_at', 'zone_offsets'
        ) }} as picked_up_on
    from placed_orders
    left join zone_offsets
        on
            placed_orders.timezone = zone_offsets.timezone
            and placed_orders.ordered_at >= zone_offsets.valid_from
            and placed_orders.ordered_at < zone_offsets.valid_before
),

online_orders as (
    select
        orders_with_pickup_days.channel,
        orders_with_pickup_days.order_id,
        orders_with_pickup_days.customer_id,
        orders_with_pickup_days.business_date,
        orders_with_pickup_days.fulfilment,
        orders_with_pickup_days.handing_store_id,
        orders_with_pickup_days.home_store_id,
        orders_with_pickup_days.staff_store_id,
        orders_with_pickup_days.scanned_store_id,
        coalesce(orders_with_pickup_days.staff_store_id, orders_with_pickup_days.scanned_store_id)
            as guiding_store_id,
        orders_with_pickup_days.customer_city,
        orders_with_pickup_days.store_city,
        -- Where an order is fetched, there it belongs; any other belongs to where the customer lives.
        case
            when orders_with_pickup_days.fulfilment in ('pickup', 'same_city')
                then coalesce(orders_with_pickup_days.store_city, orders_with_pickup_days.customer_city)
            else orders_with_pickup_days.customer_city
        end as city,
        case
            when coalesce(orders_with_pickup_days.fulfilment, '') != 'pickup' then null
            when orders_with_pickup_days.picked_up_on <= run_settings.as_of then 'picked_up'
            when orders_with_pickup_days.is_cancelled then 'cancelled'
            when
                {{ days_between('orders_with_pickup_days.ready_on', 'run_settings.as_of') }}
                > figure_settings.windows_pickup_days
                then 'expired'
            else 'waiting'
        end as pickup_state,
        case
            when orders_with_pickup_days.picked_up_on <= run_settings.as_of
                then {{ minutes_between(
                    'orders_with_pickup_days.pickup_ready_at', 'orders_with_pickup_days.picked_up_at'
                ) }}
        end as minutes_to_pickup
    from orders_with_pickup_days
    cross join run_settings
    cross join figure_settings
)

select * from online_orders
