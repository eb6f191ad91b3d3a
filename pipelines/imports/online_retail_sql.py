"""The queries behind the Online Retail import; the rules they follow stand in `online_retail`.

Belongs here: SQL over the source's view. Money is whole ten-thousandths of a pound (`*_10k`) until it is written.
Does not belong here: files, or reasons.
"""

from __future__ import annotations

from pipelines.imports.return_matching import WAITING

CHANNEL = "web"

CLASSIFIED = """
create temp table invoice_rows as
with typed as (
    select
        _row,
        InvoiceNo::varchar as invoice,
        StockCode::varchar as sku,
        Description::varchar as description,
        Quantity::bigint as quantity,
        InvoiceDate::timestamp as row_at,
        round(UnitPrice * 10000)::bigint as price_10k,
        CustomerID::bigint::varchar as member_id,
        Country::varchar as country
    from online_retail
)

select
    *,
    min(row_at) over (partition by invoice) as invoiced_at,
    case
        when upper(sku) in ('AMAZONFEE', 'BANK CHARGES', 'CRUK', 'B') then 'fee'
        when upper(sku) in ('POST', 'DOT', 'C2') then 'shipping'
        when sku ilike 'gift_0001_%' then 'voucher'
        when upper(sku) in ('M', 'D', 'S') then 'service'
        else 'goods'
    end as kind,
    upper(invoice) like 'C%' as is_credit,
    quantity * price_10k as amount_10k
from typed
"""

SALE_LINES = """
create temp table sale_lines as
with positive_rows as (
    select
        *,
        bool_or(price_10k > 0 and kind <> 'shipping') over (partition by invoice) as invoice_sells
    from invoice_rows
    where not is_credit and quantity > 0 and price_10k >= 0 and kind <> 'fee'
)

select
    _row,
    invoice as order_id,
    row_number() over (partition by invoice order by _row)::varchar as line_id,
    sku,
    member_id,
    invoiced_at,
    kind,
    quantity,
    price_10k,
    amount_10k
from positive_rows
where invoice_sells and kind <> 'shipping'
"""

ORDERS = """
with order_lines as (
    select
        order_id,
        min(invoiced_at) as placed_at,
        min(member_id) as member_id,
        sum(amount_10k)::bigint as items_10k,
        list(
            struct_pack(
                line_id := line_id,
                sku := sku,
                quantity := quantity,
                unit_price := (price_10k::decimal(14, 0) * 0.0001)::decimal(18, 4),
                tax_rate := 0::decimal(4, 2),
                is_gift := price_10k = 0
            )
            order by line_id::bigint
        ) as lines
    from sale_lines
    group by order_id
),

shipping as (
    select invoice as order_id, sum(amount_10k)::bigint as shipping_10k
    from invoice_rows
    where kind = 'shipping' and not is_credit
    group by invoice
),

in_pounds as (
    select
        order_lines.*,
        strftime(placed_at, '%Y-%m-%dT%H:%M:%S') as placed_local,
        (items_10k::decimal(14, 0) * 0.0001)::decimal(18, 4) as items_amount,
        (coalesce(shipping_10k, 0)::decimal(14, 0) * 0.0001)::decimal(18, 4) as shipping_amount
    from order_lines
    left join shipping using (order_id)
)

select
    order_id,
    placed_local as updated_at,
    placed_local as placed_at,
    'completed' as status,
    placed_local as paid_at,
    placed_local as completed_at,
    member_id,
    'delivery' as fulfilment,
    'GBP' as currency,
    items_amount,
    shipping_amount,
    items_amount + shipping_amount as paid_amount,
    lines
from in_pounds
order by in_pounds.placed_at, order_id
"""

