with

prices as (
    select * from {{ ref('stg_prices') }}
),

orders as (
    select * from {{ ref('int_orders') }}
),

order_lines as (
    select * from {{ ref('int_order_lines') }}
),

return_lines as (
    select * from {{ ref('int_return_lines') }}
),

order_exceptions as (
    select * from {{ ref('int_order_exceptions') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

figure_settings as (
    select * from {{ source('reference', 'figure_settings') }}
),

-- A price that is replaced by one that lasts as long is over with it; then few spans of a place overlap.
prices_with_next as (
    select
        *,
        lead(valid_from) over (partition by channel, store_id, sku, currency order by valid_from) as next_from,
        lead(valid_to) over (partition by channel, store_id, sku, currency order by valid_from) as next_to
    from prices
),

spans as (
    select
        channel,
        store_id,
        sku,
        currency,
        price,
        valid_from,
        case when next_to >= valid_to then least(valid_to, next_from) else valid_to end as valid_to
    from prices_with_next
),

turns_of_places as (
    select
        channel,
        store_id,
        sku,
        currency,
        valid_from as turned_at
    from spans
    union distinct
    select
        channel,
        store_id,
        sku,
        currency,
        valid_to as turned_at
    from spans
),

stretches as (
    select
        *,
        lead(turned_at) over (partition by channel, store_id, sku, currency order by turned_at) as next_turn_at
    from turns_of_places
),

-- Of overlapping prices of one place the latest valid_from holds; when it ends, the one beneath holds again.
effective_prices as (
    select
        stretches.channel,
        stretches.store_id,
        stretches.sku,
        stretches.currency,
        stretches.turned_at as valid_from,
        stretches.next_turn_at as valid_to,
        {{ last_value_by('spans.price', ['spans.valid_from']) }} as price
    from stretches
    inner join spans
        on
            stretches.channel = spans.channel
            and coalesce(stretches.store_id, '') = coalesce(spans.store_id, '')
            and stretches.sku = spans.sku
            and stretches.currency = spans.currency
            and stretches.turned_at >= spans.valid_from
            and stretches.turned_at < spans.valid_to
    where stretches.next_turn_at is not null
    group by
        stretches.channel,
        stretches.store_id,
        stretches.sku,
        stretches.currency,
        stretches.turned_at,
        stretches.next_turn_at
),

turns as (
    select
        sku,
        currency,
        valid_from as turned_at
    from effective_prices
    union distinct
    select
        sku,
        currency,
        valid_to as turned_at
    from effective_prices
),

turns_with_next as (
    select
        *,
        lead(turned_at) over (partition by sku, currency order by turned_at) as next_turn_at
    from turns
),

-- Between two turns nothing changes anywhere.
comparisons as (
    select
        turns_with_next.sku,
        turns_with_next.currency,
        turns_with_next.turned_at,
        turns_with_next.next_turn_at,
        min(effective_prices.price) as lowest_price,
        max(effective_prices.price) as highest_price,
        {{ first_value_by(
            'effective_prices.channel',
            ['effective_prices.price', 'effective_prices.channel', "coalesce(effective_prices.store_id, '')"]
        ) }} as lowest_channel,
        {{ first_value_by(
            'effective_prices.store_id',
            ['effective_prices.price', 'effective_prices.channel', "coalesce(effective_prices.store_id, '')"]
        ) }} as lowest_store_id,
        {{ last_value_by(
            'effective_prices.channel',
            ['effective_prices.price', 'effective_prices.channel', "coalesce(effective_prices.store_id, '')"]
        ) }} as highest_channel,
        {{ last_value_by(
            'effective_prices.store_id',
            ['effective_prices.price', 'effective_prices.channel', "coalesce(effective_prices.store_id, '')"]
        ) }} as highest_store_id
    from turns_with_next
    inner join effective_prices
        on
            turns_with_next.sku = effective_prices.sku
            and turns_with_next.currency = effective_prices.currency
            and turns_with_next.turned_at >= effective_prices.valid_from
            and turns_with_next.turned_at < effective_prices.valid_to
    group by
        turns_with_next.sku, turns_with_next.currency, turns_with_next.turned_at, turns_with_next.next_turn_at
),

-- Business days of the retailer as a whole: a conflict lies between channels and belongs to none.
conflicts as (
    select
        comparisons.*,
        comparisons.highest_price - comparisons.lowest_price as gap,
        {{ business_day('comparisons.turned_at', 'run_settings.timezone', "time '00:00:00'") }} as first_day,
        least(
            run_settings.as_of,
            {{ business_day(
                just_before('least(comparisons.next_turn_at, ' ~ days_later(
                    'cast(run_settings.as_of as timestamp)', '3'
                ) ~ ')'),
                'run_settings.timezone',
                "time '00:00:00'"
            ) }}
        ) as last_day
    from comparisons
    cross join run_settings
    cross join figure_settings
    where comparisons.highest_price - comparisons.lowest_price > figure_settings.prices_gap
),

conflict_days as (
    {{ each_day('conflicts', 'first_day', 'last_day', [
        'sku', 'currency', 'turned_at', 'lowest_price', 'highest_price', 'lowest_channel', 'lowest_store_id',
        'highest_channel', 'highest_store_id', 'gap',
    ]) }}
),

-- The widest of a day, in proportion to the price, stands for it.
ranked_conflicts as (
    select
        *,
        row_number() over (
            partition by sku, day
            order by
                cast(gap as double) / cast(greatest(highest_price, 0.0001) as double) desc,
                turned_at asc,
                currency asc
        ) as place
    from conflict_days
),

widest_conflicts as (
    select * from ranked_conflicts
    where place = 1
),

prices_with_previous as (
    select
        *,
        lag(price) over (partition by channel, store_id, sku, currency order by valid_from) as previous_price
    from effective_prices
),

lower_prices as (
    select
        prices_with_previous.sku,
        prices_with_previous.currency,
        prices_with_previous.valid_from,
        min(prices_with_previous.price) as price
    from prices_with_previous
    cross join run_settings
    where
        (
            prices_with_previous.previous_price is null
            or prices_with_previous.price < prices_with_previous.previous_price
        )
        and {{ business_day('prices_with_previous.valid_from', 'run_settings.timezone', "time '00:00:00'") }}
        <= run_settings.as_of
    group by prices_with_previous.sku, prices_with_previous.currency, prices_with_previous.valid_from
),

lower_prices_to_spread as (
    select
        lower_prices.*,
        cast(
            {{ days_later('lower_prices.valid_from', '-figure_settings.prices_protection_days') }} as date
        ) as first_sale_day,
        cast(lower_prices.valid_from as date) as last_sale_day
    from lower_prices
    cross join figure_settings
),

-- By the UTC days of the sales they can reach: lines find theirs without looking at every price of the article.
lower_prices_by_sale_day as (
    {{ each_day('lower_prices_to_spread', 'first_sale_day', 'last_sale_day', [
        'sku', 'currency', 'valid_from', 'price',
    ]) }}
),

returned_quantities as (
    select
        order_key,
        line_id,
        sum(quantity) as quantity
    from return_lines
    group by order_key, line_id
),

sold_lines as (
    select
        orders.order_key,
        orders.currency,
        orders.ordered_at,
        orders.fx_rate,
        order_lines.line_id,
        order_lines.sku,
        order_lines.quantity,
        {{ multiply_exactly('order_lines.unit_price', 'order_lines.quantity') }} - order_lines.line_discount_amount
            as line_amount
    from order_lines
    inner join orders on order_lines.order_key = orders.order_key
    left join order_exceptions on orders.order_key = order_exceptions.order_key
    where
        orders.is_paid
        and not orders.is_cancelled
        and not orders.is_test
        and not order_lines.is_gift
        and order_exceptions.order_key is null
),

claims_by_price as (
    select
        sold_lines.*,
        lower_prices_by_sale_day.price,
        lower_prices_by_sale_day.valid_from,
        row_number() over (
            partition by sold_lines.order_key, sold_lines.line_id
            order by lower_prices_by_sale_day.price, lower_prices_by_sale_day.valid_from
        ) as place
    from sold_lines
    cross join figure_settings
    inner join lower_prices_by_sale_day
        on
            sold_lines.sku = lower_prices_by_sale_day.sku
            and sold_lines.currency = lower_prices_by_sale_day.currency
            and cast(sold_lines.ordered_at as date) = lower_prices_by_sale_day.day
            and sold_lines.ordered_at < lower_prices_by_sale_day.valid_from
    where
        lower_prices_by_sale_day.valid_from
        <= {{ days_later('sold_lines.ordered_at', 'figure_settings.prices_protection_days') }}
        and {{ multiply_exactly('lower_prices_by_sale_day.price', 'sold_lines.quantity') }} < sold_lines.line_amount
),

-- The lowest price within the days counts, once; goods that came back claim nothing.
claims as (
    select
        claims_by_price.sku,
        claims_by_price.order_key,
        {{ business_day('claims_by_price.valid_from', 'run_settings.timezone', "time '00:00:00'") }} as day,
        {{ convert_money(
            prorate_money(
                round_to_cents('claims_by_price.line_amount'),
                'claims_by_price.quantity - coalesce(returned_quantities.quantity, 0)',
                'claims_by_price.quantity',
            ) ~ ' - ' ~ multiply_to_cents(
                'claims_by_price.price', '(claims_by_price.quantity - coalesce(returned_quantities.quantity, 0))'
            ),
            'claims_by_price.fx_rate'
        ) }} as amount
    from claims_by_price
    cross join run_settings
    left join returned_quantities
        on
            claims_by_price.order_key = returned_quantities.order_key
            and claims_by_price.line_id = returned_quantities.line_id
    where
        claims_by_price.place = 1
        and claims_by_price.quantity > coalesce(returned_quantities.quantity, 0)
),

claims_by_day as (
    select
        sku,
        day,
        count(distinct order_key) as protected_orders,
        sum(amount) as protection_amount
    from claims
    where amount > 0
    group by sku, day
),

price_conflicts as (
    select
        coalesce(widest_conflicts.sku, claims_by_day.sku) as sku,
        coalesce(widest_conflicts.day, claims_by_day.day) as business_date,
        widest_conflicts.currency,
        widest_conflicts.lowest_price,
        widest_conflicts.lowest_channel,
        widest_conflicts.lowest_store_id,
        widest_conflicts.highest_price,
        widest_conflicts.highest_channel,
        widest_conflicts.highest_store_id,
        cast(coalesce(widest_conflicts.gap, 0) as decimal(18, 4)) as gap,
        coalesce(claims_by_day.protected_orders, 0) as protected_orders,
        cast(coalesce(claims_by_day.protection_amount, 0) as decimal(18, 2)) as protection_amount
    from widest_conflicts
    full join claims_by_day
        on
            widest_conflicts.sku = claims_by_day.sku
            and widest_conflicts.day = claims_by_day.day
)

select * from price_conflicts
