with

visits as (
    select * from {{ ref('int_visits') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

steps as (
    select
        1 as position,
        'product_view' as step
    union all
    select
        2 as position,
        'add_to_cart' as step
    union all
    select
        3 as position,
        'checkout' as step
    union all
    select
        4 as position,
        'purchase' as step
),

days as (
    select
        business_date,
        channel,
        steps_reached,
        count(*) as visitors
    from visits
    group by business_date, channel, steps_reached
),

-- Every step has its row, also where nobody took it.
persons_by_step as (
    select
        days.business_date,
        days.channel,
        steps.position,
        steps.step,
        sum(case when days.steps_reached >= steps.position then days.visitors else 0 end) as persons
    from days
    cross join steps
    group by days.business_date, days.channel, steps.position, steps.step
),

persons_with_previous as (
    select
        *,
        lag(persons) over (partition by business_date, channel order by position) as persons_before
    from persons_by_step
),

rates as (
    select
        persons_with_previous.*,
        figure_settings.funnel_min_weeks as min_weeks,
        case
            when persons_with_previous.persons_before >= figure_settings.funnel_min_persons
                then cast(persons_with_previous.persons as double) / persons_with_previous.persons_before
        end as rate
    from persons_with_previous
    cross join figure_settings
),

baselines as (
    select
        rates.business_date,
        rates.channel,
        rates.position,
        count(earlier_rates.rate) as n_weeks,
        avg(earlier_rates.rate) as mean_rate,
        stddev_samp(earlier_rates.rate) as deviation
    from rates
    inner join rates as earlier_rates
        on
            rates.channel = earlier_rates.channel
            and rates.position = earlier_rates.position
            and {{ days_between('earlier_rates.business_date', 'rates.business_date') }} in (
                7, 14, 21, 28, 35, 42, 49, 56
            )
    group by rates.business_date, rates.channel, rates.position
),

funnel_daily as (
    select
        rates.business_date,
        rates.channel,
        rates.step,
        cast(rates.position as integer) as position,
        cast(rates.persons as bigint) as persons,
        cast(rates.persons_before as bigint) as persons_before,
        rates.rate as rate_from_previous,
        case when baselines.n_weeks >= rates.min_weeks then baselines.mean_rate end as baseline_rate,
        case when baselines.n_weeks >= rates.min_weeks then baselines.mean_rate - 2 * baselines.deviation end
            as alert_below,
        -- The mean of equal rates may differ from them in the last bit.
        coalesce(
            baselines.n_weeks >= rates.min_weeks
            and rates.rate < baselines.mean_rate - 2 * baselines.deviation - 0.000000001,
            false
        ) as alert
    from rates
    left join baselines
        on
            rates.business_date = baselines.business_date
            and rates.channel = baselines.channel
            and rates.position = baselines.position
)

select * from funnel_daily
