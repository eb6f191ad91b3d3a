with

raw_stores as (
    select * from {{ source('raw', 'stores') }}
),

stores as (
    select * from {{ ref('stores') }}
),

-- Every version that the store's own record went through, the later arrival of one instant.
holding_versions as (
    {{ holding_arrivals('raw_stores', ['channel', 'store_id', 'updated_at'], version=none) }}
),

versions as (
    select
        raw_stores.store_id,
        raw_stores.selling_area_m2,
        cast(raw_stores.updated_at as date) as changed_on,
        lag(raw_stores.updated_at) over (
            partition by raw_stores.store_id order by raw_stores.updated_at
        ) is null as is_first,
        lead(cast(raw_stores.updated_at as date), 1, date '9999-12-31') over (
            partition by raw_stores.store_id order by raw_stores.updated_at
        ) as valid_before
    from raw_stores
    inner join holding_versions on raw_stores._arrival = holding_versions._arrival
    inner join stores
        on
            raw_stores.store_id = stores.store_id
            and raw_stores.channel = stores.channel
),

store_areas as (
    select
        store_id,
        case when is_first then date '0001-01-01' else changed_on end as valid_from,
        valid_before,
        selling_area_m2
    from versions
    where selling_area_m2 > 0
)

select * from store_areas
