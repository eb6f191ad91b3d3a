"""The queries behind the Complete Journey import; the rules they follow stand in `complete_journey`.

Belongs here: SQL over the source's views. Does not belong here: files, or the meaning of the source's columns.
"""

from __future__ import annotations

CHANNEL = "grocer"

GIFT_CARD_TYPES = (
    "ELECTRONIC GIFT CARDS ACTIVATI", "ELECTRONIC GIFT CARDS REFRESH", "OUTSIDE VENDORS GIFT CARDS",
    "MASTERCARD GIFT CARD", "AMERICAN EXPRESS GIFT CARD",
)  # fmt: skip
"""Product types of the source that are stored value."""

COUPONS_IN_A_BOOKLET = 16
"""A household of a Type A campaign got this many coupons chosen for it; the source doesn't say which."""

SALES = """
create temp table sale_rows as
with transaction_rows as (
    select
        _row,
        basket_id::varchar as order_id,
        household_id::varchar as member_id,
        store_id::varchar as store_id,
        product_id::varchar as sku,
        transaction_timestamp::timestamp as placed_at,
        quantity::bigint as quantity,
        round(sales_value * 100)::bigint as sales_cents,
        round((retail_disc + coupon_match_disc) * 100)::bigint as discount_cents,
        round(coupon_disc * 100)::bigint as coupon_cents
    from transactions
),

moved as (
    select
        *,
        row_number() over (partition by order_id order by _row) as line_no,
        quantity > 0 or sales_cents > 0 or discount_cents > 0 as is_sale,
        bool_or(quantity > 0 or sales_cents > 0 or discount_cents > 0) over (partition by order_id) as basket_has_sale,
        min(placed_at) over (partition by order_id) as basket_placed_at
    from transaction_rows
)

select
    * exclude (quantity, placed_at),
    basket_placed_at as placed_at,
    greatest(quantity, 1) as quantity,
    is_sale or (not basket_has_sale and line_no = 1) as has_line,
    sales_cents + discount_cents as gross_cents
from moved
"""

LINES = """
create temp table sale_lines as
with priced as (
    select
        *,
        gross_cents // quantity as unit_cents,
        gross_cents % quantity as dearer_quantity
    from sale_rows
    where has_line
),

split_by_price as (
    select *, line_no::varchar as line_id, quantity - dearer_quantity as units, unit_cents as price_cents
    from priced
    union all
    select *, line_no::varchar || '+' as line_id, dearer_quantity as units, unit_cents + 1 as price_cents
    from priced
    where dearer_quantity > 0
),

discounted as (
    select
        *,
        case
            when dearer_quantity = 0 then discount_cents
            when line_id like '%+' then discount_cents * (units * price_cents) // gross_cents
            else discount_cents - discount_cents * (dearer_quantity * (unit_cents + 1)) // gross_cents
        end as line_discount_cents
    from split_by_price
)

select
    order_id,
    line_no,
    struct_pack(
        line_id := line_id,
        sku := sku,
        quantity := units,
        unit_list_price := (price_cents::decimal(18, 0) * 0.01)::decimal(18, 2),
        unit_price := (price_cents::decimal(18, 0) * 0.01)::decimal(18, 2),
        discount_amount := (line_discount_cents::decimal(18, 0) * 0.01)::decimal(18, 2),
        tax_rate := 0::decimal(4, 2),
        is_gift := not is_sale
    ) as line,
    units * price_cents - line_discount_cents as amount_cents
from discounted
"""

