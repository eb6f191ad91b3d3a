with

raw_staff as (
    select * from {{ source('raw', 'staff') }}
),

holding_versions as (
    {{ holding_arrivals('raw_staff', ['channel', 'staff_id']) }}
),

newest_staff as (
    select
        raw_staff.channel,
        raw_staff.staff_id,
        raw_staff.store_id,
        raw_staff.name_token,
        raw_staff.phone_token
    from raw_staff
    inner join holding_versions on raw_staff._arrival = holding_versions._arrival
)

select * from newest_staff
