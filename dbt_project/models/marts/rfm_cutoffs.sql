with

configured_cutoffs as (
    select * from {{ source('reference', 'rfm_cutoffs') }}
),

rfm_settings as (
    select * from {{ source('reference', 'rfm_settings') }}
),

scored_customers as (
    select * from {{ ref('int_customer_rfm') }}
),

-- The worst value that earned the score tonight; null where nobody did.
cutoffs_of_the_day as (
    select
        configured_cutoffs.score,
        max(
            case when scored_customers.r_score >= configured_cutoffs.score then scored_customers.recency_days end
        ) as recency_days,
        min(
            case when scored_customers.f_score >= configured_cutoffs.score then scored_customers.frequency end
        ) as frequency,
        min(
            case when scored_customers.m_score >= configured_cutoffs.score then scored_customers.monetary end
        ) as monetary
    from configured_cutoffs
    cross join rfm_settings
    inner join scored_customers on rfm_settings.method = 'quantiles'
    group by configured_cutoffs.score
),

rfm_cutoffs as (
    select
        configured_cutoffs.score,
        rfm_settings.method,
        cast(
            case
                when rfm_settings.method = 'fixed' then configured_cutoffs.recency_days
                else cutoffs_of_the_day.recency_days
            end as bigint
        ) as recency_days,
        cast(
            case
                when rfm_settings.method = 'fixed' then configured_cutoffs.frequency
                else cutoffs_of_the_day.frequency
            end as bigint
        ) as frequency,
        case
            when rfm_settings.method = 'fixed' then configured_cutoffs.monetary
            else cutoffs_of_the_day.monetary
        end as monetary
    from configured_cutoffs
    cross join rfm_settings
    left join cutoffs_of_the_day on configured_cutoffs.score = cutoffs_of_the_day.score
)

select * from rfm_cutoffs