ORDERS = """
with baskets as (
    select
        order_id,
        min(placed_at) as placed_at,
        min(member_id) as member_id,
        min(store_id) as store_id,
        sum(coupon_cents)::bigint as coupon_cents
    from sale_rows
    where date_trunc('month', placed_at) = date '{month}'
    group by order_id
),

line_lists as (
    select order_id, list(line order by line_no, line.line_id) as lines, sum(amount_cents)::bigint as items_cents
    from sale_lines
    where order_id in (select order_id from baskets)
    group by order_id
),

paid_how as (
    select *, least(coupon_cents, items_cents) as coupon_paid_cents
    from baskets
    inner join line_lists using (order_id)
),

in_dollars as (
    select
        *,
        (items_cents::decimal(18, 0) * 0.01)::decimal(18, 2) as items_amount,
        (coupon_paid_cents::decimal(18, 0) * 0.01)::decimal(18, 2) as coupon_amount
    from paid_how
),

redeemed as (
    select redeemed_order_id as order_id, list(coupon_code order by coupon_code) as coupon_codes
    from coupon_rows
    where redeemed_order_id is not null
    group by redeemed_order_id
)

select
    order_id,
    {instant} as updated_at,
    {instant} as placed_at,
    'completed' as status,
    {instant} as paid_at,
    {instant} as completed_at,
    member_id,
    store_id,
    'in_store' as fulfilment,
    store_id as fulfil_store_id,
    coalesce(coupon_codes, []) as coupon_codes,
    'USD' as currency,
    items_amount,
    items_amount as paid_amount,
    list_filter(
        [
            struct_pack(type := 'manufacturer_coupon', amount := coupon_amount),
            struct_pack(type := 'till', amount := items_amount - coupon_amount)
        ],
        lambda tender: tender.amount > 0
    ) as tenders,
    lines
from in_dollars
left join redeemed using (order_id)
order by in_dollars.placed_at, order_id
""".replace("{instant}", "strftime(in_dollars.placed_at, '%Y-%m-%dT%H:%M:%SZ')")

COUPONS = """
create temp table coupon_rows as
with offered_sets as (
    select distinct campaign_id::varchar as campaign_id, coupon_upc::varchar as pool_id from coupons
),

targeted as (
    select distinct
        campaigns.campaign_id::varchar as campaign_id,
        campaigns.household_id::varchar as member_id,
        campaign_type,
        start_date::date as starts_on,
        end_date::date as ends_on
    from campaigns
    inner join campaign_descriptions using (campaign_id)
),

redemptions as (
    select
        household_id::varchar as member_id,
        campaign_id::varchar as campaign_id,
        coupon_upc::varchar as pool_id,
        redemption_date::date as redeemed_on,
        row_number() over (
            partition by household_id, campaign_id, coupon_upc order by redemption_date
        ) as nth_of_pool,
        row_number() over (partition by household_id, campaign_id order by redemption_date, coupon_upc) as nth
    from coupon_redemptions
),

everybody_got as (
    select targeted.*, offered_sets.pool_id, 1 as nth_of_pool
    from targeted
    inner join offered_sets using (campaign_id)
    where campaign_type <> 'Type A'
),

issued as (
    select
        coalesce(everybody_got.campaign_id, redemptions.campaign_id) as campaign_id,
        coalesce(everybody_got.member_id, redemptions.member_id) as member_id,
        coalesce(everybody_got.pool_id, redemptions.pool_id) as pool_id,
        redemptions.redeemed_on,
        coalesce(everybody_got.pool_id, redemptions.pool_id)
        || '-' || coalesce(everybody_got.nth_of_pool, redemptions.nth_of_pool)::varchar as slot
    from everybody_got
    full outer join redemptions
        on everybody_got.campaign_id = redemptions.campaign_id
        and everybody_got.member_id = redemptions.member_id
        and everybody_got.pool_id = redemptions.pool_id
        and redemptions.nth_of_pool = 1
),

booklet_rest as (
    select
        targeted.campaign_id, targeted.member_id, null as pool_id, null::date as redeemed_on,
        'booklet-' || slots.number::varchar as slot
    from targeted
    cross join range(1, {booklet} + 1) as slots (number)
    where
        campaign_type = 'Type A'
        and slots.number > (
            select count(*) from redemptions
            where redemptions.campaign_id = targeted.campaign_id and redemptions.member_id = targeted.member_id
        )
),

all_coupons as (
    select * from issued
    union all
    select * from booklet_rest
),

coupon_baskets as (
    select
        member_id,
        timezone('America/New_York', timezone('UTC', placed_at))::date as bought_on,
        arg_max(order_id, (coupon_cents, order_id)) as order_id,
        arg_max(placed_at, (coupon_cents, order_id)) as placed_at
    from (
        select member_id, order_id, min(placed_at) as placed_at, sum(coupon_cents) as coupon_cents
        from sale_rows
        group by member_id, order_id
    )
    where coupon_cents > 0
    group by all
),

dated as (
    select
        all_coupons.*,
        campaign_descriptions.start_date::date as starts_on,
        campaign_descriptions.end_date::date as ends_on
    from all_coupons
    inner join campaign_descriptions on campaign_descriptions.campaign_id::varchar = all_coupons.campaign_id
)

select
    dated.campaign_id || '-' || dated.member_id || '-' || slot as coupon_code,
    dated.campaign_id,
    pool_id,
    dated.member_id,
    starts_on,
    ends_on,
    redeemed_on,
    coupon_baskets.order_id as redeemed_order_id,
    coupon_baskets.placed_at as redeemed_at
from dated
left join coupon_baskets on dated.member_id = coupon_baskets.member_id and dated.redeemed_on = coupon_baskets.bought_on
""".replace("{booklet}", str(COUPONS_IN_A_BOOKLET))

