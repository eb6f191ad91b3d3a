with

raw_products as (
    select * from {{ source('raw', 'products') }}
),

channels as (
    select * from {{ source('reference', 'channels') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

holding_versions as (
    {{ holding_arrivals('raw_products', ['channel', 'sku']) }}
),

newest_products as (
    select
        raw_products.channel,
        raw_products.sku,
        raw_products.updated_at,
        raw_products.spu,
        raw_products.name,
        nullif(trim(raw_products.category_path, ' /'), '') as category_path,
        raw_products.brand,
        raw_products.list_price,
        raw_products.cost,
        coalesce(raw_products.currency, channels.currency, run_settings.reporting_currency) as currency,
        raw_products.tax_rate,
        raw_products.stage,
        raw_products.status
    from raw_products
    inner join holding_versions on raw_products._arrival = holding_versions._arrival
    cross join run_settings
    left join channels on raw_products.channel = channels.channel
),

categorised_products as (
    select
        *,
        coalesce(trim(split_part(category_path, '/', 1)), 'uncategorised') as category,
        coalesce(trim(split_part(category_path, '/', 1)) not in ('gift_card', 'top_up'), true) as is_merchandise
    from newest_products
)

select * from categorised_products
