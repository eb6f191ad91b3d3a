with

raw_events as (
    select * from {{ source('raw', 'events') }}
),

-- Named once more, since a CTE read twice is kept whole.
holding_versions as (
    {{ holding_arrivals(source('raw', 'events'), ['channel', 'event_id'], version=none) }}
),

events as (
    select
        raw_events.channel,
        raw_events.event_id,
        raw_events.occurred_at,
        raw_events.type,
        raw_events.member_id,
        raw_events.session_id,
        raw_events.store_id,
        coalesce(raw_events.device_token, raw_events.anonymous_token) as device
    from raw_events
    inner join holding_versions on raw_events._arrival = holding_versions._arrival
)

select * from events
