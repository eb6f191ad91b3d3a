with

unknown_columns as (
    select * from {{ source('ops', 'drift') }}
),

drift as (
    select
        feed,
        channel,
        column_name,
        cast(first_seen_at as timestamp) as first_seen_at,
        cast(batches as bigint) as batches,
        cast(rows as bigint) as rows
    from unknown_columns
)

select * from drift
