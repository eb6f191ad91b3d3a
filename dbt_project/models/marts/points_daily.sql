with

points as (
    select * from {{ ref('stg_points') }}
),

channels as (
    select * from {{ source('reference', 'channels') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

points_in_their_zone as (
    select
        points.*,
        run_settings.as_of,
        coalesce(channels.timezone, run_settings.timezone) as timezone,
        coalesce(channels.business_day_cutoff, time '00:00:00') as day_begins_at
    from points
    cross join run_settings
    left join channels on points.channel = channels.channel
),

points_with_days as (
    select
        points_in_their_zone.*,
        {{ business_day_by_span(
            'points_in_their_zone.occurred_at',
            'points_in_their_zone.timezone',
            'points_in_their_zone.day_begins_at',
            'zone_offsets'
        ) }} as business_date
    from points_in_their_zone
    left join zone_offsets
        on
            points_in_their_zone.timezone = zone_offsets.timezone
            and points_in_their_zone.occurred_at >= zone_offsets.valid_from
            and points_in_their_zone.occurred_at < zone_offsets.valid_before
),

points_daily as (
    select
        business_date,
        channel,
        count(distinct member_id) as members,
        {% for column, reason, direction in [
            ('earned', 'earn', ''),
            ('green_bonus', 'green_bonus', ''),
            ('redeemed', 'redeem', '-'),
            ('expired', 'expire', '-'),
            ('adjusted', 'adjust', ''),
        ] %}
        cast(sum(case when reason = '{{ reason }}' then {{ direction }}delta else 0 end) as decimal(18, 4))
            as {{ column }},
        {% endfor %}
        cast(sum(delta) as decimal(18, 4)) as balance_change
    from points_with_days
    where business_date <= as_of
    group by business_date, channel
)

select * from points_daily
