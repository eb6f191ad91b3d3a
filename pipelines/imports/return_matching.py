"""Which earlier sale a return belongs to, where the source doesn't say: matching in cumulated units.

Belongs here: `return_rows`, `matches` and the passes that fill it. Does not belong here: the source's other rows
(online_retail_sql), or reasons (online_retail).
"""

from __future__ import annotations

RETURN_ROWS = """
create temp table return_rows as
select
    _row,
    invoice,
    sku,
    member_id,
    invoiced_at,
    kind,
    -quantity as quantity,
    price_10k,
    -amount_10k as amount_10k
from invoice_rows
where is_credit and quantity < 0 and price_10k > 0 and kind <> 'fee'
"""

NO_MATCHES = """
create temp table matches (
    pass varchar, return_row bigint, sale_row bigint, quantity bigint, amount_10k bigint
)
"""

_REST_OF_SALES = """
    select
        sale_lines.*,
        sale_lines.quantity - coalesce(taken.quantity, 0) as rest_quantity,
        sale_lines.amount_10k - coalesce(taken.amount_10k, 0) as rest_10k
    from sale_lines
    left join (
        select sale_row, sum(quantity)::bigint as quantity, sum(amount_10k)::bigint as amount_10k
        from matches
        group by sale_row
    ) as taken
        on sale_lines._row = taken.sale_row
    where member_id is not null and price_10k > 0 and kind <> 'voucher'
"""

_REST_OF_RETURNS = """
    select
        return_rows.*,
        return_rows.quantity - coalesce(given.quantity, 0) as rest_quantity,
        return_rows.amount_10k - coalesce(given.amount_10k, 0) as rest_10k
    from return_rows
    left join (
        select return_row, sum(quantity)::bigint as quantity, sum(amount_10k)::bigint as amount_10k
        from matches
        group by return_row
    ) as given
        on return_rows._row = given.return_row
    where member_id is not null and kind <> 'shipping'
"""

MATCHING_PASSES = (
    (
        "same product and price",
        "select *, concat_ws('|', member_id, sku, price_10k) as match_key, rest_quantity as units from rest_of_sales",
        "select *, concat_ws('|', member_id, sku, price_10k) as match_key, rest_quantity as units from rest_of_returns",
    ),
    (
        "same product",
        "select *, concat_ws('|', member_id, sku) as match_key, rest_quantity as units from rest_of_sales",
        "select *, concat_ws('|', member_id, sku) as match_key, rest_quantity as units from rest_of_returns",
    ),
    (
        "by value",
        "select *, member_id as match_key, rest_10k as units from rest_of_sales",
        "select *, member_id as match_key, rest_10k as units from rest_of_returns where kind = 'service'",
    ),
)
"""Name, sales with their key and units, returns with theirs; what a pass leaves goes into the next."""


def match(name: str, sales: str, returns: str) -> str:
    """Insert into `matches` what returns take from earlier sales of the same key, oldest first, unit by unit.

    Both sides lie on a line of cumulated units a key. Units returned before they were sold have no place on it: with R
    the returns and S the sales up to a return, the units lost so far are the running maximum of R - S, or 0; so each
    return takes the units from (R - lost) before it to (R - lost) after it.
    """
    by_value = name == "by value"
    quantity = "null::bigint" if by_value else "units"
    amount = "units" if by_value else "units * return_price_10k"
    return f"""
insert into matches
with rest_of_sales as ({_REST_OF_SALES}),

rest_of_returns as ({_REST_OF_RETURNS}),

sales as (
    select *, sum(units) over (partition by match_key order by invoiced_at, _row) as sold_to
    from ({sales})
    where units > 0
),

sold_by_instant as (
    select match_key, invoiced_at, max(sold_to) as sold_to from sales group by match_key, invoiced_at
),

returned as (
    select *, sum(units) over (partition by match_key order by invoiced_at, _row) as returned_to
    from ({returns})
    where units > 0
),

met as (
    select returned.*, coalesce(sold_by_instant.sold_to, 0) as sold_before
    from returned
    asof left join sold_by_instant
        on returned.match_key = sold_by_instant.match_key and returned.invoiced_at >= sold_by_instant.invoiced_at
),

with_lost as (
    select
        *,
        greatest(0, max(returned_to - sold_before) over (
            partition by match_key order by invoiced_at, _row rows unbounded preceding
        )) as lost_to
    from met
),

placed as (
    select
        *,
        returned_to - lost_to as taken_to,
        returned_to - units - coalesce(
            lag(lost_to) over (partition by match_key order by invoiced_at, _row), 0
        ) as taken_from
    from with_lost
),

shared_units as (
    select
        placed._row as return_row,
        sales._row as sale_row,
        placed.price_10k as return_price_10k,
        sales.price_10k as sale_price_10k,
        (least(placed.taken_to, sales.sold_to) - greatest(placed.taken_from, sales.sold_to - sales.units))::bigint
            as units
    from placed
    inner join sales
        on
            placed.match_key = sales.match_key
            and placed.taken_from < sales.sold_to
            and placed.taken_to > sales.sold_to - sales.units
)

select '{name}' as pass, return_row, sale_row, {quantity} as quantity, {amount} as amount_10k
from shared_units
where units > 0 {"" if by_value else "and return_price_10k <= sale_price_10k"}
"""


WAITING = """
    select
        return_rows.*,
        return_rows.amount_10k - coalesce(given.amount_10k, 0) as rest_10k
    from return_rows
    left join (
        select return_row, sum(amount_10k)::bigint as amount_10k from matches group by return_row
    ) as given
        on return_rows._row = given.return_row
    where kind <> 'shipping'
"""
"""Rows of money back with the part of it that found no earlier line."""
