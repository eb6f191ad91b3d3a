with

raw_points as (
    select * from {{ source('raw', 'points') }}
),

holding_versions as (
    {{ holding_arrivals('raw_points', ['channel', 'entry_id'], version=none) }}
),

points as (
    select
        raw_points.channel,
        raw_points.entry_id,
        raw_points.member_id,
        raw_points.occurred_at,
        raw_points.delta,
        coalesce(raw_points.reason, case when raw_points.delta > 0 then 'earn' else 'redeem' end) as reason
    from raw_points
    inner join holding_versions on raw_points._arrival = holding_versions._arrival
)

select * from points
