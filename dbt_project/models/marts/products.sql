with

delivered_products as (
    select * from {{ ref('stg_products') }}
),

-- One sku may come from several channels: the shared record speaks for all, else the newest.
ranked_products as (
    select
        *,
        row_number() over (
            partition by sku
            order by case when channel = '_shared' then 0 else 1 end asc, updated_at desc, channel asc
        ) as preference
    from delivered_products
),

products as (
    select
        sku,
        channel,
        spu,
        name,
        category,
        category_path,
        brand,
        list_price,
        cost,
        currency,
        tax_rate,
        stage,
        status,
        is_merchandise,
        is_merchandise
        and coalesce(not {{ is_one_of('lower(trim(status))', var('unsellable_product_statuses')) }}, true)
            as is_sellable
    from ranked_products
    where preference = 1
)

select * from products
