with

order_events as (
    select * from {{ ref('order_events') }}
),

online_orders as (
    select * from {{ ref('int_online_orders') }}
),

weights as (
    select * from {{ source('reference', 'attribution_weights') }}
),

role_weights as (
    select
        max(case when role = 'guiding' then weight end) as guiding_weight,
        max(case when role = 'fulfilling' then weight end) as fulfilling_weight,
        max(case when role = 'home' then weight end) as home_weight
    from weights
),

-- Orders of the same three stores are split as one sum.
sums_of_stores as (
    select
        order_events.business_date,
        order_events.channel,
        online_orders.guiding_store_id,
        online_orders.handing_store_id,
        online_orders.home_store_id,
        sum(order_events.net_amount) as net_amount,
        -- What a product without a cost earned nobody knows.
        coalesce(
            sum(
                case
                    when order_events.cost_amount is not null then order_events.net_amount - order_events.cost_amount
                end
            ),
            0
        ) as profit_amount
    from order_events
    inner join online_orders
        on
            order_events.channel = online_orders.channel
            and order_events.order_id = online_orders.order_id
    group by
        order_events.business_date,
        order_events.channel,
        online_orders.guiding_store_id,
        online_orders.handing_store_id,
        online_orders.home_store_id
),

-- Weights added up from role to role: the difference of two rounded sums is a part, and the parts make the whole.
sums_with_weights as (
    select
        sums_of_stores.*,
        case when sums_of_stores.guiding_store_id is null then 0 else role_weights.guiding_weight end as until_guiding,
        case when sums_of_stores.guiding_store_id is null then 0 else role_weights.guiding_weight end
        + case when sums_of_stores.handing_store_id is null then 0 else role_weights.fulfilling_weight end
            as until_fulfilling,
        case when sums_of_stores.guiding_store_id is null then 0 else role_weights.guiding_weight end
        + case when sums_of_stores.handing_store_id is null then 0 else role_weights.fulfilling_weight end
        + case when sums_of_stores.home_store_id is null then 0 else role_weights.home_weight end
            as until_home
    from sums_of_stores
    cross join role_weights
),

sums_until_roles as (
    select
        *,
        case when until_home > 0 then {{ prorate_money('net_amount', 'until_guiding', 'until_home') }} else 0 end
            as net_until_guiding,
        case when until_home > 0 then {{ prorate_money('net_amount', 'until_fulfilling', 'until_home') }} else 0 end
            as net_until_fulfilling,
        case when until_home > 0 then {{ prorate_money('profit_amount', 'until_guiding', 'until_home') }} else 0 end
            as profit_until_guiding,
        case when until_home > 0 then {{ prorate_money('profit_amount', 'until_fulfilling', 'until_home') }} else 0 end
            as profit_until_fulfilling
    from sums_with_weights
),

parts as (
    select
        business_date,
        channel,
        guiding_store_id as store_id,
        'guiding' as role,
        net_until_guiding as net_amount,
        profit_until_guiding as profit_amount
    from sums_until_roles
    where until_guiding > 0
    union all
    select
        business_date,
        channel,
        handing_store_id as store_id,
        'fulfilling' as role,
        net_until_fulfilling - net_until_guiding as net_amount,
        profit_until_fulfilling - profit_until_guiding as profit_amount
    from sums_until_roles
    where until_fulfilling > until_guiding
    union all
    select
        business_date,
        channel,
        home_store_id as store_id,
        'home' as role,
        net_amount - net_until_fulfilling as net_amount,
        profit_amount - profit_until_fulfilling as profit_amount
    from sums_until_roles
    where until_home > until_fulfilling
    union all
    select
        business_date,
        channel,
        cast(null as varchar) as store_id,
        'none' as role,
        net_amount,
        profit_amount
    from sums_until_roles
    where until_home = 0
),

store_attribution_daily as (
    select
        business_date,
        channel,
        store_id,
        role,
        cast(sum(net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(profit_amount) as decimal(18, 2)) as profit_amount
    from parts
    group by business_date, channel, store_id, role
)

select * from store_attribution_daily
