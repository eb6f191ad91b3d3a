with

raw_prices as (
    select * from {{ source('raw', 'prices') }}
),

holding_versions as (
    {{ holding_arrivals('raw_prices', ['channel', 'store_id', 'sku', 'valid_from'], version=none) }}
),

prices as (
    select
        raw_prices.channel,
        raw_prices.store_id,
        raw_prices.sku,
        raw_prices.price,
        raw_prices.currency,
        raw_prices.valid_from,
        coalesce(raw_prices.valid_to, timestamp '9999-12-31 00:00:00') as valid_to
    from raw_prices
    inner join holding_versions on raw_prices._arrival = holding_versions._arrival
    where raw_prices.valid_to is null or raw_prices.valid_to > raw_prices.valid_from
)

select * from prices
