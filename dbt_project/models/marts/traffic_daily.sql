with

visits as (
    select * from {{ ref('int_visits') }}
),

traffic_daily as (
    select
        business_date,
        channel,
        count(*) as visitors,
        count(customer_id) as known_visitors,
        cast(sum(n_sessions) as bigint) as sessions,
        count(case when steps_reached >= 1 then 1 end) as viewers,
        count(case when steps_reached = 4 then 1 end) as purchasers
    from visits
    group by business_date, channel
)

select * from traffic_daily
