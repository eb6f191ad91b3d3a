with

stock_counts as (
    select * from {{ ref('stg_stock_counts') }}
),

order_events as (
    select * from {{ ref('order_events') }}
),

orders as (
    select * from {{ ref('orders') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- Seasons begin with March, June, September and December.
counts_by_season as (
    select
        stock_counts.store_id,
        stock_counts.sku,
        stock_counts.counted_at,
        stock_counts.on_hand,
        {{ season_start('stock_counts.counted_at') }} as season
    from stock_counts
    cross join run_settings
    where cast(stock_counts.counted_at as date) <= run_settings.as_of
),

seasons as (
    select
        store_id,
        sku,
        season,
        min(counted_at) as opened_at,
        max(counted_at) as closed_at,
        {{ first_value_by('on_hand', ['counted_at']) }} as opening_units,
        {{ last_value_by('on_hand', ['counted_at']) }} as closing_units
    from counts_by_season
    group by store_id, sku, season
),

-- Goods leave the store that hands them over and come back to the one that takes them.
unit_movements as (
    select
        order_events.sku,
        order_events."at" as moved_at,
        order_events.quantity,
        {{ season_start('order_events."at"') }} as season,
        case
            when order_events.kind = 'return'
                then coalesce(order_events.return_store_id, orders.fulfil_store_id, orders.store_id)
            else coalesce(orders.fulfil_store_id, orders.store_id)
        end as store_id
    from order_events
    inner join orders
        on
            order_events.channel = orders.channel
            and order_events.order_id = orders.order_id
),

units as (
    select
        seasons.store_id,
        seasons.sku,
        seasons.season,
        sum(unit_movements.quantity) as net_units
    from seasons
    inner join unit_movements
        on
            seasons.store_id = unit_movements.store_id
            and seasons.sku = unit_movements.sku
            and seasons.season = unit_movements.season
            and seasons.opened_at < unit_movements.moved_at
            and seasons.closed_at >= unit_movements.moved_at
    group by seasons.store_id, seasons.sku, seasons.season
),

seasons_with_units as (
    select
        seasons.*,
        coalesce(units.net_units, 0) as net_units,
        -- What there was to sell: what is left and what has gone. It is the opening stock with whatever came in.
        seasons.closing_units + coalesce(units.net_units, 0) as available_units
    from seasons
    left join units
        on
            seasons.store_id = units.store_id
            and seasons.sku = units.sku
            and seasons.season = units.season
),

sell_through as (
    select
        sku,
        store_id,
        season,
        opened_at,
        closed_at,
        opening_units,
        closing_units,
        cast(net_units as decimal(18, 4)) as net_units,
        cast(available_units - opening_units as decimal(18, 4)) as received_units,
        case
            when available_units > 0 and net_units >= 0 and opened_at < closed_at
                then cast(net_units as double) / cast(available_units as double)
        end as sell_through_rate
    from seasons_with_units
)

select * from sell_through
