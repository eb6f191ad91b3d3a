with

channels as (
    select * from {{ source('reference', 'channels') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

stores as (
    select * from {{ ref('stg_stores') }}
),

zones as (
    select timezone from channels
    union distinct
    select timezone from stores
    union distinct
    select timezone from run_settings
),

days as (
    {{ days_around('run_settings', 'as_of', years_before=20, years_after=2) }}
),

offsets_at_midnight as (
    select
        zones.timezone,
        days.day,
        {{ utc_offset('days.day', 'zones.timezone') }} as utc_offset
    from zones
    cross join days
    where zones.timezone is not null
),

offsets_around_days as (
    select
        *,
        lead(day) over (partition by timezone order by day) as next_day,
        lead(utc_offset) over (partition by timezone order by day) as next_offset
    from offsets_at_midnight
),

-- A day on which the clocks change has two offsets and belongs to no span.
steady_days as (
    select
        *,
        {{ days_between("date '2000-01-01'", 'day') }}
        - row_number() over (partition by timezone, utc_offset order by day) as span_no
    from offsets_around_days
    where utc_offset = next_offset
),

zone_offsets as (
    select
        timezone,
        utc_offset,
        cast(min(day) as timestamp) as valid_from,
        cast(max(next_day) as timestamp) as valid_before
    from steady_days
    group by timezone, utc_offset, span_no
)

select * from zone_offsets
