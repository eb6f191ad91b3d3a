with

orders as (
    select * from {{ ref('orders') }}
),

order_events as (
    select * from {{ ref('order_events') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- An order that was cancelled or wholly returned counted until that day, and figures of a closed period stay.
undone_orders as (
    select
        channel,
        order_id,
        max(business_date) as undone_on
    from order_events
    where
        kind != 'sale'
        and customer_id is not null
    group by channel, order_id
),

purchases as (
    select
        orders.customer_id,
        orders.business_date,
        case when not orders.is_qualified then undone_orders.undone_on end as undone_on
    from orders
    left join undone_orders
        on
            not orders.is_qualified
            and orders.channel = undone_orders.channel
            and orders.order_id = undone_orders.order_id
    where
        orders.customer_id is not null
        and (
            orders.is_qualified
            or (
                undone_orders.undone_on is not null
                and orders.is_paid
                and orders.net_amount > 0
                and not orders.is_test
                and not orders.is_staff
                and not orders.is_exchange
            )
        )
),

-- Orders of one day are one purchase.
purchase_days as (
    select
        customer_id,
        business_date,
        max(coalesce(undone_on, date '9999-12-31')) as holds_before
    from purchases
    group by customer_id, business_date
),

purchases_by_period as (
    {% for unit in ['month', 'quarter', 'year'] %}
    select
        '{{ unit }}' as period,
        {{ period_start(unit, 'business_date') }} as period_start,
        {{ period_end(unit, period_start(unit, 'business_date')) }} as period_end,
        customer_id,
        business_date,
        holds_before
    from purchase_days
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

buyers as (
    select
        period,
        period_start,
        period_end,
        customer_id,
        count(*) as n_purchases
    from purchases_by_period
    where holds_before > period_end
    group by period, period_start, period_end, customer_id
),

first_purchases as (
    select
        customer_id,
        min(case when holds_before = date '9999-12-31' then business_date end) as first_kept_on
    from purchase_days
    group by customer_id
),

-- Only where the first purchase of all was undone later it matters when.
returning_by_undone_ones as (
    select distinct
        buyers.period,
        buyers.period_start,
        buyers.customer_id
    from buyers
    inner join purchase_days
        on
            buyers.customer_id = purchase_days.customer_id
            and purchase_days.holds_before < date '9999-12-31'
            and buyers.period_end < purchase_days.holds_before
            and buyers.period_start > purchase_days.business_date
),

figures as (
    select
        buyers.period,
        buyers.period_start,
        buyers.period_end,
        count(*) as buyers,
        count(case when buyers.n_purchases > 1 then 1 end) as repeat_buyers,
        count(
            case
                when
                    first_purchases.first_kept_on < buyers.period_start
                    or returning_by_undone_ones.customer_id is not null
                    then 1
            end
        ) as returning_buyers
    from buyers
    inner join first_purchases on buyers.customer_id = first_purchases.customer_id
    left join returning_by_undone_ones
        on
            buyers.period = returning_by_undone_ones.period
            and buyers.period_start = returning_by_undone_ones.period_start
            and buyers.customer_id = returning_by_undone_ones.customer_id
    group by buyers.period, buyers.period_start, buyers.period_end
),

buyer_periods as (
    select
        figures.period,
        figures.period_start,
        figures.period_end,
        figures.buyers,
        figures.repeat_buyers,
        figures.returning_buyers,
        cast(figures.repeat_buyers as double) / figures.buyers as repurchase_rate,
        cast(figures.returning_buyers as double) / figures.buyers as returning_rate,
        figures.period_end <= run_settings.as_of as is_finished
    from figures
    cross join run_settings
)

select * from buyer_periods
