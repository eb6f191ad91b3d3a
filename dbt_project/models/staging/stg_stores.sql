with

raw_stores as (
    select * from {{ source('raw', 'stores') }}
),

timezones as (
    {{ known_timezones() }}
),

holding_versions as (
    {{ holding_arrivals('raw_stores', ['channel', 'store_id']) }}
),

newest_stores as (
    select
        raw_stores.channel,
        raw_stores.store_id,
        raw_stores.updated_at,
        raw_stores.name,
        raw_stores.kind,
        raw_stores.brand,
        raw_stores.province,
        raw_stores.city,
        raw_stores.latitude,
        raw_stores.longitude,
        raw_stores.selling_area_m2,
        raw_stores.opened_on,
        raw_stores.closed_on,
        timezones.timezone
    from raw_stores
    inner join holding_versions on raw_stores._arrival = holding_versions._arrival
    left join timezones on raw_stores.timezone = timezones.timezone
)

select * from newest_stores