COUPON_FEED = """
select
    coupon_code,
    case
        when redeemed_on is null then strftime(starts_on, '%Y-%m-%dT00:00:00')
        else coalesce(strftime(redeemed_at, '%Y-%m-%dT%H:%M:%SZ'), strftime(redeemed_on, '%Y-%m-%dT12:00:00'))
    end as updated_at,
    campaign_id,
    pool_id,
    member_id,
    'amount_off' as kind,
    'USD' as currency,
    strftime(starts_on, '%Y-%m-%dT00:00:00') as issued_at,
    strftime(starts_on, '%Y-%m-%dT00:00:00') as claimed_at,
    coalesce(strftime(redeemed_at, '%Y-%m-%dT%H:%M:%SZ'), strftime(redeemed_on, '%Y-%m-%dT12:00:00')) as redeemed_at,
    redeemed_order_id,
    strftime(ends_on + 1, '%Y-%m-%dT00:00:00') as expires_at
from coupon_rows
order by coupon_code
"""

MEMBERS = """
with households as (
    select household_id::varchar as member_id from transactions
    union
    select household_id::varchar from campaigns
    union
    select household_id::varchar from demographics
)

select
    member_id,
    '2017-01-01T00:00:00' as updated_at,
    case
        when demographics.household_id is not null
            then to_json(
                struct_pack(age := age, income := income, household_size := household_size, kids_count := kids_count)
            )::varchar
    end as attributes
from households
left join demographics on demographics.household_id::varchar = member_id
order by member_id
"""

PRODUCTS = """
select
    product_id::varchar as sku,
    '2017-01-01T00:00:00' as updated_at,
    coalesce(product_type, product_category, department, 'product') || coalesce(' ' || package_size, '') as name,
    case when product_type in {gift_cards} then 'gift_card/' else '' end
    || array_to_string(
        list_transform(
            list_filter([department, product_category, product_type], lambda part: part is not null),
            lambda part: replace(part, '/', ' & ')
        ),
        '/'
    ) as category_path,
    brand,
    'USD' as currency,
    0::decimal(4, 2) as tax_rate,
    'on_sale' as status
from products
order by sku
""".replace("{gift_cards}", repr(GIFT_CARD_TYPES))

STORES = """
select
    store_id::varchar as store_id, '2017-01-01T00:00:00' as updated_at, 'Store ' || store_id::varchar as name,
    'store' as kind, 'grocer' as brand, 'America/New_York' as timezone
from transactions
group by store_id
order by store_id
"""

CAMPAIGNS = """
select
    campaign_id::varchar as campaign_id,
    strftime(start_date::date, '%Y-%m-%dT00:00:00') as updated_at,
    'Campaign ' || campaign_id::varchar as name,
    campaign_type as kind,
    strftime(start_date::date, '%Y-%m-%dT00:00:00') as starts_at,
    strftime(end_date::date + 1, '%Y-%m-%dT00:00:00') as ends_at,
    ['{channel}'] as channels
from campaign_descriptions
order by campaign_id
""".replace("{channel}", CHANNEL)
