with

newest_orders as (
    select * from {{ ref('stg_orders') }}
),

orders as (
    select * from {{ ref('int_orders') }}
),

order_exceptions as (
    select * from {{ ref('int_order_exceptions') }}
),

raw_order_lines as (
    select * from {{ source('raw', 'order_lines') }}
),

newest_refunds as (
    select * from {{ ref('stg_refunds') }}
),

refunds as (
    select * from {{ ref('int_refunds') }}
),

batches as (
    select * from {{ source('ops', 'batches') }}
),

waiting_orders as (
    select
        'orders' as feed,
        orders.channel,
        orders.order_id as entity_id,
        order_exceptions.reason,
        orders.batch_id,
        orders.updated_at
    from order_exceptions
    inner join orders on order_exceptions.order_key = orders.order_key
),

waiting_lines as (
    select
        'order_lines' as feed,
        raw_order_lines.channel,
        raw_order_lines.order_id as entity_id,
        'the order has not come' as reason,
        min(raw_order_lines._batch_id) as batch_id,
        min(raw_order_lines.updated_at) as updated_at
    from raw_order_lines
    left join newest_orders
        on
            raw_order_lines.channel = newest_orders.channel
            and raw_order_lines.order_id = newest_orders.order_id
    where newest_orders.order_key is null
    group by raw_order_lines.channel, raw_order_lines.order_id
),

waiting_refunds as (
    select
        'refunds' as feed,
        newest_refunds.channel,
        newest_refunds.refund_id as entity_id,
        'the order has not come' as reason,
        newest_refunds.batch_id,
        newest_refunds.updated_at
    from newest_refunds
    left join newest_orders
        on
            newest_refunds.channel = newest_orders.channel
            and newest_refunds.order_id = newest_orders.order_id
    where newest_orders.order_key is null
),

unrated_refunds as (
    select
        'refunds' as feed,
        channel,
        refund_id as entity_id,
        'no exchange rate for its currency on or before the date of sale' as reason,
        batch_id,
        updated_at
    from refunds
    where
        fx_rate is null
        and order_fx_rate is not null
),

waiting_entities as (
    select * from waiting_orders
    union all
    select * from waiting_lines
    union all
    select * from waiting_refunds
    union all
    select * from unrated_refunds
),

waiting as (
    select
        waiting_entities.feed,
        waiting_entities.channel,
        waiting_entities.entity_id,
        waiting_entities.reason,
        coalesce(cast(batches.taken_at as timestamp), waiting_entities.updated_at) as since
    from waiting_entities
    left join batches on waiting_entities.batch_id = cast(batches.batch_id as varchar)
)

select * from waiting
