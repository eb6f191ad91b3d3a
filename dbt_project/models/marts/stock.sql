with

counts as (
    select * from {{ ref('stg_inventory') }}
),

stock as (
    select
        store_id,
        sku,
        on_hand,
        reserved,
        cast(greatest(on_hand - reserved, 0) as decimal(18, 4)) as available,
        counted_at
    from counts
)

select * from stock
