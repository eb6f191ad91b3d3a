with

customer_rfm as (
    select * from {{ ref('customer_rfm') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

current_snapshot as (
    select customer_rfm.*
    from customer_rfm
    inner join run_settings on customer_rfm.snapshot_date = run_settings.as_of
),

segment_members as (
    select
        segment,
        customer_id,
        segment_since as since
    from current_snapshot
    union all
    select
        lifecycle as segment,
        customer_id,
        lifecycle_since as since
    from current_snapshot
)

select * from segment_members
