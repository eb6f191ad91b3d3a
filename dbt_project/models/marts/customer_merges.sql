with

logged_events as (
    select * from {{ source('identity', 'merges') }}
),

customer_merges as (
    select
        cast(event_id as varchar) as event_id,
        "at",
        kind,
        from_customer_id,
        into_customer_id,
        cause,
        evidence,
        logged_at
    from logged_events
)

select * from customer_merges
