with

order_events as (
    select * from {{ ref('order_events') }}
),

orders as (
    select * from {{ ref('orders') }}
),

-- Operating series: every event on its own day.
events_by_day as (
    select
        business_date,
        channel,
        store_id,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(net_amount) as net_amount,
        0 as net_amount_cohort,
        sum(case when kind = 'sale' then net_amount else 0 end) as sales_net_amount,
        sum(case when is_member_order then net_amount else 0 end) as member_net_amount,
        sum(case when customer_id is not null then net_amount else 0 end) as identified_net_amount,
        sum(tax_amount) as tax_amount,
        sum(cost_amount) as cost_amount,
        sum(quantity) as quantity,
        0 as orders,
        0 as paid_orders,
        0 as customers,
        0 as new_customers,
        case when min(currency) = max(currency) then min(currency) end as currency,
        case when min(currency) = max(currency) then sum(net_amount_local) end as net_amount_local
    from order_events
    group by business_date, channel, store_id
),

-- Cohort series: every event on the day of the sale that it belongs to.
events_by_day_of_sale as (
    select
        sale_business_date as business_date,
        channel,
        store_id,
        0 as gross_amount,
        0 as discount_amount,
        0 as net_amount,
        sum(net_amount) as net_amount_cohort,
        0 as sales_net_amount,
        0 as member_net_amount,
        0 as identified_net_amount,
        0 as tax_amount,
        0 as cost_amount,
        0 as quantity,
        0 as orders,
        0 as paid_orders,
        0 as customers,
        0 as new_customers,
        cast(null as varchar) as currency,
        cast(null as decimal(18, 2)) as net_amount_local
    from order_events
    group by sale_business_date, channel, store_id
),

orders_by_day as (
    select
        business_date,
        channel,
        store_id,
        0 as gross_amount,
        0 as discount_amount,
        0 as net_amount,
        0 as net_amount_cohort,
        0 as sales_net_amount,
        0 as member_net_amount,
        0 as identified_net_amount,
        0 as tax_amount,
        0 as cost_amount,
        0 as quantity,
        count(*) as orders,
        sum(case when is_paid and has_merchandise then 1 else 0 end) as paid_orders,
        count(distinct case when is_qualified then customer_id end) as customers,
        count(distinct case when is_first_order then customer_id end) as new_customers,
        cast(null as varchar) as currency,
        cast(null as decimal(18, 2)) as net_amount_local
    from orders
    where not is_test
    group by business_date, channel, store_id
),

figures as (
    select * from events_by_day
    union all
    select * from events_by_day_of_sale
    union all
    select * from orders_by_day
),

sales_daily as (
    select
        business_date,
        channel,
        store_id,
        cast(sum(gross_amount) as decimal(18, 2)) as gross_amount,
        cast(sum(discount_amount) as decimal(18, 2)) as discount_amount,
        cast(sum(net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(net_amount_cohort) as decimal(18, 2)) as net_amount_cohort,
        cast(sum(sales_net_amount) as decimal(18, 2)) as sales_net_amount,
        cast(sum(member_net_amount) as decimal(18, 2)) as member_net_amount,
        cast(sum(identified_net_amount) as decimal(18, 2)) as identified_net_amount,
        cast(sum(tax_amount) as decimal(18, 2)) as tax_amount,
        cast(sum(cost_amount) as decimal(18, 2)) as cost_amount,
        cast(sum(quantity) as decimal(18, 4)) as quantity,
        cast(sum(orders) as bigint) as orders,
        cast(sum(paid_orders) as bigint) as paid_orders,
        cast(sum(customers) as bigint) as customers,
        cast(sum(new_customers) as bigint) as new_customers,
        max(currency) as currency,
        cast(sum(net_amount_local) as decimal(18, 2)) as net_amount_local
    from figures
    group by business_date, channel, store_id
)

select * from sales_daily
