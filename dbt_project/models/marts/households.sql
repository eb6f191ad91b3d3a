with

shared_values as (
    select * from {{ source('identity', 'households') }}
),

households as (
    select
        concat(kind, ':', coalesce(channel, ''), ':', identity) as household_id,
        customer_id,
        kind,
        channel,
        identity,
        since
    from shared_values
)

select * from households
