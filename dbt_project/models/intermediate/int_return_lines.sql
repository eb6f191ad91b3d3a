with

returned_amounts as (
    select * from {{ ref('int_returned_amounts') }}
),

sale_lines as (
    select * from {{ ref('int_sale_lines') }}
),

refunds as (
    select * from {{ ref('int_refunds') }}
),

-- The quantity that the refund names; where it names none, by its share of the line's amount.
returned_quantities as (
    select
        returned_amounts.*,
        sale_lines.quantity as line_quantity,
        sale_lines.payable_amount,
        sale_lines.tax_rate,
        sale_lines.fx_rate,
        sale_lines.sku,
        sale_lines.category,
        sale_lines.is_gift,
        sale_lines.unit_cost,
        sale_lines.gross_amount_local as line_gross_amount_local,
        sale_lines.net_amount_local as line_net_amount_local,
        sale_lines.tax_amount_local as line_tax_amount_local,
        sale_lines.gross_amount as line_gross_amount,
        sale_lines.net_amount as line_net_amount,
        sale_lines.tax_amount as line_tax_amount,
        case
            when returned_amounts.requested_quantity is not null
                then least(returned_amounts.requested_quantity, sale_lines.quantity)
            when sale_lines.payable_amount > 0
                then {{ prorate_quantity(
                    'sale_lines.quantity', 'returned_amounts.amount', 'sale_lines.payable_amount'
                ) }}
            else 0
        end as named_quantity
    from returned_amounts
    inner join sale_lines
        on
            returned_amounts.order_key = sale_lines.order_key
            and returned_amounts.line_id = sale_lines.line_id
),

quantities_so_far as (
    select
        *,
        sum(named_quantity) over (partition by order_key, line_id order by sequence) as quantity_so_far
    from returned_quantities
),

capped_quantities as (
    select
        *,
        cast(
            least(quantity_so_far, line_quantity) - least(quantity_so_far - named_quantity, line_quantity)
            as decimal(18, 4)
        ) as quantity
    from quantities_so_far
),

returns_by_rule as (
    select
        *,
        case
            when payable_amount > 0 then {{ prorate_money('line_gross_amount_local', 'amount', 'payable_amount') }}
            else {{ prorate_money('line_gross_amount_local', 'quantity', 'line_quantity') }}
        end as gross_by_rule_local,
        {{ without_tax('amount', 'tax_rate') }} as net_by_rule_local,
        {{ round_to_cents('amount') }} as amount_local
    from capped_quantities
),

returns_in_reporting_currency as (
    select
        *,
        amount_local - net_by_rule_local as tax_by_rule_local,
        {{ convert_money('gross_by_rule_local', 'fx_rate') }} as gross_by_rule,
        {{ convert_money('net_by_rule_local', 'fx_rate') }} as net_by_rule,
        {{ convert_money('amount_local - net_by_rule_local', 'fx_rate') }} as tax_by_rule
    from returns_by_rule
),

-- The return that completes a line takes what the ones before it left, so that a line returned whole nets to zero.
returns_to_the_cent as (
    select
        *,
        {{ rest_or_rule('line_gross_amount_local', 'gross_by_rule_local') }} as gross_amount_local,
        {{ rest_or_rule('line_net_amount_local', 'net_by_rule_local') }} as net_amount_local,
        {{ rest_or_rule('line_tax_amount_local', 'tax_by_rule_local') }} as tax_amount_local,
        {{ rest_or_rule('line_gross_amount', 'gross_by_rule') }} as gross_amount,
        {{ rest_or_rule('line_net_amount', 'net_by_rule') }} as net_amount,
        {{ rest_or_rule('line_tax_amount', 'tax_by_rule') }} as tax_amount
    from returns_in_reporting_currency
),

return_lines as (
    select
        returns_to_the_cent.order_key,
        returns_to_the_cent.line_id,
        refunds.refund_id,
        refunds.refunded_at,
        refunds.business_date,
        refunds.reason,
        refunds.return_store_id,
        refunds.refund_day_fx_rate,
        returns_to_the_cent.sku,
        returns_to_the_cent.category,
        returns_to_the_cent.is_gift,
        returns_to_the_cent.quantity,
        returns_to_the_cent.amount,
        returns_to_the_cent.unit_cost,
        returns_to_the_cent.gross_amount_local,
        returns_to_the_cent.net_amount_local,
        returns_to_the_cent.tax_amount_local,
        returns_to_the_cent.gross_amount,
        returns_to_the_cent.net_amount,
        returns_to_the_cent.tax_amount
    from returns_to_the_cent
    inner join refunds on returns_to_the_cent.refund_key = refunds.refund_key
)

select * from return_lines
