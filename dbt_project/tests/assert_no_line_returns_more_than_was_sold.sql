-- Of every line: what was returned is at most what was sold, in money and in units, and a cancellation leaves nothing.
with

order_events as (
    select * from {{ ref('order_events') }}
),

lines as (
    select
        channel,
        order_id,
        line_id,
        sum(case when kind = 'sale' then net_amount_local else 0 end) as sold_amount,
        sum(net_amount_local) as kept_amount,
        sum(quantity) as kept_quantity,
        count(case when kind = 'cancel' then 1 end) as n_cancellations,
        count(case when kind = 'return' then 1 end) as n_returns
    from order_events
    group by channel, order_id, line_id
),

-- Each return is rounded by itself, so a cent each may run ahead until the return that completes the line.
faulty_lines as (
    select * from lines
    where
        (n_returns > 0 and sold_amount >= 0 and kept_amount < -0.01 * n_returns)
        or (n_returns > 0 and kept_quantity < 0)
        or (n_cancellations > 0 and (kept_amount != 0 or kept_quantity != 0))
)

select * from faulty_lines
