with

orders as (
    select * from {{ ref('int_orders') }}
),

order_exceptions as (
    select * from {{ ref('int_order_exceptions') }}
),

sale_lines as (
    select * from {{ ref('int_sale_lines') }}
),

return_lines as (
    select * from {{ ref('int_return_lines') }}
),

refunds as (
    select * from {{ ref('int_refunds') }}
),

sale_totals as (
    select
        order_key,
        sum(payable_amount) as payable_amount,
        sum(quantity) as quantity,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(tax_amount) as tax_amount,
        sum(gross_amount_local) as gross_amount_local,
        sum(net_amount_local) as net_amount_local,
        sum(tax_amount_local) as tax_amount_local
    from sale_lines
    group by order_key
),

return_totals as (
    select
        order_key,
        sum(amount) as amount,
        sum(net_amount) as net_amount,
        sum(net_amount_local) as net_amount_local
    from return_lines
    group by order_key
),

refunded_orders as (
    select
        order_key,
        min(business_date) as first_business_date
    from refunds
    group by order_key
),

orders_with_totals as (
    select
        orders.*,
        sale_totals.order_key is not null as has_merchandise,
        coalesce(sale_totals.quantity, 0) as quantity,
        coalesce(sale_totals.gross_amount, 0) as gross_amount,
        coalesce(sale_totals.net_amount, 0) as net_amount,
        coalesce(sale_totals.tax_amount, 0) as tax_amount,
        coalesce(return_totals.net_amount, 0) as refunded_amount,
        coalesce(sale_totals.gross_amount_local, 0) as gross_amount_local,
        coalesce(sale_totals.net_amount_local, 0) as net_amount_local,
        coalesce(sale_totals.tax_amount_local, 0) as tax_amount_local,
        coalesce(return_totals.net_amount_local, 0) as refunded_amount_local,
        -- A status that speaks of refunds, all of them later than the as-of date, is undone.
        case
            when orders.status not in ('refunded', 'partially_refunded') then orders.status
            when coalesce(refunded_orders.first_business_date <= orders.as_of, true) then orders.status
            when orders.completed_on <= orders.as_of then 'completed'
            else 'paid'
        end as status_as_of,
        coalesce(
            sale_totals.payable_amount > 0
            and sale_totals.payable_amount - coalesce(return_totals.amount, 0) >= 0.01
            and not orders.is_cancelled
            and not orders.is_exchange
            and not orders.is_staff,
            false
        ) as is_qualified
    from orders
    left join order_exceptions on orders.order_key = order_exceptions.order_key
    left join sale_totals on orders.order_key = sale_totals.order_key
    left join return_totals on orders.order_key = return_totals.order_key
    left join refunded_orders on orders.order_key = refunded_orders.order_key
    where order_exceptions.order_key is null
),

first_orders as (
    select
        customer_id,
        {{ first_value_by('order_key', ['ordered_at', 'channel', 'order_id']) }} as order_key
    from orders_with_totals
    where
        is_qualified
        and customer_id is not null
    group by customer_id
),

final_orders as (
    select
        orders_with_totals.channel,
        orders_with_totals.order_id,
        orders_with_totals.customer_id,
        orders_with_totals.store_id,
        orders_with_totals.fulfil_store_id,
        orders_with_totals.fulfilment,
        orders_with_totals.status_as_of as status,
        orders_with_totals.placed_at,
        orders_with_totals.ordered_at,
        orders_with_totals.business_date,
        orders_with_totals.cancelled_at,
        orders_with_totals.currency,
        orders_with_totals.fx_rate,
        cast(orders_with_totals.quantity as decimal(18, 4)) as quantity,
        cast(orders_with_totals.gross_amount as decimal(18, 2)) as gross_amount,
        cast(orders_with_totals.gross_amount - orders_with_totals.net_amount as decimal(18, 2)) as discount_amount,
        cast(orders_with_totals.net_amount as decimal(18, 2)) as net_amount,
        cast(orders_with_totals.tax_amount as decimal(18, 2)) as tax_amount,
        cast(orders_with_totals.refunded_amount as decimal(18, 2)) as refunded_amount,
        cast(orders_with_totals.gross_amount_local as decimal(18, 2)) as gross_amount_local,
        cast(orders_with_totals.gross_amount_local - orders_with_totals.net_amount_local as decimal(18, 2))
            as discount_amount_local,
        cast(orders_with_totals.net_amount_local as decimal(18, 2)) as net_amount_local,
        cast(orders_with_totals.tax_amount_local as decimal(18, 2)) as tax_amount_local,
        cast(orders_with_totals.refunded_amount_local as decimal(18, 2)) as refunded_amount_local,
        cast(orders_with_totals.shipping_amount as decimal(18, 2)) as shipping_amount_local,
        orders_with_totals.is_paid,
        orders_with_totals.is_cancelled,
        orders_with_totals.is_qualified,
        orders_with_totals.is_test,
        orders_with_totals.is_staff,
        orders_with_totals.is_exchange,
        orders_with_totals.is_member_order,
        orders_with_totals.has_merchandise,
        first_orders.order_key is not null as is_first_order,
        orders_with_totals.campaign_id,
        orders_with_totals.staff_id,
        orders_with_totals.exchange_of,
        orders_with_totals.pickup_ready_at,
        orders_with_totals.picked_up_at,
        orders_with_totals.updated_at
    from orders_with_totals
    left join first_orders on orders_with_totals.order_key = first_orders.order_key
)

select * from final_orders