REFUNDS = f"""
with matched as (
    select
        return_rows.invoice,
        return_rows.invoiced_at,
        sale_lines.order_id,
        sale_lines.line_id,
        matches.pass = 'by value' as is_credit,
        sum(matches.quantity)::bigint as quantity,
        sum(matches.amount_10k)::bigint as amount_10k
    from matches
    inner join return_rows on matches.return_row = return_rows._row
    inner join sale_lines on matches.sale_row = sale_lines._row
    group by all
),

goods_back as (
    select
        invoice || '-' || order_id || case when is_credit then '-credit' else '' end as refund_id,
        order_id,
        invoiced_at,
        case when is_credit then 'credit' else 'return' end as reason,
        sum(amount_10k)::bigint as amount_10k,
        list(
            struct_pack(
                line_id := line_id,
                quantity := quantity,
                amount := (amount_10k::decimal(14, 0) * 0.0001)::decimal(18, 4)
            )
            order by line_id::bigint
        ) as lines
    from matched
    group by all
),

shipping_back as (
    select invoice, invoiced_at, min(member_id) as member_id, sum(amount_10k)::bigint as amount_10k
    from return_rows
    where kind = 'shipping'
    group by invoice, invoiced_at
),

orders_placed as (
    select order_id, member_id, min(invoiced_at) as invoiced_at
    from sale_lines
    where member_id is not null
    group by order_id, member_id
),

last_orders as (
    select member_id, invoiced_at, max(order_id) as order_id from orders_placed group by member_id, invoiced_at
),

shipping_of_orders as (
    select shipping_back.*, last_orders.order_id
    from shipping_back
    asof left join last_orders
        on
            shipping_back.member_id = last_orders.member_id
            and shipping_back.invoiced_at >= last_orders.invoiced_at
),

postage_back as (
    select
        invoice || '-postage' as refund_id,
        coalesce(order_id, 'before-' || invoice) as order_id,
        invoiced_at,
        'postage' as reason,
        amount_10k,
        [struct_pack(line_id := '1', quantity := null::bigint, amount := 0::decimal(18, 4))] as lines
    from shipping_of_orders
),

waiting_rows as ({WAITING}),

waiting as (
    select
        invoice || '-before' as refund_id,
        'before-' || invoice as order_id,
        invoiced_at,
        'return of a sale before the data' as reason,
        sum(rest_10k)::bigint as amount_10k,
        null as lines
    from waiting_rows
    where rest_10k > 0
    group by invoice, invoiced_at
),

all_refunds as (
    select * from goods_back
    union all
    select * from postage_back
    union all
    select * from waiting
)

select
    refund_id,
    order_id,
    strftime(invoiced_at, '%Y-%m-%dT%H:%M:%S') as updated_at,
    strftime(invoiced_at, '%Y-%m-%dT%H:%M:%S') as refunded_at,
    (amount_10k::decimal(14, 0) * 0.0001)::decimal(18, 4) as amount,
    'GBP' as currency,
    reason,
    lines
from all_refunds
order by all_refunds.invoiced_at, refund_id
"""

MEMBERS = """
select
    member_id,
    strftime(min(invoiced_at), '%Y-%m-%dT%H:%M:%S') as updated_at,
    to_json(struct_pack(country := arg_max(country, (invoiced_at, _row))))::varchar as attributes
from invoice_rows
where member_id is not null
group by member_id
order by member_id
"""

PRODUCTS = """
with described as (
    select
        sku,
        min(kind) as kind,
        arg_max(description, (amount_10k, _row)) filter (price_10k > 0 and description is not null) as sold_as,
        max(description) as any_description
    from invoice_rows
    where kind in ('goods', 'service', 'voucher')
    group by sku
)

select
    sku,
    '2010-12-01T00:00:00' as updated_at,
    coalesce(sold_as, any_description, sku) as name,
    case kind when 'voucher' then 'gift_card/voucher' when 'service' then 'manual/adjustment' end as category_path,
    'GBP' as currency,
    0::decimal(4, 2) as tax_rate,
    case when kind = 'goods' and sold_as is not null then 'on_sale' else 'internal' end as status
from described
order by sku
"""

BRIDGE = f"""
with waiting_rows as ({WAITING}),

rounded_lines as (
    select sum(round(amount_10k::decimal(18, 0) / 100)::bigint * 100 - amount_10k) as rounding_10k
    from sale_lines
    where kind <> 'voucher'
),

by_kind as (
    select
        sum(amount_10k) as source_10k,
        sum(amount_10k) filter (kind = 'shipping') as shipping_10k,
        sum(amount_10k) filter (kind = 'fee') as fee_10k,
        sum(amount_10k) filter (kind = 'voucher') as voucher_10k
    from invoice_rows
),

waiting as (
    select sum(rest_10k) as waiting_10k from waiting_rows
)

select source_10k, shipping_10k, fee_10k, voucher_10k, waiting_10k, rounding_10k
from by_kind
cross join waiting
cross join rounded_lines
"""
