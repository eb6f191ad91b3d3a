with

orders as (
    select * from {{ ref('orders') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

rfm_settings as (
    select * from {{ source('reference', 'rfm_settings') }}
),

rfm_cutoffs as (
    select * from {{ source('reference', 'rfm_cutoffs') }}
),

rfm_cells as (
    select * from {{ source('reference', 'rfm_cells') }}
),

order_facts as (
    select
        customer_id,
        min(business_date) as first_order_on,
        max(business_date) as last_order_on,
        count(*) as frequency,
        cast(sum(net_amount - refunded_amount) as decimal(18, 2)) as monetary
    from orders
    where
        is_qualified
        and customer_id is not null
    group by customer_id
),

customer_values as (
    select
        order_facts.customer_id,
        run_settings.as_of as snapshot_date,
        order_facts.frequency,
        order_facts.monetary,
        {{ days_between('order_facts.last_order_on', 'run_settings.as_of') }} as recency_days,
        {{ days_between('order_facts.first_order_on', 'run_settings.as_of') }} as days_since_first_order
    from order_facts
    cross join run_settings
),

cutoffs as (
    select
        max(case when score = 2 then recency_days end) as recency_days_2,
        max(case when score = 3 then recency_days end) as recency_days_3,
        max(case when score = 4 then recency_days end) as recency_days_4,
        max(case when score = 5 then recency_days end) as recency_days_5,
        max(case when score = 2 then frequency end) as frequency_2,
        max(case when score = 3 then frequency end) as frequency_3,
        max(case when score = 4 then frequency end) as frequency_4,
        max(case when score = 5 then frequency end) as frequency_5,
        max(case when score = 2 then monetary end) as monetary_2,
        max(case when score = 3 then monetary end) as monetary_3,
        max(case when score = 4 then monetary end) as monetary_4,
        max(case when score = 5 then monetary end) as monetary_5
    from rfm_cutoffs
),

fixed_scores as (
    select
        customer_values.customer_id,
        {{ score_by_cutoffs('customer_values.recency_days', '<=', 'cutoffs.recency_days') }} as r_score,
        {{ score_by_cutoffs('customer_values.frequency', '>=', 'cutoffs.frequency') }} as f_score,
        {{ score_by_cutoffs('customer_values.monetary', '>=', 'cutoffs.monetary') }} as m_score
    from customer_values
    cross join cutoffs
    cross join rfm_settings
    where rfm_settings.method = 'fixed'
),

customers_to_rank as (
    select customer_values.*
    from customer_values
    cross join rfm_settings
    where rfm_settings.method = 'quantiles'
),

customers_by_recency as (
    select
        recency_days,
        count(*) as n_customers
    from customers_to_rank
    group by recency_days
),

recency_ranks as (
    select
        recency_days,
        sum(n_customers) over (order by recency_days desc) - n_customers as n_worse,
        sum(n_customers) over () as n_all
    from customers_by_recency
),

customers_by_frequency as (
    select
        frequency,
        count(*) as n_customers
    from customers_to_rank
    group by frequency
),

frequency_ranks as (
    select
        frequency,
        sum(n_customers) over (order by frequency) - n_customers as n_worse
    from customers_by_frequency
),

customers_by_monetary as (
    select
        monetary,
        count(*) as n_customers
    from customers_to_rank
    group by monetary
),

monetary_ranks as (
    select
        monetary,
        sum(n_customers) over (order by monetary) - n_customers as n_worse
    from customers_by_monetary
),

quantile_scores as (
    select
        customers_to_rank.customer_id,
        {{ score_by_share('recency_ranks.n_worse', 'recency_ranks.n_all') }} as r_score,
        {{ score_by_share('frequency_ranks.n_worse', 'recency_ranks.n_all') }} as f_score,
        {{ score_by_share('monetary_ranks.n_worse', 'recency_ranks.n_all') }} as m_score
    from customers_to_rank
    inner join recency_ranks on customers_to_rank.recency_days = recency_ranks.recency_days
    inner join frequency_ranks on customers_to_rank.frequency = frequency_ranks.frequency
    inner join monetary_ranks on customers_to_rank.monetary = monetary_ranks.monetary
),

scores as (
    select * from fixed_scores
    union all
    select * from quantile_scores
),

customer_rfm as (
    select
        customer_values.customer_id,
        customer_values.snapshot_date,
        cast(customer_values.recency_days as bigint) as recency_days,
        cast(customer_values.frequency as bigint) as frequency,
        customer_values.monetary,
        cast(scores.r_score as integer) as r_score,
        cast(scores.f_score as integer) as f_score,
        cast(scores.m_score as integer) as m_score,
        rfm_cells.segment,
        case
            when customer_values.days_since_first_order <= rfm_settings.new_days then 'new'
            when customer_values.recency_days <= rfm_settings.active_days then 'active'
            when customer_values.recency_days <= rfm_settings.at_risk_days then 'at_risk'
            when customer_values.recency_days <= rfm_settings.dormant_days then 'dormant'
            else 'lost'
        end as lifecycle
    from customer_values
    cross join rfm_settings
    inner join scores on customer_values.customer_id = scores.customer_id
    inner join rfm_cells
        on
            scores.r_score = rfm_cells.r_score
            and scores.f_score = rfm_cells.f_score
            and scores.m_score = rfm_cells.m_score
)

select * from customer_rfm
