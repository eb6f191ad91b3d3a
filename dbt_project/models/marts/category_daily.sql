with

order_events as (
    select * from {{ ref('order_events') }}
),

events_by_day as (
    select
        business_date,
        channel,
        store_id,
        category,
        sum(net_amount) as net_amount,
        0 as net_amount_cohort,
        sum(quantity) as quantity,
        sum(cost_amount) as cost_amount
    from order_events
    group by business_date, channel, store_id, category
),

events_by_day_of_sale as (
    select
        sale_business_date as business_date,
        channel,
        store_id,
        category,
        0 as net_amount,
        sum(net_amount) as net_amount_cohort,
        0 as quantity,
        0 as cost_amount
    from order_events
    group by sale_business_date, channel, store_id, category
),

figures as (
    select * from events_by_day
    union all
    select * from events_by_day_of_sale
),

category_daily as (
    select
        business_date,
        channel,
        store_id,
        category,
        cast(sum(net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(net_amount_cohort) as decimal(18, 2)) as net_amount_cohort,
        cast(sum(quantity) as decimal(18, 4)) as quantity,
        cast(sum(cost_amount) as decimal(18, 2)) as cost_amount
    from figures
    group by business_date, channel, store_id, category
)

select * from category_daily
