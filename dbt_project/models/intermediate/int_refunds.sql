with

refunds as (
    select * from {{ ref('stg_refunds') }}
),

orders as (
    select * from {{ ref('int_orders') }}
),

fx_rates as (
    select * from {{ ref('stg_fx_rates') }}
),

refunds_with_order as (
    select
        refunds.refund_key,
        refunds.channel,
        refunds.refund_id,
        orders.order_key,
        refunds.refunded_at,
        refunds.reason,
        refunds.return_store_id,
        refunds.currency,
        refunds.amount,
        refunds.batch_id,
        refunds.updated_at,
        orders.currency as order_currency,
        orders.fx_rate as order_fx_rate,
        orders.business_date as sale_business_date,
        orders.as_of,
        orders.is_cancelled,
        {{ business_day('refunds.refunded_at', 'orders.timezone', 'orders.day_begins_at') }} as business_date
    from refunds
    inner join orders
        on
            refunds.channel = orders.channel
            and refunds.order_id = orders.order_id
),

-- A refund in another currency than its order is turned into the order's at the rates of the sale's date.
refunds_with_rates as (
    select
        refunds_with_order.*,
        refunds_with_order.business_date <= refunds_with_order.as_of as is_until_as_of,
        own_rates.rate as fx_rate,
        refund_day_rates.rate as refund_day_fx_rate
    from refunds_with_order
    left join fx_rates as own_rates
        on
            refunds_with_order.currency = own_rates.currency
            and refunds_with_order.sale_business_date >= own_rates.valid_from
            and refunds_with_order.sale_business_date < own_rates.valid_before
    left join fx_rates as refund_day_rates
        on
            refunds_with_order.order_currency = refund_day_rates.currency
            and refunds_with_order.business_date >= refund_day_rates.valid_from
            and refunds_with_order.business_date < refund_day_rates.valid_before
)

select * from refunds_with_rates
