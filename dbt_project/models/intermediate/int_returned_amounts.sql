with recursive

refunds as (
    select * from {{ ref('int_refunds') }}
),

refund_lines as (
    select * from {{ ref('stg_refund_lines') }}
),

order_lines as (
    select * from {{ ref('int_order_lines') }}
),

sale_lines as (
    select * from {{ ref('int_sale_lines') }}
),

booked_orders as (
    select distinct order_key from sale_lines
),

-- Refunds of a cancelled order move only cash: the cancellation has reversed the sale whole.
goods_refunds as (
    select
        refunds.*,
        row_number() over (
            partition by refunds.order_key order by refunds.refunded_at, refunds.refund_id
        ) as sequence
    from refunds
    inner join booked_orders on refunds.order_key = booked_orders.order_key
    where
        refunds.is_until_as_of
        and not refunds.is_cancelled
        and refunds.fx_rate is not null
),

requested_lines as (
    select
        goods_refunds.refund_key,
        goods_refunds.order_key,
        goods_refunds.sequence,
        refund_lines.line_id,
        refund_lines.quantity,
        order_lines.line_id is not null as is_known_line,
        greatest(0, {{ exchange_amount(
            'refund_lines.amount',
            'goods_refunds.currency', 'goods_refunds.fx_rate',
            'goods_refunds.order_currency', 'goods_refunds.order_fx_rate'
        ) }}) as amount
    from refund_lines
    inner join goods_refunds on refund_lines.refund_key = goods_refunds.refund_key
    left join order_lines
        on
            goods_refunds.order_key = order_lines.order_key
            and refund_lines.line_id = order_lines.line_id
),

refunds_with_lines as (
    select
        refund_key,
        coalesce(sum(amount) filter (where not is_known_line), 0) as amount_of_unknown_lines
    from requested_lines
    group by refund_key
),

-- What is to be taken from the goods as a whole: all of a refund without lines, and lines that the order lacks.
requests as (
    select
        goods_refunds.refund_key,
        goods_refunds.order_key,
        goods_refunds.sequence,
        case
            when refunds_with_lines.refund_key is not null then refunds_with_lines.amount_of_unknown_lines
            else greatest(0, {{ exchange_amount(
                'goods_refunds.amount',
                'goods_refunds.currency', 'goods_refunds.fx_rate',
                'goods_refunds.order_currency', 'goods_refunds.order_fx_rate'
            ) }})
        end as amount_without_line
    from goods_refunds
    left join refunds_with_lines on goods_refunds.refund_key = refunds_with_lines.refund_key
),

refunded_orders as (
    select distinct order_key from requests
),

-- One step a refund of an order, oldest first, all orders abreast: each takes from what the ones before it left.
returned_amounts as (
    select
        sale_lines.order_key,
        sale_lines.line_id,
        sale_lines.position,
        cast(0 as bigint) as sequence,
        cast(null as bigint) as refund_key,
        cast(null as decimal(38, 4)) as requested_quantity,
        cast(0 as decimal(38, 8)) as amount,
        cast(0 as decimal(38, 8)) as remaining_before,
        cast(greatest(0, sale_lines.payable_amount) as decimal(38, 8)) as remaining_amount
    from sale_lines
    inner join refunded_orders on sale_lines.order_key = refunded_orders.order_key

    union all

    (
        with

        claims_by_line as (
            select
                returned_amounts.order_key,
                returned_amounts.line_id,
                returned_amounts.position,
                requests.sequence,
                requests.refund_key,
                requests.amount_without_line,
                requested_lines.quantity as requested_quantity,
                returned_amounts.remaining_amount as remaining_before,
                least(returned_amounts.remaining_amount, coalesce(requested_lines.amount, 0)) as amount_by_line
            from returned_amounts
            inner join requests
                on
                    returned_amounts.order_key = requests.order_key
                    and returned_amounts.sequence + 1 = requests.sequence
            left join requested_lines
                on
                    requests.refund_key = requested_lines.refund_key
                    and returned_amounts.line_id = requested_lines.line_id
        ),

        unclaimed_goods as (
            select
                *,
                remaining_before - amount_by_line as unclaimed_amount,
                cast(sum(remaining_before - amount_by_line) over (partition by order_key) as decimal(38, 8))
                    as unclaimed_sum
            from claims_by_line
        ),

        shares as (
            select
                *,
                {{ share_in_cents('amount_without_line', 'unclaimed_amount', 'nullif(unclaimed_sum, 0)') }}
                    as share_cents,
                {{ share_remainder('amount_without_line', 'unclaimed_amount', 'nullif(unclaimed_sum, 0)') }}
                    as share_remainder
            from unclaimed_goods
        ),

        ranked_shares as (
            select
                *,
                sum(share_cents) over (partition by order_key) as share_cents_sum,
                row_number() over (partition by order_key order by share_remainder desc, position asc) as remainder_rank
            from shares
        ),

        claims as (
            select
                *,
                amount_by_line + case
                    when amount_without_line = 0 then 0
                    when amount_without_line >= unclaimed_sum - 0.01 then unclaimed_amount
                    else {{ share_amount(
                        'amount_without_line', 'share_cents', 'share_cents_sum', 'remainder_rank'
                    ) }}
                end as claimed_amount
            from ranked_shares
        )

        select
            order_key,
            line_id,
            position,
            sequence,
            refund_key,
            requested_quantity,
            cast(least(remaining_before, claimed_amount) as decimal(38, 8)) as amount,
            remaining_before,
            cast(greatest(0, remaining_before - claimed_amount) as decimal(38, 8)) as remaining_amount
        from claims
    )
),

returns as (
    select
        order_key,
        line_id,
        refund_key,
        sequence,
        requested_quantity,
        amount,
        remaining_before >= 0.01 and remaining_amount < 0.01 as is_last
    from returned_amounts
    where
        sequence > 0
        and (amount > 0 or requested_quantity > 0)
)

select * from returns
