-- Every mart that shows money sums to the order events, to the cent, in both series.
with

order_events as (
    select * from {{ ref('order_events') }}
),

orders as (
    select * from {{ ref('orders') }}
),

sales_daily as (
    select * from {{ ref('sales_daily') }}
),

category_daily as (
    select * from {{ ref('category_daily') }}
),

customer_rfm as (
    select * from {{ ref('customer_rfm') }}
),

run_settings as (
    select * from {{ ref('run_settings') }}
),

ledger_by_day as (
    select
        business_date,
        channel,
        store_id,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(net_amount) as net_amount
    from order_events
    group by business_date, channel, store_id
),

ledger_by_day_of_sale as (
    select
        sale_business_date as business_date,
        channel,
        store_id,
        sum(net_amount) as net_amount
    from order_events
    group by sale_business_date, channel, store_id
),

categories_by_day as (
    select
        business_date,
        channel,
        store_id,
        sum(net_amount) as net_amount,
        sum(net_amount_cohort) as net_amount_cohort
    from category_daily
    group by business_date, channel, store_id
),

ledger_by_order as (
    select
        channel,
        order_id,
        sum(case when kind = 'sale' then net_amount else 0 end) as net_amount,
        sum(case when kind = 'return' then -net_amount else 0 end) as refunded_amount,
        sum(case when kind = 'cancel' then -net_amount else 0 end) as cancelled_amount
    from order_events
    group by channel, order_id
),

ledger_by_customer as (
    select
        orders.customer_id,
        sum(order_events.net_amount) as net_amount
    from order_events
    inner join orders
        on
            order_events.channel = orders.channel
            and order_events.order_id = orders.order_id
    where
        orders.is_qualified
        and orders.customer_id is not null
    group by orders.customer_id
),

current_rfm as (
    select customer_rfm.*
    from customer_rfm
    inner join run_settings on customer_rfm.snapshot_date = run_settings.as_of
),

differences as (
    select
        'sales_daily, operating' as mart,
        concat_ws(' ', sales_daily.business_date, sales_daily.channel, sales_daily.store_id) as place,
        sales_daily.net_amount as mart_amount,
        coalesce(ledger_by_day.net_amount, 0) as ledger_amount
    from sales_daily
    full join ledger_by_day
        on
            sales_daily.business_date = ledger_by_day.business_date
            and sales_daily.channel = ledger_by_day.channel
            and sales_daily.store_id is not distinct from ledger_by_day.store_id
    where
        (sales_daily.net_amount is distinct from coalesce(ledger_by_day.net_amount, 0))
        or (sales_daily.gross_amount is distinct from coalesce(ledger_by_day.gross_amount, 0))
        or (sales_daily.discount_amount is distinct from coalesce(ledger_by_day.discount_amount, 0))

    union all

    select
        'sales_daily, cohort' as mart,
        concat_ws(' ', sales_daily.business_date, sales_daily.channel, sales_daily.store_id) as place,
        sales_daily.net_amount_cohort as mart_amount,
        coalesce(ledger_by_day_of_sale.net_amount, 0) as ledger_amount
    from sales_daily
    full join ledger_by_day_of_sale
        on
            sales_daily.business_date = ledger_by_day_of_sale.business_date
            and sales_daily.channel = ledger_by_day_of_sale.channel
            and sales_daily.store_id is not distinct from ledger_by_day_of_sale.store_id
    where sales_daily.net_amount_cohort is distinct from coalesce(ledger_by_day_of_sale.net_amount, 0)

    union all

    select
        'category_daily, both series' as mart,
        concat_ws(' ', sales_daily.business_date, sales_daily.channel, sales_daily.store_id) as place,
        categories_by_day.net_amount as mart_amount,
        sales_daily.net_amount as ledger_amount
    from categories_by_day
    full join sales_daily
        on
            categories_by_day.business_date = sales_daily.business_date
            and categories_by_day.channel = sales_daily.channel
            and categories_by_day.store_id is not distinct from sales_daily.store_id
    where
        (coalesce(categories_by_day.net_amount, 0) is distinct from sales_daily.net_amount)
        or (coalesce(categories_by_day.net_amount_cohort, 0) is distinct from sales_daily.net_amount_cohort)

    union all

    select
        'orders' as mart,
        concat_ws(' ', orders.channel, orders.order_id) as place,
        orders.net_amount - orders.refunded_amount as mart_amount,
        ledger_by_order.net_amount - ledger_by_order.refunded_amount as ledger_amount
    from orders
    full join ledger_by_order
        on
            orders.channel = ledger_by_order.channel
            and orders.order_id = ledger_by_order.order_id
    where
        (orders.net_amount is distinct from coalesce(ledger_by_order.net_amount, 0))
        or (orders.refunded_amount is distinct from coalesce(ledger_by_order.refunded_amount, 0))
        or (
            case when orders.is_cancelled then orders.net_amount else 0 end
            is distinct from coalesce(ledger_by_order.cancelled_amount, 0)
        )

    union all

    select
        'customer_rfm' as mart,
        coalesce(current_rfm.customer_id, ledger_by_customer.customer_id) as place,
        current_rfm.monetary as mart_amount,
        ledger_by_customer.net_amount as ledger_amount
    from current_rfm
    full join ledger_by_customer on current_rfm.customer_id = ledger_by_customer.customer_id
    where current_rfm.monetary is distinct from ledger_by_customer.net_amount
)

select * from differences
