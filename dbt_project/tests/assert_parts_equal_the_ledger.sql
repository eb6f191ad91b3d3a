-- Every figure that splits sales sums to sales_daily, which equals the ledger, to the cent.
with

sales_daily as (
    select * from {{ ref('sales_daily') }}
),

channels as (
    select * from {{ ref('channels') }}
),

store_attribution_daily as (
    select * from {{ ref('store_attribution_daily') }}
),

product_daily as (
    select * from {{ ref('product_daily') }}
),

orders_hourly as (
    select * from {{ ref('orders_hourly') }}
),

stores_scorecard as (
    select * from {{ ref('stores_scorecard') }}
),

stores as (
    select * from {{ ref('stores') }}
),

articles_by_day as (
    select
        business_date,
        channel,
        store_id,
        sum(net_amount) as net_amount,
        sum(quantity) as quantity
    from product_daily
    group by business_date, channel, store_id
),

hours_by_day as (
    select
        business_date,
        channel,
        store_id,
        sum(sales_net_amount) as sales_net_amount,
        sum(paid_orders) as paid_orders
    from orders_hourly
    group by business_date, channel, store_id
),

sales_of_stores as (
    select sum(sales_daily.net_amount) as net_amount
    from sales_daily
    inner join stores on sales_daily.store_id = stores.store_id
    where coalesce(stores.kind, 'store') = 'store'
),

scorecards as (
    select sum(net_amount) as net_amount from stores_scorecard
),

online_sales as (
    select
        sales_daily.business_date,
        sales_daily.channel,
        sum(sales_daily.net_amount) as net_amount
    from sales_daily
    inner join channels on sales_daily.channel = channels.channel
    where channels.is_online
    group by sales_daily.business_date, sales_daily.channel
),

attributed_sales as (
    select
        business_date,
        channel,
        sum(net_amount) as net_amount
    from store_attribution_daily
    group by business_date, channel
),

differences as (
    select
        'store_attribution_daily' as mart,
        concat_ws(' ', online_sales.business_date, online_sales.channel) as place,
        attributed_sales.net_amount as mart_amount,
        online_sales.net_amount as ledger_amount
    from attributed_sales
    full join online_sales
        on
            attributed_sales.business_date = online_sales.business_date
            and attributed_sales.channel = online_sales.channel
    where coalesce(attributed_sales.net_amount, 0) is distinct from coalesce(online_sales.net_amount, 0)

    union all

    select
        'product_daily' as mart,
        concat_ws(' ', sales_daily.business_date, sales_daily.channel, sales_daily.store_id) as place,
        articles_by_day.net_amount as mart_amount,
        sales_daily.net_amount as ledger_amount
    from articles_by_day
    full join sales_daily
        on
            articles_by_day.business_date = sales_daily.business_date
            and articles_by_day.channel = sales_daily.channel
            and articles_by_day.store_id is not distinct from sales_daily.store_id
    where
        (coalesce(articles_by_day.net_amount, 0) is distinct from sales_daily.net_amount)
        or (coalesce(articles_by_day.quantity, 0) is distinct from sales_daily.quantity)

    union all

    select
        'orders_hourly' as mart,
        concat_ws(' ', sales_daily.business_date, sales_daily.channel, sales_daily.store_id) as place,
        hours_by_day.sales_net_amount as mart_amount,
        sales_daily.sales_net_amount as ledger_amount
    from hours_by_day
    full join sales_daily
        on
            hours_by_day.business_date = sales_daily.business_date
            and hours_by_day.channel = sales_daily.channel
            and hours_by_day.store_id is not distinct from sales_daily.store_id
    where
        (coalesce(hours_by_day.sales_net_amount, 0) is distinct from sales_daily.sales_net_amount)
        or (coalesce(hours_by_day.paid_orders, 0) is distinct from sales_daily.paid_orders)

    union all

    select
        'stores_scorecard' as mart,
        'all stores' as place,
        scorecards.net_amount as mart_amount,
        sales_of_stores.net_amount as ledger_amount
    from scorecards
    cross join sales_of_stores
    where coalesce(scorecards.net_amount, 0) is distinct from coalesce(sales_of_stores.net_amount, 0)
)

select * from differences
