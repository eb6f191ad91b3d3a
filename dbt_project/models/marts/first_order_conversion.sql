with

members as (
    select * from {{ ref('stg_members') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

customers as (
    select * from {{ ref('customers') }}
),

channels as (
    select * from {{ ref('channels') }}
),

orders as (
    select * from {{ ref('orders') }}
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

members_in_their_zone as (
    select
        members.channel,
        members.member_id,
        members.registered_at,
        coalesce(channels.timezone, run_settings.timezone) as timezone,
        coalesce(channels.business_day_cutoff, time '00:00:00') as day_begins_at
    from members
    cross join run_settings
    left join channels on members.channel = channels.channel
    where members.registered_at is not null
),

memberships as (
    select
        identities.customer_id,
        members.channel,
        members.registered_at,
        {{ business_day_by_span('members.registered_at', 'members.timezone', 'members.day_begins_at', 'zone_offsets') }}
            as registered_on
    from members_in_their_zone as members
    left join zone_offsets
        on
            members.timezone = zone_offsets.timezone
            and members.registered_at >= zone_offsets.valid_from
            and members.registered_at < zone_offsets.valid_before
    inner join identities
        on
            members.channel = identities.channel
            and members.member_id = identities.identity
            and identities.kind = 'member'
    where identities.customer_id is not null
),

-- A person joins once, however many memberships follow.
joinings as (
    select
        customer_id,
        {{ first_value_by('channel', ['registered_at', 'channel']) }} as channel,
        {{ first_value_by('registered_on', ['registered_at', 'channel']) }} as registered_on,
        min(registered_at) as registered_at
    from memberships
    group by customer_id
),

first_orders as (
    select
        customer_id,
        ordered_at,
        business_date
    from orders
    where is_first_order
),

new_members as (
    select
        joinings.channel,
        {{ period_start('month', 'joinings.registered_on') }} as month,
        coalesce(
            {{ days_between('joinings.registered_on', 'first_orders.business_date') }}
            <= figure_settings.windows_first_order_days,
            false
        ) as has_ordered
    from joinings
    cross join run_settings
    cross join figure_settings
    inner join customers on joinings.customer_id = customers.customer_id
    left join first_orders on joinings.customer_id = first_orders.customer_id
    where
        joinings.registered_on <= run_settings.as_of
        and not customers.is_staff
        -- Who had bought before joining has nothing left to be won.
        and (first_orders.customer_id is null or first_orders.business_date >= joinings.registered_on)
),

months as (
    select
        month,
        channel,
        count(*) as new_members,
        count(case when has_ordered then 1 end) as with_first_order
    from new_members
    group by month, channel
),

first_order_conversion as (
    select
        months.month,
        months.channel,
        months.new_members,
        months.with_first_order,
        case
            when
                {{ days_between(period_end('month', 'months.month'), 'run_settings.as_of') }}
                >= figure_settings.windows_first_order_days
                then cast(months.with_first_order as double) / months.new_members
        end as conversion_rate
    from months
    cross join run_settings
    cross join figure_settings
)

select * from first_order_conversion
