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
)

select * from differences
