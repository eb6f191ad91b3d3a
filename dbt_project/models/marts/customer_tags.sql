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

customer_tags as (
    select
        customer_id,
        'segment' as tag,
        segment as value,
        segment_since as since,
        'rfm' as source
    from current_snapshot
    union all
    select
        customer_id,
        'lifecycle' as tag,
        lifecycle as value,
        lifecycle_since as since,
        'lifecycle' as source
    from current_snapshot
)

select * from customer_tags
