with

raw_inventory as (
    select * from {{ source('raw', 'inventory') }}
),

-- One store's count may come from its till or from head office: whoever sent it, the newest count holds.
holding_counts as (
    {{ holding_arrivals('raw_inventory', ['store_id', 'sku'], version='counted_at') }}
),

newest_counts as (
    select
        raw_inventory.store_id,
        raw_inventory.sku,
        raw_inventory.counted_at,
        raw_inventory.on_hand,
        coalesce(raw_inventory.reserved, cast(0 as decimal(18, 4))) as reserved
    from raw_inventory
    inner join holding_counts on raw_inventory._arrival = holding_counts._arrival
)

select * from newest_counts
