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

{% set measures = ['recency_days', 'frequency', 'monetary'] %}
cutoffs as (
    select
        {%- for measure in measures %}
        {%- for score in range(2, 6) %}
        max(case when score = {{ score }} then {{ measure }} end) as {{ measure }}_for_{{ score }}
        {{- ',' if not loop.last }}
        {%- endfor %}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from rfm_cutoffs
),

fixed_scores as (
    select
        customer_values.customer_id,
        {%- for measure in measures %}
        1
        {%- for score in range(2, 6) %}
        + case
            when
                customer_values.{{ measure }} {{ '<=' if measure == 'recency_days' else '>=' }}
                cutoffs.{{ measure }}_for_{{ score }}
                then 1
            else 0
        end
        {%- endfor %} as {{ measure }}_score
        {{- ',' if not loop.last }}
        {%- endfor %}
    from customer_values
    cross join cutoffs
    cross join rfm_settings
    where rfm_settings.method = 'fixed'
),

-- Shared ranks: equal values have equal scores, by the share of customers that are worse.
customers_ranked_by_quantile as (
    select customer_values.*
    from customer_values
    cross join rfm_settings
    where rfm_settings.method = 'quantiles'
),

{% for measure in measures %}
{{ measure }}_values as (
    select
        {{ measure }},
        count(*) as n_customers
    from customers_ranked_by_quantile
    group by {{ measure }}
),

{{ measure }}_ranks as (
    select
        {{ measure }},
        sum(n_customers) over (order by {{ measure }}{{ ' desc' if measure == 'recency_days' }}) - n_customers as n_worse,
        sum(n_customers) over () as n_all
    from {{ measure }}_values
),

{% endfor %}
quantile_scores as (
    select
        customers_ranked_by_quantile.customer_id,
        {%- for measure in measures %}
        1 + {{ whole_quotient('5 * ' ~ measure ~ '_ranks.n_worse', measure ~ '_ranks.n_all') }} as {{ measure }}_score
        {{- ',' if not loop.last }}
        {%- endfor %}
    from customers_ranked_by_quantile
    {%- for measure in measures %}
    inner join {{ measure }}_ranks on customers_ranked_by_quantile.{{ measure }} = {{ measure }}_ranks.{{ measure }}
    {%- endfor %}
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
        cast(scores.recency_days_score as integer) as r_score,
        cast(scores.frequency_score as integer) as f_score,
        cast(scores.monetary_score as integer) as m_score,
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
            scores.recency_days_score = rfm_cells.r_score
            and scores.frequency_score = rfm_cells.f_score
            and scores.monetary_score = rfm_cells.m_score
)

select * from customer_rfm
