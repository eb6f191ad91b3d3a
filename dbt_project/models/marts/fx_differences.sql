with

return_lines as (
    select * from {{ ref('int_return_lines') }}
),

orders as (
    select * from {{ ref('int_orders') }}
),

revalued_returns as (
    select
        orders.channel,
        orders.order_id,
        return_lines.line_id,
        return_lines.refund_id,
        return_lines.refunded_at as "at",
        return_lines.business_date,
        orders.store_id,
        orders.currency,
        orders.fx_rate as sale_fx_rate,
        return_lines.refund_day_fx_rate,
        -return_lines.net_amount_local as net_amount_local,
        -return_lines.net_amount as net_amount,
        -{{ convert_money('return_lines.net_amount_local', 'return_lines.refund_day_fx_rate') }}
            as net_amount_at_refund_day
    from return_lines
    inner join orders on return_lines.order_key = orders.order_key
    where return_lines.refund_day_fx_rate != orders.fx_rate
),

fx_differences as (
    select
        {{ stable_id(['channel', 'order_id', 'line_id', 'refund_id']) }} as fx_difference_id,
        *,
        cast(net_amount_at_refund_day - net_amount as decimal(18, 2)) as fx_amount
    from revalued_returns
)

select * from fx_differences
