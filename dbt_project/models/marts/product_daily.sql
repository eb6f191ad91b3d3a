with

order_events as (
    select * from {{ ref('order_events') }}
),

product_daily as (
    select
        business_date,
        channel,
        store_id,
        sku,
        cast(sum(net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(quantity) as decimal(18, 4)) as quantity,
        cast(sum(case when kind = 'sale' then quantity else 0 end) as decimal(18, 4)) as quantity_sold,
        cast(sum(cost_amount) as decimal(18, 2)) as cost_amount
    from order_events
    group by business_date, channel, store_id, sku
    order by business_date
)

select * from product_daily
