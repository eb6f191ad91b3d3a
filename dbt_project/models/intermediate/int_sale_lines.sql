with

orders as (
    select * from {{ ref('int_orders') }}
),

order_lines as (
    select * from {{ ref('int_order_lines') }}
),

order_exceptions as (
    select * from {{ ref('int_order_exceptions') }}
),

fx_rates as (
    select * from {{ ref('stg_fx_rates') }}
),

booked_orders as (
    select
        orders.order_key,
        orders.business_date,
        orders.fx_rate,
        orders.order_discount_amount
    from orders
    left join order_exceptions on orders.order_key = order_exceptions.order_key
    where
        orders.is_paid
        and not orders.is_test
        and order_exceptions.order_key is null
),

booked_lines as (
    select
        order_lines.order_key,
        order_lines.line_id,
        order_lines.position,
        order_lines.sku,
        order_lines.category,
        order_lines.is_merchandise,
        order_lines.is_gift,
        order_lines.quantity,
        order_lines.tax_rate,
        order_lines.cost_currency,
        booked_orders.business_date,
        booked_orders.fx_rate,
        booked_orders.order_discount_amount,
        order_lines.unit_cost,
        {{ multiply_exactly('order_lines.unit_list_price', 'order_lines.quantity') }} as list_amount,
        {{ multiply_exactly('order_lines.unit_price', 'order_lines.quantity') }}
        - order_lines.line_discount_amount as line_amount
    from order_lines
    inner join booked_orders on order_lines.order_key = booked_orders.order_key
),

-- A line of no value can carry no discount; nor can a gift.
discountable_lines as (
    select
        order_key,
        line_id,
        position,
        line_amount,
        sign(order_discount_amount) as direction,
        abs(order_discount_amount) as total
    from booked_lines
    where
        order_discount_amount != 0
        and not is_gift
        and line_amount > 0
),

discountable_orders as (
    select
        order_key,
        cast(sum(line_amount) as decimal(38, 8)) as line_amount_sum
    from discountable_lines
    group by order_key
),

discount_shares as (
    select
        discountable_lines.order_key,
        discountable_lines.line_id,
        discountable_lines.position,
        discountable_lines.direction,
        discountable_lines.total,
        {{ share_in_cents(
            'discountable_lines.total', 'discountable_lines.line_amount', 'discountable_orders.line_amount_sum'
        ) }} as cents,
        {{ share_remainder(
            'discountable_lines.total', 'discountable_lines.line_amount', 'discountable_orders.line_amount_sum'
        ) }} as remainder
    from discountable_lines
    inner join discountable_orders on discountable_lines.order_key = discountable_orders.order_key
),

ranked_discount_shares as (
    select
        *,
        sum(cents) over (partition by order_key) as cents_sum,
        row_number() over (partition by order_key order by remainder desc, position asc) as remainder_rank
    from discount_shares
),

allocated_discounts as (
    select
        order_key,
        line_id,
        direction * {{ share_amount('total', 'cents', 'cents_sum', 'remainder_rank') }} as amount
    from ranked_discount_shares
),

payable_lines as (
    select
        booked_lines.*,
        coalesce(allocated_discounts.amount, 0) as allocated_discount_amount,
        cast(booked_lines.line_amount - coalesce(allocated_discounts.amount, 0) as decimal(38, 8)) as payable_amount
    from booked_lines
    left join allocated_discounts
        on
            booked_lines.order_key = allocated_discounts.order_key
            and booked_lines.line_id = allocated_discounts.line_id
),

lines_without_tax as (
    select
        *,
        {{ without_tax('list_amount', 'tax_rate') }} as gross_amount_local,
        {{ without_tax('payable_amount', 'tax_rate') }} as net_amount_local,
        {{ round_to_cents('payable_amount') }} as paid_amount_local
    from payable_lines
    where is_merchandise
),

sale_lines as (
    select
        lines_without_tax.order_key,
        lines_without_tax.line_id,
        lines_without_tax.position,
        lines_without_tax.sku,
        lines_without_tax.category,
        lines_without_tax.is_gift,
        lines_without_tax.quantity,
        lines_without_tax.tax_rate,
        lines_without_tax.fx_rate,
        lines_without_tax.payable_amount,
        lines_without_tax.gross_amount_local,
        lines_without_tax.net_amount_local,
        cast(lines_without_tax.paid_amount_local - lines_without_tax.net_amount_local as decimal(18, 2))
            as tax_amount_local,
        {{ convert_money('lines_without_tax.gross_amount_local', 'lines_without_tax.fx_rate') }} as gross_amount,
        {{ convert_money('lines_without_tax.net_amount_local', 'lines_without_tax.fx_rate') }} as net_amount,
        {{ convert_money(
            'lines_without_tax.paid_amount_local - lines_without_tax.net_amount_local', 'lines_without_tax.fx_rate'
        ) }} as tax_amount,
        case
            when
                not {{ is_beyond_money(
                    'lines_without_tax.unit_cost', 'fx_rates.rate', 'greatest(lines_without_tax.quantity, 1)'
                ) }}
                then cast(lines_without_tax.unit_cost * fx_rates.rate as decimal(18, 4))
        end as unit_cost
    from lines_without_tax
    left join fx_rates
        on
            lines_without_tax.cost_currency = fx_rates.currency
            and lines_without_tax.business_date >= fx_rates.valid_from
            and lines_without_tax.business_date < fx_rates.valid_before
)

select * from sale_lines
