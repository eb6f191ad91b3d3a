with

started_runs as (
    select * from {{ source('ops', 'runs') }}
),

runs as (
    select
        run_id,
        cast(started_at as timestamp) as started_at,
        cast(finished_at as timestamp) as finished_at,
        cast(as_of as date) as as_of,
        status,
        cast(rows_received as bigint) as rows_received,
        cast(rows_accepted as bigint) as rows_accepted,
        cast(rows_quarantined as bigint) as rows_quarantined,
        snapshot_id
    from started_runs
)

select * from runs
