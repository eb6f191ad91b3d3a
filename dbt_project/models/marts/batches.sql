with

taken_batches as (
    select * from {{ source('ops', 'batches') }}
),

batches as (
    select
        cast(batch_id as varchar) as batch_id,
        run_id,
        channel,
        feed,
        file,
        cast(rows_received as bigint) as rows_received,
        cast(rows_accepted as bigint) as rows_accepted,
        cast(rows_quarantined as bigint) as rows_quarantined,
        cast(taken_at as timestamp) as taken_at
    from taken_batches
)

select * from batches
