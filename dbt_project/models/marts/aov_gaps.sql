with

order_events as (
    select * from {{ ref('order_events') }}
),

channels as (
    select * from {{ ref('channels') }}
),

sales_by_category as (
    select
        channel,
        order_id,
        sale_business_date,
        category,
        sum(net_amount) as net_amount
    from order_events
    where kind = 'sale'
    group by channel, order_id, sale_business_date, category
),

-- What an order is mostly made of stands for what it is about.
orders_by_category as (
    select
        channel,
        order_id,
        sale_business_date,
        {{ last_value_by('category', ['net_amount', 'category']) }} as category,
        sum(net_amount) as net_amount
    from sales_by_category
    group by channel, order_id, sale_business_date
),

figures as (
    select
        {{ period_start('month', 'orders_by_category.sale_business_date') }} as month,
        orders_by_category.category,
        sum(case when channels.is_online then orders_by_category.net_amount else 0 end) as online_amount,
        sum(case when channels.is_online then 0 else orders_by_category.net_amount end) as store_amount,
        count(case when channels.is_online then 1 end) as online_orders,
        count(case when not channels.is_online then 1 end) as store_orders
    from orders_by_category
    inner join channels on orders_by_category.channel = channels.channel
    group by {{ period_start('month', 'orders_by_category.sale_business_date') }}, orders_by_category.category
),

months as (
    select
        month,
        sum(online_amount) as online_amount,
        sum(store_amount) as store_amount,
        sum(online_orders) as online_orders,
        sum(store_orders) as store_orders,
        sum(case when online_orders > 0 and store_orders > 0 then store_orders end) as compared_orders,
        sum(case when online_orders > 0 and store_orders > 0 then store_amount end) as compared_amount,
        -- Online orders as if they were made of the stores' mix of categories.
        sum(
            case
                when online_orders > 0 and store_orders > 0
                    then store_orders * cast(online_amount as double) / online_orders
            end
        ) as adjusted_online_amount
    from figures
    group by month
),

aov_gaps as (
    select
        month,
        cast(online_orders as bigint) as online_orders,
        cast(store_orders as bigint) as store_orders,
        cast({{ mean_money('online_amount', 'online_orders') }} as decimal(18, 2)) as online_aov,
        cast({{ mean_money('store_amount', 'store_orders') }} as decimal(18, 2)) as store_aov,
        case
            when online_orders > 0 and store_orders > 0 and store_amount > 0
                then cast(online_amount as double) / online_orders / (cast(store_amount as double) / store_orders) - 1
        end as gap,
        case when compared_amount > 0 then adjusted_online_amount / cast(compared_amount as double) - 1 end
            as mix_adjusted_gap,
        cast(compared_orders as double) / nullif(store_orders, 0) as compared_share
    from months
)

select * from aov_gaps
