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
        count(distinct business_date) as order_days,
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
        order_facts.order_days - 1 as gaps,
        {{ days_between('order_facts.first_order_on', 'order_facts.last_order_on') }} as days_of_gaps,
        {{ days_between('order_facts.last_order_on', 'run_settings.as_of') }} as recency_days,
        {{ days_between('order_facts.first_order_on', 'run_settings.as_of') }} as days_since_first_order
    from order_facts
    cross join run_settings
),

-- Customers differ in the gap they keep (mean and mean square), and each gap varies about it by as much as itself.
usual_gaps as (
    select
        count(*) as n_customers,
        avg(days_of_gaps / gaps) as mean_gap,
        sum((days_of_gaps / gaps) * (days_of_gaps / gaps)) / sum(1 + 1.0 / gaps) as mean_square_gap
    from customer_values
    where gaps > 0
),

-- Credibility: what is usual counts as much as so many gaps of a customer's own; without a rhythm to learn, no row.
rhythms as (
    select
        usual_gaps.mean_gap,
        case
            when usual_gaps.mean_square_gap > usual_gaps.mean_gap * usual_gaps.mean_gap
                then 1 / (1 - usual_gaps.mean_gap * usual_gaps.mean_gap / usual_gaps.mean_square_gap)
        end as gaps_of_evidence
    from usual_gaps
    cross join rfm_settings
    where
        rfm_settings.lifecycle_method = 'rhythm'
        and usual_gaps.n_customers >= rfm_settings.least_repeaters
),

-- How long each stage lasts from the last order, by what is known of everybody: days, or multiples of the own gap.
stages as (
    select
        rfm_settings.*,
        rhythms.mean_gap,
        rhythms.gaps_of_evidence
    from rfm_settings
    left join rhythms on true
),

fixed_cutoffs as (
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

recency_scores as (
    select
        recency_days,
        {{ score_by_share(
            'sum(n_customers) over (order by recency_days desc) - n_customers', 'sum(n_customers) over ()'
        ) }} as score
    from customers_by_recency
),

-- The worst value that still earns a score: comparing with four cutoffs costs a customer less than looking up a rank.
recency_cutoffs as (
    select
        max(case when score >= 2 then recency_days end) as recency_days_2,
        max(case when score >= 3 then recency_days end) as recency_days_3,
        max(case when score >= 4 then recency_days end) as recency_days_4,
        max(case when score >= 5 then recency_days end) as recency_days_5
    from recency_scores
),

customers_by_frequency as (
    select
        frequency,
        count(*) as n_customers
    from customers_to_rank
    group by frequency
),

frequency_scores as (
    select
        frequency,
        {{ score_by_share(
            'sum(n_customers) over (order by frequency) - n_customers', 'sum(n_customers) over ()'
        ) }} as score
    from customers_by_frequency
),

frequency_cutoffs as (
    select
        min(case when score >= 2 then frequency end) as frequency_2,
        min(case when score >= 3 then frequency end) as frequency_3,
        min(case when score >= 4 then frequency end) as frequency_4,
        min(case when score >= 5 then frequency end) as frequency_5
    from frequency_scores
),

customers_by_monetary as (
    select
        monetary,
        count(*) as n_customers
    from customers_to_rank
    group by monetary
),

monetary_scores as (
    select
        monetary,
        {{ score_by_share(
            'sum(n_customers) over (order by monetary) - n_customers', 'sum(n_customers) over ()'
        ) }} as score
    from customers_by_monetary
),

monetary_cutoffs as (
    select
        min(case when score >= 2 then monetary end) as monetary_2,
        min(case when score >= 3 then monetary end) as monetary_3,
        min(case when score >= 4 then monetary end) as monetary_4,
        min(case when score >= 5 then monetary end) as monetary_5
    from monetary_scores
),

quantile_cutoffs as (
    select
        recency_cutoffs.*,
        frequency_cutoffs.*,
        monetary_cutoffs.*
    from recency_cutoffs
    cross join frequency_cutoffs
    cross join monetary_cutoffs
),

cutoffs as (
    select fixed_cutoffs.*
    from fixed_cutoffs
    cross join rfm_settings
    where rfm_settings.method = 'fixed'
    union all
    select quantile_cutoffs.*
    from quantile_cutoffs
    cross join rfm_settings
    where rfm_settings.method = 'quantiles'
),

scored_customers as (
    select
        customer_values.*,
        {{ score_by_cutoffs('customer_values.recency_days', '<=', 'cutoffs.recency_days') }} as r_score,
        {{ score_by_cutoffs('customer_values.frequency', '>=', 'cutoffs.frequency') }} as f_score,
        {{ score_by_cutoffs('customer_values.monetary', '>=', 'cutoffs.monetary') }} as m_score
    from customer_values
    cross join cutoffs
),

customers_with_gaps as (
    select
        scored_customers.*,
        case
            when stages.gaps_of_evidence is null then stages.mean_gap
            else (stages.gaps_of_evidence * stages.mean_gap + scored_customers.days_of_gaps)
                / (stages.gaps_of_evidence + scored_customers.gaps)
        end as usual_gap_days
    from scored_customers
    cross join stages
),

customer_rfm as (
    select
        customers_with_gaps.customer_id,
        customers_with_gaps.snapshot_date,
        cast(customers_with_gaps.recency_days as bigint) as recency_days,
        cast(customers_with_gaps.frequency as bigint) as frequency,
        customers_with_gaps.monetary,
        cast(customers_with_gaps.r_score as integer) as r_score,
        cast(customers_with_gaps.f_score as integer) as f_score,
        cast(customers_with_gaps.m_score as integer) as m_score,
        rfm_cells.segment,
        case
            when customers_with_gaps.days_since_first_order <= stages.new_days then 'new'
            when customers_with_gaps.recency_days <= {{ stage_days('active') }} then 'active'
            when customers_with_gaps.recency_days <= {{ stage_days('at_risk') }} then 'at_risk'
            when customers_with_gaps.recency_days <= {{ stage_days('dormant') }} then 'dormant'
            else 'lost'
        end as lifecycle
    from customers_with_gaps
    cross join stages
    inner join rfm_cells
        on
            customers_with_gaps.r_score = rfm_cells.r_score
            and customers_with_gaps.f_score = rfm_cells.f_score
            and customers_with_gaps.m_score = rfm_cells.m_score
)

select * from customer_rfm
