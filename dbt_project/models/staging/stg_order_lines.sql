with

raw_orders as (
    select * from {{ source('raw', 'orders') }}
),

raw_order_lines as (
    select * from {{ source('raw', 'order_lines') }}
),

newest_orders as (
    select * from {{ ref('stg_orders') }}
),

-- The source is named where only keys of it are read: a CTE read twice is kept whole, with every order's lines.
-- The newest version that carries lines. It is not always the newest of all: a feed may send a status without them.
holding_versions_with_lines as (
    {{ holding_arrivals(source('raw', 'orders'), ['channel', 'order_id'], condition='lines is not null') }}
),

orders_with_lines as (
    select
        raw_orders.channel,
        raw_orders.order_id,
        raw_orders._arrival as arrival,
        raw_orders.lines
    from raw_orders
    inner join holding_versions_with_lines on raw_orders._arrival = holding_versions_with_lines._arrival
),

newest_line_sets as (
    select
        channel,
        order_id,
        max(updated_at) as updated_at
    from {{ source('raw', 'order_lines') }}
    where updated_at is not null
    group by channel, order_id
),

first_arrivals_of_sets as (
    select
        raw_order_lines.channel,
        raw_order_lines.order_id,
        raw_order_lines.updated_at,
        min(raw_order_lines._arrival) as arrival
    from {{ source('raw', 'order_lines') }} as raw_order_lines
    inner join newest_line_sets
        on
            raw_order_lines.channel = newest_line_sets.channel
            and raw_order_lines.order_id = newest_line_sets.order_id
            and raw_order_lines.updated_at = newest_line_sets.updated_at
    group by raw_order_lines.channel, raw_order_lines.order_id, raw_order_lines.updated_at
),

-- A line without a version belongs to the newest set only if it came after it.
lines_of_newest_sets as (
    select raw_order_lines.*
    from raw_order_lines
    left join first_arrivals_of_sets
        on
            raw_order_lines.channel = first_arrivals_of_sets.channel
            and raw_order_lines.order_id = first_arrivals_of_sets.order_id
    where
        first_arrivals_of_sets.order_id is null
        or raw_order_lines.updated_at = first_arrivals_of_sets.updated_at
        or (raw_order_lines.updated_at is null and raw_order_lines._arrival > first_arrivals_of_sets.arrival)
),

holding_lines as (
    {{ holding_arrivals('lines_of_newest_sets', ['channel', 'order_id', 'line_id'], version=none) }}
),

delivered_lines as (
    select lines_of_newest_sets.*
    from lines_of_newest_sets
    inner join holding_lines on lines_of_newest_sets._arrival = holding_lines._arrival
),

orders_with_delivered_lines as (
    select distinct
        channel,
        order_id
    from delivered_lines
),

orders_with_own_lines as (
    select
        newest_orders.order_key,
        orders_with_lines.lines
    from orders_with_lines
    inner join newest_orders
        on
            orders_with_lines.channel = newest_orders.channel
            and orders_with_lines.order_id = newest_orders.order_id
    left join orders_with_delivered_lines
        on
            orders_with_lines.channel = orders_with_delivered_lines.channel
            and orders_with_lines.order_id = orders_with_delivered_lines.order_id
    where newest_orders.has_own_lines or orders_with_delivered_lines.order_id is null
),

listed_lines as (
    {{ list_elements('orders_with_own_lines', 'lines', ['order_key']) }}
),

-- A list that names a line twice: the later entry holds, as it does in the feed of lines.
last_mentions as (
    select
        listed_lines.order_key,
        listed_lines.element.line_id,
        max(listed_lines.position) as position
    from listed_lines
    group by listed_lines.order_key, listed_lines.element.line_id
),

own_lines as (
    select
        listed_lines.order_key,
        listed_lines.element.line_id,
        listed_lines.position,
        listed_lines.element.sku,
        listed_lines.element.quantity,
        listed_lines.element.unit_list_price,
        listed_lines.element.unit_price,
        listed_lines.element.discount_amount,
        listed_lines.element.tax_rate,
        listed_lines.element.is_gift
    from listed_lines
    inner join last_mentions
        on
            listed_lines.order_key = last_mentions.order_key
            and listed_lines.position = last_mentions.position
),

separate_lines as (
    select
        newest_orders.order_key,
        delivered_lines.line_id,
        delivered_lines._arrival as position,
        delivered_lines.sku,
        delivered_lines.quantity,
        delivered_lines.unit_list_price,
        delivered_lines.unit_price,
        delivered_lines.discount_amount,
        delivered_lines.tax_rate,
        delivered_lines.is_gift
    from delivered_lines
    inner join newest_orders
        on
            delivered_lines.channel = newest_orders.channel
            and delivered_lines.order_id = newest_orders.order_id
    where not newest_orders.has_own_lines
),

order_lines as (
    select * from own_lines
    union all
    select * from separate_lines
)

select * from order_lines
