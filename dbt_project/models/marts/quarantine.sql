with

rejected_rows as (
    select * from {{ source('ops', 'quarantine') }}
),

quarantine as (
    select
        cast(quarantine_id as varchar) as quarantine_id,
        channel,
        feed,
        file,
        cast(line as bigint) as line,
        column_name,
        reason,
        cast(received_at as timestamp) as received_at,
        cast(replayed_at as timestamp) as replayed_at
    from rejected_rows
)

select * from quarantine
