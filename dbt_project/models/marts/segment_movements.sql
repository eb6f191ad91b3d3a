with

customer_rfm as (
    select * from {{ ref('customer_rfm') }}
),

segment_movements as (
    select
        snapshot_date,
        previous_snapshot_date,
        previous_segment as from_segment,
        segment as to_segment,
        count(*) as customers
    from customer_rfm
    where previous_segment is not null
    group by snapshot_date, previous_snapshot_date, previous_segment, segment
)

select * from segment_movements
