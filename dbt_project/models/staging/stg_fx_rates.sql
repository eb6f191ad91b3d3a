with

raw_rates as (
    select * from {{ source('raw', 'fx_rates') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- Rates lead to one reporting currency, so it does not matter who delivered them: the later arrival holds.
holding_rates as (
    {{ holding_arrivals('raw_rates', ['date', 'currency'], version=none) }}
),

usable_rates as (
    select
        raw_rates.currency,
        raw_rates.date as valid_from,
        raw_rates.rate
    from raw_rates
    inner join holding_rates on raw_rates._arrival = holding_rates._arrival
    cross join run_settings
    where
        raw_rates.currency != run_settings.reporting_currency
        and raw_rates.rate > 0
        and raw_rates.rate < 1000000
),

rates_until_next as (
    select
        currency,
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (partition by currency order by valid_from) as valid_before,
        rate
    from usable_rates
),

rates as (
    select * from rates_until_next
    union all
    select
        reporting_currency as currency,
        date '0001-01-01' as valid_from,
        date '9999-12-31' as valid_before,
        1 as rate
    from run_settings
)

select * from rates
