with

stock_counts as (
    select * from {{ ref('stg_stock_counts') }}
),

products as (
    select * from {{ ref('products') }}
),

fx_rates as (
    select * from {{ ref('stg_fx_rates') }}
),

category_daily as (
    select * from {{ ref('category_daily') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

counted_days as (
    select
        min(cast(stock_counts.counted_at as date)) as first_on,
        max(run_settings.as_of) as as_of
    from stock_counts
    cross join run_settings
    where cast(stock_counts.counted_at as date) <= run_settings.as_of
),

numbers as (
    {{ whole_numbers('0', '1200') }}
),

months as (
    select
        {{ month_later(period_start('month', 'counted_days.first_on'), 'numbers.number') }} as month,
        {{ period_end('month', period_start('month', 'counted_days.first_on'), 'numbers.number') }} as month_end
    from counted_days
    cross join numbers
    where
        {{ period_end('month', period_start('month', 'counted_days.first_on'), 'numbers.number') }}
        <= counted_days.as_of
),

counts as (
    select
        store_id,
        sku,
        on_hand,
        cast(counted_at as date) as counted_on,
        lead(cast(counted_at as date), 1, date '9999-12-31') over (
            partition by store_id, sku order by counted_at
        ) as replaced_on
    from stock_counts
),

-- The newest count at the end of each month holds, however old.
stock_at_month_ends as (
    select
        months.month,
        months.month_end,
        counts.sku,
        sum(counts.on_hand) as on_hand
    from months
    inner join counts
        on
            months.month_end >= counts.counted_on
            and months.month_end < counts.replaced_on
    group by months.month, months.month_end, counts.sku
),

inventory_by_category as (
    select
        stock_at_month_ends.month,
        products.category,
        sum(cast(stock_at_month_ends.on_hand as double) * cast(products.cost as double) * cast(fx_rates.rate as double))
            as inventory_at_cost
    from stock_at_month_ends
    inner join products on stock_at_month_ends.sku = products.sku
    inner join fx_rates
        on
            products.currency = fx_rates.currency
            and stock_at_month_ends.month_end >= fx_rates.valid_from
            and stock_at_month_ends.month_end < fx_rates.valid_before
    where products.cost is not null
    group by stock_at_month_ends.month, products.category
),

margins as (
    select
        {{ period_start('month', 'business_date') }} as month,
        category,
        sum(net_amount) - sum(cost_amount) as margin_amount
    from category_daily
    group by {{ period_start('month', 'business_date') }}, category
),

-- Thirteen month-ends stand around twelve months of margin.
windows as (
    select
        inventory_by_category.month,
        inventory_by_category.category,
        count(earlier_inventory.month) as n_points,
        avg(earlier_inventory.inventory_at_cost) as average_inventory
    from inventory_by_category
    inner join inventory_by_category as earlier_inventory
        on
            inventory_by_category.category = earlier_inventory.category
            and {{ months_between('earlier_inventory.month', 'inventory_by_category.month') }} between 0 and 12
    group by inventory_by_category.month, inventory_by_category.category
),

margins_of_windows as (
    select
        windows.month,
        windows.category,
        sum(margins.margin_amount) as margin_amount
    from windows
    inner join margins
        on
            windows.category = margins.category
            and {{ months_between('margins.month', 'windows.month') }} between 0 and 11
    group by windows.month, windows.category
),

gmroi as (
    select
        windows.category,
        windows.month,
        cast(windows.n_points as integer) as n_points,
        cast(windows.average_inventory as decimal(18, 2)) as average_inventory_amount,
        cast(coalesce(margins_of_windows.margin_amount, 0) as decimal(18, 2)) as margin_amount,
        case
            when windows.n_points = 13 and windows.average_inventory > 0
                then cast(coalesce(margins_of_windows.margin_amount, 0) as double) / windows.average_inventory
        end as gmroi
    from windows
    left join margins_of_windows
        on
            windows.month = margins_of_windows.month
            and windows.category = margins_of_windows.category
)

select * from gmroi
