with

raw_refunds as (
    select * from {{ source('raw', 'refunds') }}
),

holding_versions as (
    {{ holding_arrivals('raw_refunds', ['channel', 'refund_id']) }}
),

newest_refunds as (
    select
        raw_refunds.channel,
        raw_refunds.refund_id,
        raw_refunds.order_id,
        raw_refunds.updated_at,
        raw_refunds.refunded_at,
        raw_refunds.amount,
        raw_refunds.currency,
        raw_refunds.reason,
        raw_refunds.return_store_id,
        raw_refunds.lines,
        raw_refunds._batch_id as batch_id,
        raw_refunds._arrival as refund_key
    from raw_refunds
    inner join holding_versions on raw_refunds._arrival = holding_versions._arrival
)

select * from newest_refunds
