with

orders as (
    select * from {{ ref('orders') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

qualified_orders as (
    select
        customer_id,
        channel,
        business_date,
        is_first_order,
        net_amount - refunded_amount as net_amount
    from orders
    where
        is_qualified
        and customer_id is not null
),

first_orders as (
    select
        customer_id,
        channel as first_channel,
        {{ period_start('month', 'business_date') }} as cohort_month
    from qualified_orders
    where is_first_order
),

active_months as (
    select
        customer_id,
        {{ period_start('month', 'business_date') }} as month,
        sum(net_amount) as net_amount
    from qualified_orders
    group by customer_id, {{ period_start('month', 'business_date') }}
),

cohorts as (
    select
        cohort_month,
        first_channel,
        count(*) as cohort_size
    from first_orders
    group by cohort_month, first_channel
),

activity as (
    select
        first_orders.cohort_month,
        first_orders.first_channel,
        {{ months_between('first_orders.cohort_month', 'active_months.month') }} as month_number,
        count(*) as active,
        sum(active_months.net_amount) as net_amount
    from first_orders
    inner join active_months on first_orders.customer_id = active_months.customer_id
    group by
        first_orders.cohort_month,
        first_orders.first_channel,
        {{ months_between('first_orders.cohort_month', 'active_months.month') }}
),

longest as (
    select coalesce(max({{ months_between('cohorts.cohort_month', 'run_settings.as_of') }}), 0) as months
    from cohorts
    cross join run_settings
),

month_numbers as (
    {{ whole_numbers('0', '(select months from longest)') }}
),

cells as (
    select
        cohorts.cohort_month,
        cohorts.first_channel,
        month_numbers.number as month_number,
        cohorts.cohort_size,
        coalesce(activity.active, 0) as active,
        coalesce(activity.net_amount, 0) as net_amount,
        {{ period_end('month', 'cohorts.cohort_month', 'month_numbers.number') }} <= run_settings.as_of as is_finished
    from cohorts
    cross join run_settings
    inner join month_numbers
        on month_numbers.number <= {{ months_between('cohorts.cohort_month', 'run_settings.as_of') }}
    left join activity
        on
            cohorts.cohort_month = activity.cohort_month
            and cohorts.first_channel = activity.first_channel
            and month_numbers.number = activity.month_number
),

retention_cohorts as (
    select
        cohort_month,
        first_channel,
        cast(month_number as integer) as month_number,
        cohort_size,
        cast(case when is_finished then active end as bigint) as active,
        case when is_finished then cast(active as double) / cohort_size end as retention,
        cast(case when is_finished then net_amount end as decimal(18, 2)) as net_amount
    from cells
)

select * from retention_cohorts
