with

orders as (
    select * from {{ ref('orders') }}
),

customers as (
    select * from {{ ref('customers') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- Orders of one day are one purchase.
purchase_days as (
    select distinct
        customer_id,
        business_date
    from orders
    where
        is_qualified
        and customer_id is not null
),

purchases_with_next as (
    select
        customer_id,
        business_date,
        lead(business_date) over (partition by customer_id order by business_date) as next_date
    from purchase_days
),

gaps as (
    select
        customers.first_channel,
        purchases_with_next.customer_id,
        purchases_with_next.next_date is not null as is_observed,
        {{ days_between(
            'purchases_with_next.business_date', 'coalesce(purchases_with_next.next_date, run_settings.as_of)'
        ) }} as gap_days
    from purchases_with_next
    cross join run_settings
    inner join customers on purchases_with_next.customer_id = customers.customer_id
),

gaps_by_scope as (
    select
        first_channel,
        gap_days,
        count(*) as n_gaps,
        count(case when is_observed then 1 end) as n_observed
    from gaps
    group by first_channel, gap_days
    union all
    select
        cast(null as varchar) as first_channel,
        gap_days,
        count(*) as n_gaps,
        count(case when is_observed then 1 end) as n_observed
    from gaps
    group by gap_days
),

-- Kaplan and Meier (1958): of the gaps still open on a day, the part that did not end on it.
gaps_at_risk as (
    select
        *,
        sum(n_gaps) over (partition by first_channel order by gap_days desc) as n_at_risk
    from gaps_by_scope
),

survival as (
    select
        first_channel,
        gap_days,
        case
            when min(n_at_risk - n_observed) over (partition by first_channel order by gap_days) = 0 then 0
            else exp(
                    sum(ln(greatest(n_at_risk - n_observed, 1) / cast(n_at_risk as double)))
                        over (partition by first_channel order by gap_days)
                )
        end as share_waiting
    from gaps_at_risk
),

medians as (
    select
        first_channel,
        -- A half by way of logarithms may miss by the last bit.
        min(case when share_waiting <= 0.5 + 1e-9 then gap_days end) as median_days
    from survival
    group by first_channel
),

buyers as (
    select
        first_channel,
        customer_id,
        count(*) as n_purchases
    from gaps
    group by first_channel, customer_id
),

buyers_by_scope as (
    select
        first_channel,
        count(*) as customers,
        count(case when n_purchases > 1 then 1 end) as repeaters
    from buyers
    group by first_channel
    union all
    select
        cast(null as varchar) as first_channel,
        count(*) as customers,
        count(case when n_purchases > 1 then 1 end) as repeaters
    from buyers
    having count(*) > 0
),

purchase_cycles as (
    select
        buyers_by_scope.first_channel,
        buyers_by_scope.customers,
        buyers_by_scope.repeaters,
        cast(buyers_by_scope.repeaters as double) / buyers_by_scope.customers as repeating_share,
        cast(
            case when 2 * buyers_by_scope.repeaters >= buyers_by_scope.customers then medians.median_days end as bigint
        ) as median_days
    from buyers_by_scope
    inner join medians on buyers_by_scope.first_channel is not distinct from medians.first_channel
)

select * from purchase_cycles
