with

orders as (
    select * from {{ ref('int_orders') }}
),

order_lines as (
    select * from {{ ref('int_order_lines') }}
),

orders_with_lines as (
    select distinct order_key from order_lines
),

-- Both in the order's own currency and in the reporting one.
order_scales as (
    select
        order_key,
        order_discount_amount,
        greatest(1, coalesce(fx_rate, 1)) as scale
    from orders
),

oversized_orders as (
    select distinct order_lines.order_key
    from order_lines
    inner join order_scales on order_lines.order_key = order_scales.order_key
    where
        {{ is_beyond_money('order_lines.unit_list_price', 'order_lines.quantity', 'order_scales.scale') }}
        or {{ is_beyond_money('order_lines.unit_price', 'order_lines.quantity', 'order_scales.scale') }}
        or {{ is_beyond_money('order_lines.line_discount_amount', 'order_scales.scale') }}
        or {{ is_beyond_money('order_lines.quantity') }}
        or {{ is_beyond_money('order_scales.order_discount_amount', 'order_scales.scale') }}
),

exceptions as (
    select
        orders.order_key,
        case
            when orders_with_lines.order_key is null then 'lines have not come'
            when oversized_orders.order_key is not null then 'an amount is too large to be booked'
            when orders.is_paid and orders.fx_rate is null
                then 'no exchange rate for its currency on or before its date'
        end as reason
    from orders
    left join orders_with_lines on orders.order_key = orders_with_lines.order_key
    left join oversized_orders on orders.order_key = oversized_orders.order_key
),

named_exceptions as (
    select
        order_key,
        reason
    from exceptions
    where reason is not null
)

select * from named_exceptions
