with

events as (
    select * from {{ ref('stg_events') }}
),

channels as (
    select * from {{ source('reference', 'channels') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

stores as (
    select * from {{ ref('stores') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

customers as (
    select * from {{ ref('customers') }}
),

-- A message that was opened elsewhere is no visit of the channel.
events_in_their_zone as (
    select
        events.*,
        run_settings.as_of,
        coalesce(stores.timezone, channels.timezone, run_settings.timezone) as timezone,
        coalesce(channels.business_day_cutoff, time '00:00:00') as day_begins_at,
        coalesce(identities.customer_id, 'member ' || events.member_id) as person,
        identities.customer_id
    from events
    cross join run_settings
    left join channels on events.channel = channels.channel
    left join stores on events.store_id = stores.store_id
    left join identities
        on
            events.channel = identities.channel
            and events.member_id = identities.identity
            and identities.kind = 'member'
    where
        events.type not in ('message_open', 'message_click')
        and coalesce(events.member_id, events.device, events.session_id) is not null
),

events_with_days as (
    select
        events_in_their_zone.*,
        coalesce(events_in_their_zone.device, 'session ' || events_in_their_zone.session_id) as seen_as,
        {{ business_day_by_span(
            'events_in_their_zone.occurred_at',
            'events_in_their_zone.timezone',
            'events_in_their_zone.day_begins_at',
            'zone_offsets'
        ) }} as business_date
    from events_in_their_zone
    left join zone_offsets
        on
            events_in_their_zone.timezone = zone_offsets.timezone
            and events_in_their_zone.occurred_at >= zone_offsets.valid_from
            and events_in_their_zone.occurred_at < zone_offsets.valid_before
),

events_until_as_of as (
    select * from events_with_days
    where business_date <= as_of
),

-- Who signs in half-way is one visitor, not two; a device that several persons used on the day tells nothing.
owned_devices as (
    select
        business_date,
        channel,
        seen_as,
        min(person) as person,
        min(customer_id) as customer_id
    from events_until_as_of
    where
        person is not null
        and seen_as is not null
    group by business_date, channel, seen_as
    having count(distinct person) = 1
),

events_by_visitor as (
    select
        events_until_as_of.business_date,
        events_until_as_of.channel,
        events_until_as_of.occurred_at,
        events_until_as_of.type,
        events_until_as_of.session_id,
        events_until_as_of.store_id,
        coalesce(
            events_until_as_of.person, owned_devices.person, 'device ' || events_until_as_of.seen_as
        ) as visitor,
        coalesce(events_until_as_of.customer_id, owned_devices.customer_id) as customer_id,
        case events_until_as_of.type
            when 'product_view' then '1'
            when 'add_to_cart' then '2'
            when 'checkout' then '3'
            when 'purchase' then '4'
        end as step
    from events_until_as_of
    left join owned_devices
        on
            events_until_as_of.person is null
            and events_until_as_of.business_date = owned_devices.business_date
            and events_until_as_of.channel = owned_devices.channel
            and events_until_as_of.seen_as = owned_devices.seen_as
),

visitor_days as (
    select
        business_date,
        channel,
        visitor,
        min(customer_id) as customer_id,
        count(*) as n_events,
        greatest(1, count(distinct session_id)) as n_sessions,
        min(occurred_at) as began_at,
        max(occurred_at) as ended_at,
        -- Of one instant the earlier step comes first.
        {{ joined_text('step', ['occurred_at', 'step']) }} as steps,
        {{ last_value_by(
            'store_id', ['occurred_at', 'store_id'], condition="type = 'scan_qr' and store_id is not null"
        ) }} as scanned_store_id,
        max(case when type = 'scan_qr' and store_id is not null then occurred_at end) as scanned_at
    from events_by_visitor
    group by business_date, channel, visitor
),

visits as (
    select
        visitor_days.business_date,
        visitor_days.channel,
        visitor_days.visitor,
        visitor_days.customer_id,
        visitor_days.n_sessions,
        visitor_days.scanned_store_id,
        visitor_days.scanned_at,
        case
            when visitor_days.steps like '%1%2%3%4%' then 4
            when visitor_days.steps like '%1%2%3%' then 3
            when visitor_days.steps like '%1%2%' then 2
            when visitor_days.steps like '%1%' then 1
            else 0
        end as steps_reached
    from visitor_days
    cross join figure_settings
    left join customers on visitor_days.customer_id = customers.customer_id
    where
        not coalesce(customers.is_staff, false)
        and visitor_days.n_events <= figure_settings.funnel_bot_events_a_day
        and (
            visitor_days.n_events <= figure_settings.funnel_bot_events_a_minute
            or visitor_days.n_events
            <= figure_settings.funnel_bot_events_a_minute
            * (1 + {{ minutes_between('visitor_days.began_at', 'visitor_days.ended_at') }})
        )
)

select * from visits
