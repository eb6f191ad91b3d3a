with

product_daily as (
    select * from {{ ref('product_daily') }}
),

stores as (
    select * from {{ ref('stores') }}
),

products as (
    select * from {{ ref('products') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

sales as (
    select
        coalesce(stores.province, stores.city, 'unknown') as region,
        coalesce(products.category, 'uncategorised') as category,
        product_daily.sku,
        product_daily.store_id,
        product_daily.net_amount,
        product_daily.quantity
    from product_daily
    cross join run_settings
    cross join figure_settings
    inner join stores on product_daily.store_id = stores.store_id
    left join products on product_daily.sku = products.sku
    where
        {{ days_between('product_daily.business_date', 'run_settings.as_of') }}
        < figure_settings.windows_region_days
),

region_stores as (
    select
        region,
        count(distinct store_id) as n_stores
    from sales
    group by region
),

all_stores as (
    select sum(n_stores) as n_stores from region_stores
),

by_region_and_sku as (
    select
        region,
        category,
        sku,
        sum(net_amount) as net_amount,
        sum(quantity) as quantity
    from sales
    group by region, category, sku
),

by_sku as (
    select
        category,
        sku,
        sum(net_amount) as net_amount,
        sum(quantity) as quantity
    from by_region_and_sku
    group by category, sku
),

by_region as (
    select
        region,
        sum(net_amount) as net_amount
    from by_region_and_sku
    group by region
),

everything as (
    select sum(net_amount) as net_amount from by_sku
),

-- Every region beside every article that sells anywhere.
regions_and_skus as (
    select
        region_stores.region,
        by_sku.category,
        by_sku.sku,
        coalesce(by_region_and_sku.net_amount, 0) as net_amount,
        by_sku.net_amount - coalesce(by_region_and_sku.net_amount, 0) as rest_amount,
        coalesce(by_region_and_sku.quantity, 0) as quantity,
        cast(by_sku.quantity - coalesce(by_region_and_sku.quantity, 0) as double)
        / nullif(all_stores.n_stores - region_stores.n_stores, 0) as rest_units_a_store
    from region_stores
    cross join by_sku
    cross join all_stores
    left join by_region_and_sku
        on
            region_stores.region = by_region_and_sku.region
            and by_sku.category = by_region_and_sku.category
            and by_sku.sku = by_region_and_sku.sku
),

figures as (
    select
        region,
        category,
        sum(net_amount) as net_amount,
        sum(rest_amount) as rest_amount,
        count(case when quantity <= 0 and rest_units_a_store > 0 then 1 end) as missing_skus,
        {{ last_value_by('sku', ['rest_units_a_store', 'sku'], condition='quantity <= 0 and rest_units_a_store > 0') }}
            as missing_sku,
        max(case when quantity <= 0 then rest_units_a_store end) as missing_units_a_store
    from regions_and_skus
    group by region, category
),

shares as (
    select
        figures.*,
        cast(figures.net_amount as double) / nullif(cast(by_region.net_amount as double), 0) as share,
        cast(figures.rest_amount as double) / nullif(cast(everything.net_amount - by_region.net_amount as double), 0)
            as rest_share
    from figures
    cross join everything
    inner join by_region on figures.region = by_region.region
),

region_categories as (
    select
        region,
        category,
        cast(net_amount as decimal(18, 2)) as net_amount,
        share,
        rest_share,
        case when rest_share > 0 then share / rest_share end as share_index,
        missing_skus,
        missing_sku,
        case when missing_skus > 0 then missing_units_a_store end as missing_units_a_store
    from shares
)

select * from region_categories
