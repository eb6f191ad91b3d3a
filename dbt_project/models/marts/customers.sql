with

identities as (
    select * from {{ ref('customer_identities') }}
),

members as (
    select * from {{ ref('stg_members') }}
),

golden_record as (
    select * from {{ ref('golden_record') }}
),

consents as (
    select * from {{ ref('customer_consents') }}
),

staff as (
    select * from {{ ref('stg_staff') }}
),

orders as (
    select * from {{ ref('orders') }}
),

order_events as (
    select * from {{ ref('order_events') }}
),

customers_by_identity as (
    select
        customer_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        count(case when kind = 'member' then 1 end) as n_members
    from identities
    where customer_id is not null
    group by customer_id
),

customers_by_order as (
    select
        customer_id,
        min(ordered_at) as first_seen_at,
        max(ordered_at) as last_seen_at,
        0 as n_members
    from orders
    where customer_id is not null
    group by customer_id
),

sightings as (
    select * from customers_by_identity
    union all
    select * from customers_by_order
),

seen_customers as (
    select
        customer_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(n_members) as n_members
    from sightings
    group by customer_id
),

channels_of_customers as (
    select
        customer_id,
        channel
    from identities
    where
        customer_id is not null
        and kind = 'member'
    union
    select
        customer_id,
        channel
    from orders
    where customer_id is not null
),

channel_counts as (
    select
        customer_id,
        count(*) as n_channels
    from channels_of_customers
    group by customer_id
),

memberships as (
    select
        identities.customer_id,
        members.*
    from members
    inner join identities
        on
            identities.kind = 'member'
            and members.channel = identities.channel
            and members.member_id = identities.identity
    where identities.customer_id is not null
),

-- A phone of the staff marks its owner as staff; on memberships of several names, those of the staff's own name only:
-- a clerk who types their own number for customers does not make them colleagues.
staff_phones as (
    select
        staff.phone_token,
        count(distinct memberships.name_token) as n_names
    from staff
    inner join memberships on staff.phone_token = memberships.phone_token
    group by staff.phone_token
),

staff_customers as (
    select distinct memberships.customer_id
    from memberships
    inner join staff_phones on memberships.phone_token = staff_phones.phone_token
    inner join staff on memberships.phone_token = staff.phone_token
    where
        staff_phones.n_names <= 1
        or memberships.name_token = staff.name_token
),

golden_values as (
    select
        customer_id,
        max(case when attribute = 'home_store_id' then value end) as home_store_id,
        max(case when attribute = 'level' then value end) as level
    from golden_record
    where attribute in ('home_store_id', 'level')
    group by customer_id
),

live_members as (
    select
        customer_id,
        count(case when not is_deleted then 1 end) as n_live
    from memberships
    group by customer_id
),

marketing_consents as (
    select
        customer_id,
        bool_and(is_granted) as consent_marketing
    from consents
    where
        purpose = 'marketing'
        and decides
    group by customer_id
),

qualified_orders as (
    select * from orders
    where
        is_qualified
        and customer_id is not null
),

order_facts as (
    select
        customer_id,
        min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at,
        {{ first_value_by('channel', ['ordered_at', 'channel', 'order_id']) }} as first_channel
    from qualified_orders
    group by customer_id
),

-- Preferred: most qualified orders, then most money, then the latest, then by name.
orders_by_channel as (
    select
        customer_id,
        channel,
        count(*) as n_orders,
        sum(net_amount) as net_amount,
        max(ordered_at) as last_order_at
    from qualified_orders
    group by customer_id, channel
),

preferred_channels as (
    select
        customer_id,
        {{ last_value_by('channel', ['n_orders', 'net_amount', 'last_order_at', 'channel']) }} as preferred_channel
    from orders_by_channel
    group by customer_id
),

orders_by_store as (
    select
        customer_id,
        store_id,
        count(*) as n_orders,
        sum(net_amount) as net_amount,
        max(ordered_at) as last_order_at
    from qualified_orders
    where store_id is not null
    group by customer_id, store_id
),

preferred_stores as (
    select
        customer_id,
        {{ last_value_by('store_id', ['n_orders', 'net_amount', 'last_order_at', 'store_id']) }} as preferred_store_id
    from orders_by_store
    group by customer_id
),

order_sales_by_category as (
    select
        channel,
        order_id,
        category,
        sum(net_amount) as net_amount
    from order_events
    where
        kind = 'sale'
        and customer_id is not null
        and category != 'uncategorised'
    group by channel, order_id, category
),

orders_by_category as (
    select
        qualified_orders.customer_id,
        order_sales_by_category.category,
        count(*) as n_orders,
        sum(order_sales_by_category.net_amount) as net_amount,
        max(qualified_orders.ordered_at) as last_order_at
    from order_sales_by_category
    inner join qualified_orders
        on
            order_sales_by_category.channel = qualified_orders.channel
            and order_sales_by_category.order_id = qualified_orders.order_id
    group by qualified_orders.customer_id, order_sales_by_category.category
),

preferred_categories as (
    select
        customer_id,
        {{ last_value_by('category', ['n_orders', 'net_amount', 'last_order_at', 'category']) }} as preferred_category
    from orders_by_category
    group by customer_id
),

customers as (
    select
        seen_customers.customer_id,
        seen_customers.first_seen_at,
        seen_customers.last_seen_at,
        cast(seen_customers.n_members as bigint) as n_members,
        cast(coalesce(channel_counts.n_channels, 0) as bigint) as n_channels,
        golden_values.home_store_id,
        golden_values.level,
        staff_customers.customer_id is not null as is_staff,
        case
            when live_members.n_live = 0 then false
            else marketing_consents.consent_marketing
        end as consent_marketing,
        order_facts.first_order_at,
        order_facts.last_order_at,
        order_facts.first_channel,
        preferred_channels.preferred_channel,
        preferred_stores.preferred_store_id,
        preferred_categories.preferred_category
    from seen_customers
    left join channel_counts on seen_customers.customer_id = channel_counts.customer_id
    left join golden_values on seen_customers.customer_id = golden_values.customer_id
    left join live_members on seen_customers.customer_id = live_members.customer_id
    left join marketing_consents on seen_customers.customer_id = marketing_consents.customer_id
    left join staff_customers on seen_customers.customer_id = staff_customers.customer_id
    left join order_facts on seen_customers.customer_id = order_facts.customer_id
    left join preferred_channels on seen_customers.customer_id = preferred_channels.customer_id
    left join preferred_stores on seen_customers.customer_id = preferred_stores.customer_id
    left join preferred_categories on seen_customers.customer_id = preferred_categories.customer_id
)

select * from customers
