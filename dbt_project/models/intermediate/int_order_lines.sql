with

orders as (
    select * from {{ ref('int_orders') }}
),

order_lines as (
    select * from {{ ref('stg_order_lines') }}
),

products as (
    select * from {{ ref('stg_products') }}
),

priced_lines as (
    select
        order_lines.order_key,
        order_lines.line_id,
        order_lines.position,
        order_lines.sku,
        order_lines.quantity,
        coalesce(order_lines.unit_list_price, order_lines.unit_price) as unit_list_price,
        order_lines.unit_price,
        coalesce(order_lines.discount_amount, 0) as line_discount_amount,
        coalesce(
            {{ usable_tax_rate('order_lines.tax_rate') }},
            {{ usable_tax_rate('own_products.tax_rate') }},
            {{ usable_tax_rate('shared_products.tax_rate') }},
            0
        ) as tax_rate,
        coalesce(order_lines.is_gift, false) as is_gift,
        coalesce(own_products.category, shared_products.category, 'uncategorised') as category,
        coalesce(own_products.is_merchandise, shared_products.is_merchandise, true) as is_merchandise,
        coalesce(own_products.cost, shared_products.cost) as unit_cost,
        case when own_products.cost is not null then own_products.currency else shared_products.currency end
            as cost_currency
    from order_lines
    inner join orders on order_lines.order_key = orders.order_key
    left join products as own_products
        on
            orders.channel = own_products.channel
            and order_lines.sku = own_products.sku
    left join products as shared_products
        on
            shared_products.channel = '_shared'
            and order_lines.sku = shared_products.sku
)

select * from priced_lines
