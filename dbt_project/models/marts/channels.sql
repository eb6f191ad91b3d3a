with

configured_channels as (
    select * from {{ source('reference', 'channels') }}
),

channels as (
    select
        channel,
        name,
        kind,
        brand,
        is_online,
        timezone,
        business_day_cutoff,
        currency
    from configured_channels
)

select * from channels
