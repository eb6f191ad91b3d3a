with

raw_orders as (
    select * from {{ source('raw', 'orders') }}
),

-- Named once more, since a CTE read twice is kept whole: keys of all orders fit in memory where their rows do not.
holding_versions as (
    {{ holding_arrivals(source('raw', 'orders'), ['channel', 'order_id']) }}
),

newest_orders as (
    select
        raw_orders.channel,
        raw_orders.order_id,
        raw_orders.updated_at,
        raw_orders.placed_at,
        raw_orders.status,
        raw_orders.paid_at,
        raw_orders.completed_at,
        raw_orders.cancelled_at,
        raw_orders.member_id,
        raw_orders.store_id,
        raw_orders.fulfilment,
        raw_orders.fulfil_store_id,
        raw_orders.pickup_ready_at,
        raw_orders.picked_up_at,
        raw_orders.staff_id,
        raw_orders.campaign_id,
        raw_orders.currency,
        raw_orders.shipping_amount,
        raw_orders.paid_amount,
        raw_orders.exchange_of,
        raw_orders._batch_id as batch_id,
        raw_orders._arrival as order_key,
        coalesce(raw_orders.discount_amount, 0)
        + {{ sum_where('raw_orders.tenders', 'amount', 'type', 'points') }} as order_discount_amount,
        coalesce(raw_orders.is_test, false) as is_test,
        coalesce(raw_orders.is_staff, false) as is_staff,
        raw_orders.exchange_of is not null
        or {{ has_where('raw_orders.tenders', 'type', 'exchange_credit') }} as is_exchange,
        raw_orders.lines is not null as has_own_lines
    from raw_orders
    inner join holding_versions on raw_orders._arrival = holding_versions._arrival
)

select * from newest_orders
