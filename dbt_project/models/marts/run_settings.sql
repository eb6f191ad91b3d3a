with

settings_of_run as (
    select * from {{ source('reference', 'run_settings') }}
),

run_settings as (
    select
        as_of,
        reporting_currency,
        timezone
    from settings_of_run
)

select * from run_settings
