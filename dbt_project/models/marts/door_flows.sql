with

orders as (
    select * from {{ ref('orders') }}
),

channels as (
    select * from {{ ref('channels') }}
),

stores as (
    select * from {{ ref('stores') }}
),

visits as (
    select * from {{ ref('int_visits') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

orders_with_doors as (
    select
        orders.customer_id,
        orders.ordered_at,
        orders.business_date,
        orders.is_first_order,
        channels.is_online,
        channels.is_online and coalesce(orders.fulfilment, '') = 'pickup' as is_pickup,
        coalesce(stores.brand, channels.brand) as brand
    from orders
    inner join channels on orders.channel = channels.channel
    left join stores on orders.store_id = stores.store_id
    where
        orders.is_qualified
        and orders.customer_id is not null
),

brands as (
    select distinct brand from orders_with_doors
    where brand is not null
),

first_scans as (
    select
        customer_id,
        min(scanned_at) as scanned_at,
        min(business_date) as business_date
    from visits
    where
        scanned_at is not null
        and customer_id is not null
    group by customer_id
),

starts as (
    select
        'store_to_online' as flow,
        'store' as from_door,
        'online' as to_door,
        customer_id,
        ordered_at as began_at,
        business_date as began_on
    from orders_with_doors
    where is_first_order and not is_online
    union all
    select
        'online_to_store' as flow,
        'online' as from_door,
        'store' as to_door,
        customer_id,
        ordered_at as began_at,
        business_date as began_on
    from orders_with_doors
    where is_first_order and is_online
    union all
    select
        'online_to_pickup' as flow,
        'online' as from_door,
        'pickup' as to_door,
        customer_id,
        ordered_at as began_at,
        business_date as began_on
    from orders_with_doors
    where is_first_order and is_online and not is_pickup
    union all
    select
        'brand_to_brand' as flow,
        orders_with_doors.brand as from_door,
        brands.brand as to_door,
        orders_with_doors.customer_id,
        orders_with_doors.ordered_at as began_at,
        orders_with_doors.business_date as began_on
    from orders_with_doors
    inner join brands on orders_with_doors.brand != brands.brand
    where orders_with_doors.is_first_order
    union all
    select
        'scan_to_home' as flow,
        'store' as from_door,
        'home' as to_door,
        customer_id,
        scanned_at as began_at,
        business_date as began_on
    from first_scans
),

starts_with_windows as (
    select
        starts.*,
        {{ period_start('month', 'starts.began_on') }} as month,
        case
            when starts.flow = 'scan_to_home' then figure_settings.windows_scan_days
            else figure_settings.windows_flow_days
        end as window_days
    from starts
    cross join figure_settings
),

followers as (
    select distinct
        starts_with_windows.flow,
        starts_with_windows.to_door,
        starts_with_windows.customer_id
    from starts_with_windows
    inner join orders_with_doors
        on
            starts_with_windows.customer_id = orders_with_doors.customer_id
            and starts_with_windows.began_at < orders_with_doors.ordered_at
            and {{ days_between('starts_with_windows.began_on', 'orders_with_doors.business_date') }}
            <= starts_with_windows.window_days
    where
        case starts_with_windows.flow
            when 'store_to_online' then orders_with_doors.is_online
            when 'online_to_store' then not orders_with_doors.is_online
            when 'online_to_pickup' then orders_with_doors.is_pickup
            when 'scan_to_home' then orders_with_doors.is_online and not orders_with_doors.is_pickup
            else starts_with_windows.to_door = orders_with_doors.brand
        end
),

months as (
    select
        starts_with_windows.flow,
        starts_with_windows.from_door,
        starts_with_windows.to_door,
        starts_with_windows.month,
        starts_with_windows.window_days,
        count(*) as customers,
        count(followers.customer_id) as followed
    from starts_with_windows
    left join followers
        on
            starts_with_windows.flow = followers.flow
            and starts_with_windows.to_door = followers.to_door
            and starts_with_windows.customer_id = followers.customer_id
    group by
        starts_with_windows.flow,
        starts_with_windows.from_door,
        starts_with_windows.to_door,
        starts_with_windows.month,
        starts_with_windows.window_days
),

door_flows as (
    select
        months.flow,
        months.from_door,
        months.to_door,
        months.month,
        cast(months.window_days as integer) as window_days,
        months.customers,
        months.followed,
        case
            when
                {{ days_between(period_end('month', 'months.month'), 'run_settings.as_of') }} >= months.window_days
                then cast(months.followed as double) / months.customers
        end as flow_rate
    from months
    cross join run_settings
)

select * from door_flows
