with

points as (
    select * from {{ ref('stg_points') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

entries as (
    select
        points.channel,
        points.member_id,
        points.entry_id,
        points.delta,
        cast(points.occurred_at as date) as occurred_on
    from points
    cross join run_settings
    where cast(points.occurred_at as date) <= run_settings.as_of
),

used_points as (
    select
        channel,
        member_id,
        sum(-delta) as used
    from entries
    where delta < 0
    group by channel, member_id
),

grants as (
    select
        channel,
        member_id,
        occurred_on,
        delta,
        sum(delta) over (
            partition by channel, member_id order by occurred_on, entry_id rows unbounded preceding
        ) as granted_so_far
    from entries
    where delta > 0
),

-- First earned, first used: what is left of a grant is what all grants up to it exceed the used points by.
remains as (
    select
        grants.channel,
        grants.member_id,
        cast({{ days_later('grants.occurred_on', 'figure_settings.windows_points_days') }} as date) as expires_on,
        least(grants.delta, grants.granted_so_far - coalesce(used_points.used, 0)) as points_left
    from grants
    cross join figure_settings
    left join used_points
        on
            grants.channel = used_points.channel
            and grants.member_id = used_points.member_id
),

points_expiring as (
    select
        remains.channel,
        {{ period_start('month', 'remains.expires_on') }} as month,
        remains.expires_on <= run_settings.as_of as is_overdue,
        count(distinct remains.member_id) as members,
        cast(sum(remains.points_left) as decimal(18, 4)) as points
    from remains
    cross join run_settings
    where remains.points_left > 0
    group by
        remains.channel,
        {{ period_start('month', 'remains.expires_on') }},
        remains.expires_on <= run_settings.as_of
)

select * from points_expiring
