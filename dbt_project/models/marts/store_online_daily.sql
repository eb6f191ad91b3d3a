with

online_orders as (
    select * from {{ ref('int_online_orders') }}
),

stores as (
    select * from {{ ref('stores') }}
),

selling_stores as (
    select
        store_id,
        opened_on,
        closed_on,
        {{ city_key('city') }} as city
    from stores
    where coalesce(kind, 'store') = 'store'
),

cities_with_a_store as (
    select distinct city from selling_stores
    where city is not null
),

orders_of_cities as (
    select
        business_date,
        channel,
        city,
        count(*) as orders
    from online_orders
    where city is not null
    group by business_date, channel, city
),

city_orders as (
    select
        orders_of_cities.business_date,
        orders_of_cities.channel,
        selling_stores.store_id,
        orders_of_cities.orders as city_orders,
        0 as pickup_orders,
        0 as picked_up,
        0 as pickup_expired,
        0 as pickup_cancelled,
        0 as pickup_waiting,
        0 as pickup_minutes,
        0 as ship_from_store_orders,
        0 as same_city_orders,
        0 as located_orders,
        0 as nearest_orders,
        0 as staff_orders,
        0 as scan_orders
    from orders_of_cities
    inner join selling_stores on orders_of_cities.city = selling_stores.city
    where
        orders_of_cities.business_date >= coalesce(selling_stores.opened_on, orders_of_cities.business_date)
        and orders_of_cities.business_date <= coalesce(selling_stores.closed_on, orders_of_cities.business_date)
),

handed_over as (
    select
        online_orders.business_date,
        online_orders.channel,
        online_orders.handing_store_id as store_id,
        0 as city_orders,
        count(case when online_orders.fulfilment = 'pickup' then 1 end) as pickup_orders,
        count(case when online_orders.pickup_state = 'picked_up' then 1 end) as picked_up,
        count(case when online_orders.pickup_state = 'expired' then 1 end) as pickup_expired,
        count(case when online_orders.pickup_state = 'cancelled' then 1 end) as pickup_cancelled,
        count(case when online_orders.pickup_state = 'waiting' then 1 end) as pickup_waiting,
        coalesce(sum(greatest(online_orders.minutes_to_pickup, 0)), 0) as pickup_minutes,
        count(case when online_orders.fulfilment = 'ship_from_store' then 1 end) as ship_from_store_orders,
        count(case when online_orders.fulfilment = 'same_city' then 1 end) as same_city_orders,
        count(cities_with_a_store.city) as located_orders,
        count(case when cities_with_a_store.city = online_orders.store_city then 1 end) as nearest_orders,
        0 as staff_orders,
        0 as scan_orders
    from online_orders
    left join cities_with_a_store on online_orders.customer_city = cities_with_a_store.city
    where online_orders.handing_store_id is not null
    group by online_orders.business_date, online_orders.channel, online_orders.handing_store_id
),

guided as (
    select
        business_date,
        channel,
        guiding_store_id as store_id,
        0 as city_orders,
        0 as pickup_orders,
        0 as picked_up,
        0 as pickup_expired,
        0 as pickup_cancelled,
        0 as pickup_waiting,
        0 as pickup_minutes,
        0 as ship_from_store_orders,
        0 as same_city_orders,
        0 as located_orders,
        0 as nearest_orders,
        count(staff_store_id) as staff_orders,
        count(case when staff_store_id is null then 1 end) as scan_orders
    from online_orders
    where guiding_store_id is not null
    group by business_date, channel, guiding_store_id
),

figures as (
    select * from city_orders
    union all
    select * from handed_over
    union all
    select * from guided
),

store_online_daily as (
    select
        figures.business_date,
        figures.channel,
        figures.store_id,
        max(stores.city) as city,
        cast(max(figures.city_orders) as bigint) as city_orders,
        cast(sum(figures.pickup_orders) as bigint) as pickup_orders,
        cast(sum(figures.picked_up) as bigint) as picked_up,
        cast(sum(figures.pickup_expired) as bigint) as pickup_expired,
        cast(sum(figures.pickup_cancelled) as bigint) as pickup_cancelled,
        cast(sum(figures.pickup_waiting) as bigint) as pickup_waiting,
        cast(sum(figures.pickup_minutes) as bigint) as pickup_minutes,
        cast(sum(figures.ship_from_store_orders) as bigint) as ship_from_store_orders,
        cast(sum(figures.same_city_orders) as bigint) as same_city_orders,
        cast(sum(figures.located_orders) as bigint) as located_orders,
        cast(sum(figures.nearest_orders) as bigint) as nearest_orders,
        cast(sum(figures.staff_orders) as bigint) as staff_orders,
        cast(sum(figures.scan_orders) as bigint) as scan_orders
    from figures
    left join stores on figures.store_id = stores.store_id
    group by figures.business_date, figures.channel, figures.store_id
)

select * from store_online_daily
