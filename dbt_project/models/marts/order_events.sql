with

orders as (
    select * from {{ ref('int_orders') }}
),

sale_lines as (
    select * from {{ ref('int_sale_lines') }}
),

return_lines as (
    select * from {{ ref('int_return_lines') }}
),

sales as (
    select
        sale_lines.order_key,
        sale_lines.line_id,
        cast(null as varchar) as refund_id,
        cast(null as varchar) as return_store_id,
        'sale' as kind,
        orders.ordered_at as "at",
        orders.business_date,
        sale_lines.sku,
        sale_lines.category,
        sale_lines.is_gift,
        sale_lines.quantity,
        sale_lines.unit_cost,
        sale_lines.gross_amount,
        sale_lines.net_amount,
        sale_lines.tax_amount,
        sale_lines.gross_amount_local,
        sale_lines.net_amount_local,
        sale_lines.tax_amount_local
    from sale_lines
    inner join orders on sale_lines.order_key = orders.order_key
),

cancellations as (
    select
        sale_lines.order_key,
        sale_lines.line_id,
        cast(null as varchar) as refund_id,
        cast(null as varchar) as return_store_id,
        'cancel' as kind,
        orders.cancelled_at as "at",
        orders.cancelled_on as business_date,
        sale_lines.sku,
        sale_lines.category,
        sale_lines.is_gift,
        -sale_lines.quantity as quantity,
        sale_lines.unit_cost,
        -sale_lines.gross_amount as gross_amount,
        -sale_lines.net_amount as net_amount,
        -sale_lines.tax_amount as tax_amount,
        -sale_lines.gross_amount_local as gross_amount_local,
        -sale_lines.net_amount_local as net_amount_local,
        -sale_lines.tax_amount_local as tax_amount_local
    from sale_lines
    inner join orders on sale_lines.order_key = orders.order_key
    where orders.is_cancelled
),

returns as (
    select
        order_key,
        line_id,
        refund_id,
        return_store_id,
        'return' as kind,
        refunded_at as "at",
        business_date,
        sku,
        category,
        is_gift,
        -quantity as quantity,
        unit_cost,
        -gross_amount as gross_amount,
        -net_amount as net_amount,
        -tax_amount as tax_amount,
        -gross_amount_local as gross_amount_local,
        -net_amount_local as net_amount_local,
        -tax_amount_local as tax_amount_local
    from return_lines
),

booked_events as (
    select * from sales
    union all
    select * from cancellations
    union all
    select * from returns
),

order_events as (
    select
        {{ stable_id([
            'orders.channel', 'orders.order_id', 'booked_events.line_id', 'booked_events.kind', 'booked_events.refund_id'
        ]) }} as event_id,
        orders.channel,
        orders.order_id,
        booked_events.line_id,
        booked_events.refund_id,
        booked_events.kind,
        booked_events."at",
        booked_events.business_date,
        orders.business_date as sale_business_date,
        booked_events.sku,
        booked_events.category,
        orders.store_id,
        booked_events.return_store_id,
        orders.customer_id,
        orders.is_member_order,
        orders.is_staff,
        booked_events.is_gift,
        cast(booked_events.quantity as decimal(18, 4)) as quantity,
        booked_events.gross_amount,
        cast(booked_events.gross_amount - booked_events.net_amount as decimal(18, 2)) as discount_amount,
        booked_events.net_amount,
        booked_events.tax_amount,
        {{ multiply_to_cents('booked_events.unit_cost', 'booked_events.quantity') }} as cost_amount,
        orders.currency,
        booked_events.gross_amount_local,
        cast(booked_events.gross_amount_local - booked_events.net_amount_local as decimal(18, 2))
            as discount_amount_local,
        booked_events.net_amount_local,
        booked_events.tax_amount_local
    from booked_events
    inner join orders on booked_events.order_key = orders.order_key
)

select * from order_events
