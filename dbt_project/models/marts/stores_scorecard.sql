with recursive

sales_daily as (
    select * from {{ ref('sales_daily') }}
),

channels as (
    select * from {{ ref('channels') }}
),

stores as (
    select * from {{ ref('stores') }}
),

store_areas as (
    select * from {{ ref('int_store_areas') }}
),

store_online_daily as (
    select * from {{ ref('store_online_daily') }}
),

store_attribution_daily as (
    select * from {{ ref('store_attribution_daily') }}
),

reviews as (
    select * from {{ ref('stg_reviews') }}
),

orders as (
    select * from {{ ref('orders') }}
),

zone_offsets as (
    select * from {{ ref('int_zone_offsets') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

sales_by_quarter as (
    select
        store_id,
        {{ period_start('quarter', 'business_date') }} as quarter,
        sum(net_amount) as net_amount,
        sum(sales_net_amount) as sales_net_amount,
        sum(member_net_amount) as member_net_amount,
        sum(paid_orders) as orders,
        count(distinct case when paid_orders > 0 then business_date end) as trading_days,
        min(currency) as lowest_currency,
        max(currency) as highest_currency,
        sum(net_amount_local) as net_amount_local,
        count(case when currency is null and net_amount != 0 then 1 end) as n_mixed
    from sales_daily
    where store_id is not null
    group by store_id, {{ period_start('quarter', 'business_date') }}
),

quarters as (
    select
        sales_by_quarter.*,
        stores.brand,
        stores.opened_on,
        stores.closed_on,
        coalesce(stores.province, stores.city) as region,
        run_settings.as_of,
        {{ period_end('quarter', 'sales_by_quarter.quarter') }} as quarter_end,
        least({{ period_end('quarter', 'sales_by_quarter.quarter') }}, run_settings.as_of) as last_day,
        sum(sales_by_quarter.trading_days) over (
            partition by sales_by_quarter.store_id order by sales_by_quarter.quarter
        ) as trading_days_so_far
    from sales_by_quarter
    cross join run_settings
    inner join stores on sales_by_quarter.store_id = stores.store_id
    where coalesce(stores.kind, 'store') = 'store'
),

-- A store that was open for half of the quarter has half of its area.
areas as (
    select
        quarters.store_id,
        quarters.quarter,
        sum(
            store_areas.selling_area_m2 * greatest(
                0,
                {{ days_between(
                    'greatest(store_areas.valid_from, quarters.quarter, coalesce(quarters.opened_on, quarters.quarter))',
                    'least(store_areas.valid_before, ' ~ day_after('quarters.last_day') ~ ', '
                    ~ day_after('coalesce(quarters.closed_on, quarters.last_day)') ~ ')'
                ) }}
            )
        ) as area_days,
        max({{ days_between('quarters.quarter', day_after('quarters.last_day')) }}) as days
    from quarters
    inner join store_areas on quarters.store_id = store_areas.store_id
    group by quarters.store_id, quarters.quarter
),

placed_reviews as (
    select
        reviews.created_at,
        reviews.rating,
        coalesce(reviews.store_id, orders.store_id, orders.fulfil_store_id) as store_id
    from reviews
    left join orders
        on
            reviews.store_id is null
            and reviews.channel = orders.channel
            and reviews.order_id = orders.order_id
),

reviews_with_zones as (
    select
        placed_reviews.*,
        coalesce(stores.timezone, run_settings.timezone) as timezone
    from placed_reviews
    cross join run_settings
    inner join stores on placed_reviews.store_id = stores.store_id
),

reviews_with_days as (
    select
        reviews_with_zones.store_id,
        reviews_with_zones.rating,
        {{ business_day_by_span(
            'reviews_with_zones.created_at', 'reviews_with_zones.timezone', "time '00:00:00'", 'zone_offsets'
        ) }} as created_on
    from reviews_with_zones
    left join zone_offsets
        on
            reviews_with_zones.timezone = zone_offsets.timezone
            and reviews_with_zones.created_at >= zone_offsets.valid_from
            and reviews_with_zones.created_at < zone_offsets.valid_before
),

ratings as (
    select
        reviews_with_days.store_id,
        {{ period_start('quarter', 'reviews_with_days.created_on') }} as quarter,
        avg(cast(reviews_with_days.rating as double)) as rating,
        count(*) as n_ratings
    from reviews_with_days
    cross join run_settings
    where reviews_with_days.created_on <= run_settings.as_of
    group by reviews_with_days.store_id, {{ period_start('quarter', 'reviews_with_days.created_on') }}
),

online_by_quarter as (
    select
        store_id,
        {{ period_start('quarter', 'business_date') }} as quarter,
        sum(pickup_orders) as pickup_orders,
        sum(city_orders) as city_orders,
        sum(staff_orders + scan_orders) as diverted_orders
    from store_online_daily
    group by store_id, {{ period_start('quarter', 'business_date') }}
),

all_online_orders as (
    select
        {{ period_start('quarter', 'sales_daily.business_date') }} as quarter,
        sum(sales_daily.paid_orders) as paid_orders
    from sales_daily
    inner join channels on sales_daily.channel = channels.channel
    where channels.is_online
    group by {{ period_start('quarter', 'sales_daily.business_date') }}
),

attributed_by_quarter as (
    select
        store_id,
        {{ period_start('quarter', 'business_date') }} as quarter,
        sum(net_amount) as net_amount,
        sum(profit_amount) as profit_amount
    from store_attribution_daily
    where store_id is not null
    group by store_id, {{ period_start('quarter', 'business_date') }}
),

figures as (
    select
        quarters.*,
        ratings.rating,
        coalesce(ratings.n_ratings, 0) as n_ratings,
        cast(areas.area_days as double) / areas.days as selling_area_m2,
        case
            when areas.area_days > 0 then {{ net_per_area('quarters.net_amount', 'areas.area_days', 'areas.days') }}
        end
            as net_per_m2,
        cast(online_by_quarter.pickup_orders as double) / nullif(online_by_quarter.city_orders, 0) as pickup_share,
        cast(coalesce(online_by_quarter.diverted_orders, 0) as double) / nullif(all_online_orders.paid_orders, 0)
            as diverted_share,
        coalesce(attributed_by_quarter.net_amount, 0) as attributed_net_amount,
        coalesce(attributed_by_quarter.profit_amount, 0) as attributed_profit_amount,
        quarters.trading_days_so_far >= figure_settings.store_tiers_min_trading_days as is_rated
    from quarters
    cross join figure_settings
    left join areas
        on
            quarters.store_id = areas.store_id
            and quarters.quarter = areas.quarter
    left join ratings
        on
            quarters.store_id = ratings.store_id
            and quarters.quarter = ratings.quarter
    left join online_by_quarter
        on
            quarters.store_id = online_by_quarter.store_id
            and quarters.quarter = online_by_quarter.quarter
    left join all_online_orders on quarters.quarter = all_online_orders.quarter
    left join attributed_by_quarter
        on
            quarters.store_id = attributed_by_quarter.store_id
            and quarters.quarter = attributed_by_quarter.quarter
),

rated as (
    select
        *,
        count(*) over (partition by quarter, brand, region) as n_of_brand_and_region,
        count(*) over (partition by quarter, brand) as n_of_brand
    from figures
    where is_rated
),

rated_with_groups as (
    select
        rated.*,
        case
            when rated.n_of_brand_and_region >= figure_settings.store_tiers_min_peers then 'brand and region'
            when rated.n_of_brand >= figure_settings.store_tiers_min_peers then 'brand'
            else 'all'
        end as peer_group
    from rated
    cross join figure_settings
),

-- Percentile: the part of the peers that are worse, equal ones by half.
comparisons as (
    select
        own.store_id,
        own.quarter,
        count(*) as peers,
    {% for measure in ['sales_net_amount', 'rating', 'net_per_m2'] %}
    avg(
        case
            when own.{{ measure }} is null or peer.{{ measure }} is null then null
            when peer.{{ measure }} < own.{{ measure }} then 1.0
            when peer.{{ measure }} = own.{{ measure }} then 0.5
            else 0.0
        end
    ) as {{ measure }}_percentile{{ ',' if not loop.last }}
    {% endfor %}
    from rated_with_groups as own
    inner join rated_with_groups as peer
        on
            own.quarter = peer.quarter
            and own.store_id != peer.store_id
            and (own.peer_group = 'all' or own.brand = peer.brand)
            and (own.peer_group != 'brand and region' or own.region = peer.region)
    group by own.store_id, own.quarter
),

scores as (
    select
        store_id,
        quarter,
        peers,
        round(
            (
                coalesce(sales_net_amount_percentile, 0)
                + coalesce(rating_percentile, 0)
                + coalesce(net_per_m2_percentile, 0)
            ) / nullif(
                case when sales_net_amount_percentile is null then 0 else 1 end
                + case when rating_percentile is null then 0 else 1 end
                + case when net_per_m2_percentile is null then 0 else 1 end,
                0
            ),
            6
        ) as score
    from comparisons
),

-- The lowest and the highest tier that the score allows: between them the tier before stays. 4 is S, 1 is C.
allowed_tiers as (
    select
        scores.store_id,
        scores.quarter,
        row_number() over (partition by scores.store_id order by scores.quarter) as turn,
        {{ tier_number('scores.score', 'figure_settings') }} as tier_number,
        {{ tier_number('scores.score - figure_settings.store_tiers_hysteresis', 'figure_settings') }} as lowest_number,
        {{ tier_number('scores.score + figure_settings.store_tiers_hysteresis', 'figure_settings') }} as highest_number
    from scores
    cross join figure_settings
    where scores.score is not null
),

tiers as (
    select
        store_id,
        quarter,
        turn,
        tier_number,
        cast(null as integer) as previous_number
    from allowed_tiers
    where turn = 1
    union all
    select
        allowed_tiers.store_id,
        allowed_tiers.quarter,
        allowed_tiers.turn,
        greatest(allowed_tiers.lowest_number, least(allowed_tiers.highest_number, tiers.tier_number)) as tier_number,
        tiers.tier_number as previous_number
    from tiers
    inner join allowed_tiers
        on
            tiers.store_id = allowed_tiers.store_id
            and allowed_tiers.turn = tiers.turn + 1
),

stores_scorecard as (
    select
        figures.store_id,
        figures.quarter,
        figures.quarter_end <= figures.as_of as is_finished,
        figures.brand,
        figures.region,
        cast(figures.net_amount as decimal(18, 2)) as net_amount,
        case
            when figures.lowest_currency = figures.highest_currency and figures.n_mixed = 0 then figures.lowest_currency
        end
            as currency,
        cast(
            case
                when figures.lowest_currency = figures.highest_currency and figures.n_mixed = 0
                    then figures.net_amount_local
            end as decimal(18, 2)
        ) as net_amount_local,
        cast(figures.sales_net_amount as decimal(18, 2)) as sales_net_amount,
        cast(figures.orders as bigint) as orders,
        figures.rating,
        figures.n_ratings,
        figures.selling_area_m2,
        cast(figures.net_per_m2 as decimal(18, 2)) as net_per_m2,
        cast(figures.member_net_amount as double) / nullif(cast(figures.net_amount as double), 0) as member_share,
        figures.pickup_share,
        figures.diverted_share,
        cast(figures.attributed_net_amount as decimal(18, 2)) as attributed_net_amount,
        cast(figures.attributed_profit_amount as decimal(18, 2)) as attributed_profit_amount,
        figures.trading_days,
        cast(figures.trading_days_so_far as bigint) as trading_days_so_far,
        rated_with_groups.peer_group,
        scores.peers,
        scores.score,
        {{ tier_letter('tiers.tier_number') }} as tier,
        {{ tier_letter('tiers.previous_number') }} as previous_tier
    from figures
    left join rated_with_groups
        on
            figures.store_id = rated_with_groups.store_id
            and figures.quarter = rated_with_groups.quarter
    left join scores
        on
            figures.store_id = scores.store_id
            and figures.quarter = scores.quarter
    left join tiers
        on
            figures.store_id = tiers.store_id
            and figures.quarter = tiers.quarter
)

select * from stores_scorecard
