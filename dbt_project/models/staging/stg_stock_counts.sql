with

raw_inventory as (
    select * from {{ source('raw', 'inventory') }}
),

holding_counts as (
    {{ holding_arrivals('raw_inventory', ['store_id', 'sku', 'counted_at'], version=none) }}
),

stock_counts as (
    select
        raw_inventory.store_id,
        raw_inventory.sku,
        raw_inventory.counted_at,
        raw_inventory.on_hand
    from raw_inventory
    inner join holding_counts on raw_inventory._arrival = holding_counts._arrival
)

select * from stock_counts
