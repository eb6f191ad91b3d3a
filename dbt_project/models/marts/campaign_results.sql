with

logged_decisions as (
    select * from {{ source('ops', 'campaign_decisions') }}
),

campaign_rules as (
    select * from {{ source('ops', 'campaign_rules') }}
),

channel_campaigns as (
    select * from {{ ref('stg_campaigns') }}
),

rates as (
    select * from {{ ref('stg_fx_rates') }}
),

customers as (
    select * from {{ ref('customers') }}
),

merge_events as (
    select * from {{ ref('customer_merges') }}
),

orders as (
    select * from {{ ref('orders') }}
),

order_events as (
    select * from {{ ref('order_events') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- Whoever has merged since was decided under the earlier id.
survivors as (
    select
        from_customer_id,
        {{ last_value_by('into_customer_id', ['"at"', 'into_customer_id']) }} as into_customer_id
    from merge_events
    where kind = 'merge'
    group by from_customer_id
),

-- A coupon goes to several destinations under one decision.
decisions as (
    select
        logged_decisions.campaign_id,
        logged_decisions.wave,
        coalesce(
            max(holders.customer_id), max(survivors.into_customer_id), logged_decisions.customer_id
        ) as customer_id,
        min(logged_decisions.decided_on) as decided_on,
        max(logged_decisions.valid_to) as valid_to,
        count(logged_decisions.valid_to) > 0 as is_treated,
        count(*) filter (where logged_decisions.state in ('planned', 'sent', 'unknown', 'applied')) > 0 as is_issued,
        max(logged_decisions.liability_cents)
        filter (where logged_decisions.state in ('planned', 'sent', 'unknown', 'applied')) as liability_cents
    from logged_decisions
    cross join run_settings
    left join customers as holders on logged_decisions.customer_id = holders.customer_id
    left join survivors on logged_decisions.customer_id = survivors.from_customer_id
    where
        logged_decisions.campaign_id is not null
        and logged_decisions.decided_on <= run_settings.as_of
    group by logged_decisions.campaign_id, logged_decisions.wave, logged_decisions.customer_id
),

-- One person decided both ways under two ids is evidence of neither.
persons as (
    select
        campaign_id,
        wave,
        customer_id,
        min(decided_on) as decided_on,
        max(valid_to) as valid_to,
        bool_or(is_treated) as is_treated
    from decisions
    group by campaign_id, wave, customer_id
    having bool_and(is_treated) or not bool_or(is_treated)
),

windows as (
    select
        persons.campaign_id,
        persons.wave,
        persons.customer_id,
        persons.is_treated,
        persons.decided_on,
        coalesce(
            persons.valid_to,
            max(persons.valid_to) over (partition by persons.campaign_id, persons.wave, persons.decided_on),
            {{ add_days('persons.decided_on', 'coalesce(campaign_rules.valid_days, 30)') }}
        ) as ends_on
    from persons
    left join campaign_rules on persons.campaign_id = campaign_rules.campaign_id
),

order_margins as (
    select
        channel,
        order_id,
        sum(net_amount - coalesce(cost_amount, 0)) as margin
    from order_events
    where customer_id in (select windows.customer_id from windows)
    group by channel, order_id
),

outcomes as (
    select
        windows.campaign_id,
        windows.wave,
        windows.customer_id,
        windows.is_treated,
        windows.decided_on,
        windows.ends_on,
        count(orders.order_id) > 0 as is_converted,
        cast(coalesce(sum(order_margins.margin), 0) as decimal(18, 2)) as margin
    from windows
    left join orders
        on
            windows.customer_id = orders.customer_id
            and windows.decided_on < orders.business_date
            and windows.ends_on >= orders.business_date
            and orders.is_qualified
    left join order_margins
        on
            orders.channel = order_margins.channel
            and orders.order_id = order_margins.order_id
    group by
        windows.campaign_id, windows.wave, windows.customer_id, windows.is_treated, windows.decided_on, windows.ends_on
),

arms as (
    select
        campaign_id,
        min(decided_on) as first_decided_on,
        max(ends_on) as window_ends_on,
        count(*) filter (where is_treated) as treated,
        count(*) filter (where not is_treated) as held_out,
        count(*) filter (where is_treated and is_converted) as converted_treated,
        count(*) filter (where not is_treated and is_converted) as converted_control,
        coalesce(sum(margin) filter (where is_treated), 0) as margin_treated,
        coalesce(sum(margin) filter (where not is_treated), 0) as margin_control,
        var_samp(cast(margin as double)) filter (where is_treated) as variance_treated,
        var_samp(cast(margin as double)) filter (where not is_treated) as variance_control
    from outcomes
    group by campaign_id
),

issued as (
    select
        campaign_id,
        count(*) filter (where is_issued) as coupons_issued,
        cast(coalesce(sum(liability_cents), 0) * 0.01 as decimal(18, 2)) as liability_used
    from decisions
    group by campaign_id
),

campaign_ids as (
    select campaign_id from arms
    union
    select campaign_id from issued
    union
    select campaign_id from campaign_rules
    union
    select campaign_id from channel_campaigns
),

campaigns as (
    select
        campaign_ids.campaign_id,
        coalesce(campaign_rules.name_zh, channel_campaigns.name) as name_zh,
        coalesce(campaign_rules.name_en, channel_campaigns.name) as name_en,
        coalesce(campaign_rules.kind, channel_campaigns.kind) as kind,
        campaign_rules.holdout_share,
        campaign_rules.budget_coupons,
        campaign_rules.budget_liability,
        campaign_rules.currency as budget_currency,
        campaign_rules.send_cost,
        channel_campaigns.cost as own_cost,
        channel_campaigns.currency as own_cost_currency,
        coalesce(arms.first_decided_on, cast(channel_campaigns.starts_at as date), run_settings.as_of) as cost_date,
        arms.first_decided_on,
        arms.window_ends_on,
        coalesce(arms.window_ends_on <= run_settings.as_of, false) as is_complete,
        coalesce(arms.treated, 0) as treated,
        coalesce(arms.held_out, 0) as held_out,
        coalesce(arms.converted_treated, 0) as converted_treated,
        coalesce(arms.converted_control, 0) as converted_control,
        cast(coalesce(arms.margin_treated, 0) as decimal(18, 2)) as margin_treated,
        cast(coalesce(arms.margin_control, 0) as decimal(18, 2)) as margin_control,
        arms.variance_treated,
        arms.variance_control,
        coalesce(issued.coupons_issued, 0) as coupons_issued,
        coalesce(issued.liability_used, 0) as liability_used,
        run_settings.reporting_currency
    from campaign_ids
    cross join run_settings
    left join arms on campaign_ids.campaign_id = arms.campaign_id
    left join issued on campaign_ids.campaign_id = issued.campaign_id
    left join campaign_rules on campaign_ids.campaign_id = campaign_rules.campaign_id
    left join channel_campaigns on campaign_ids.campaign_id = channel_campaigns.campaign_id
),

-- A cost in a currency without a rate is unknown, and so is what hangs on it.
costs as (
    select
        campaigns.campaign_id,
        case
            when campaigns.send_cost is null and campaigns.own_cost is null then null
            when campaigns.send_cost is not null and send_rates.rate is null then null
            when campaigns.own_cost is not null and own_rates.rate is null then null
            else
                coalesce({{ convert_money('campaigns.send_cost * campaigns.coupons_issued', 'send_rates.rate') }}, 0)
                + coalesce({{ convert_money('campaigns.own_cost', 'own_rates.rate') }}, 0)
        end as cost
    from campaigns
    left join rates as send_rates
        on
            campaigns.budget_currency = send_rates.currency
            and campaigns.cost_date >= send_rates.valid_from
            and campaigns.cost_date < send_rates.valid_before
    left join rates as own_rates
        on
            coalesce(campaigns.own_cost_currency, campaigns.reporting_currency) = own_rates.currency
            and campaigns.cost_date >= own_rates.valid_from
            and campaigns.cost_date < own_rates.valid_before
),

comparisons as (
    select
        campaigns.*,
        costs.cost,
        campaigns.treated > 0 and campaigns.held_out > 0 as is_comparable,
        campaigns.converted_treated / nullif(cast(campaigns.treated as double), 0) as conversion_treated,
        campaigns.converted_control / nullif(cast(campaigns.held_out as double), 0) as conversion_control,
        (campaigns.treated + campaigns.held_out) * (1 - cast(campaigns.holdout_share as double)) as expected_treated,
        (campaigns.treated + campaigns.held_out) * cast(campaigns.holdout_share as double) as expected_held_out,
        cast(
            case
                when campaigns.treated > 0 and campaigns.held_out > 0
                    then
                        campaigns.margin_treated
                        - {{ prorate_money('campaigns.margin_control', 'campaigns.treated', 'campaigns.held_out') }}
                        - coalesce(costs.cost, 0)
            end as decimal(18, 2)
        ) as incremental_margin,
        case
            when campaigns.treated > 1 and campaigns.held_out > 1
                then
                    1.9599640 * campaigns.treated
                    * sqrt(
                        campaigns.variance_treated / campaigns.treated + campaigns.variance_control / campaigns.held_out
                    )
        end as margin_reach
    from campaigns
    inner join costs on campaigns.campaign_id = costs.campaign_id
),

tested as (
    select
        *,
        case when is_comparable then conversion_treated - conversion_control end as uplift,
        case
            when is_comparable
                then {{ difference_bound('conversion_treated', 'treated', 'conversion_control', 'held_out', '-') }}
        end as ci_low,
        case
            when is_comparable
                then {{ difference_bound('conversion_treated', 'treated', 'conversion_control', 'held_out', '+') }}
        end as ci_high,
        case
            when expected_treated > 0 and expected_held_out > 0
                then
                    power(treated - expected_treated, 2) / expected_treated
                    + power(held_out - expected_held_out, 2) / expected_held_out
        end as srm_statistic
    from comparisons
),

judged as (
    select
        *,
        {{ chi_square_p_value('srm_statistic') }} as srm_p_value
    from tested
),

campaign_results as (
    select
        campaign_id,
        name_zh,
        name_en,
        kind,
        first_decided_on,
        window_ends_on,
        is_complete,
        treated,
        held_out,
        converted_treated,
        converted_control,
        conversion_treated,
        conversion_control,
        uplift,
        ci_low,
        ci_high,
        margin_treated,
        margin_control,
        incremental_margin,
        cast(cast(incremental_margin as double) - margin_reach as decimal(18, 2)) as incremental_margin_low,
        cast(cast(incremental_margin as double) + margin_reach as decimal(18, 2)) as incremental_margin_high,
        cast(cost as decimal(18, 2)) as cost,
        case when cost > 0 then cast(incremental_margin as double) / cast(cost as double) end as roi,
        case when srm_statistic is not null then srm_p_value end as srm_p_value,
        case
            when treated = 0 and held_out = 0 then 'not_decided'
            when treated = 0 then 'no_treated'
            when held_out = 0 then 'no_control'
            when srm_statistic is not null and srm_p_value < 0.001 then 'broken_split'
            when
                least(treated, held_out) < 30
                or converted_treated + converted_control < 10
                then 'too_few'
            when ci_low > 0 then 'lift'
            when ci_high < 0 then 'harm'
            else 'no_effect_seen'
        end as verdict,
        coupons_issued,
        budget_coupons,
        cast(liability_used as decimal(18, 2)) as liability_used,
        cast(budget_liability as decimal(18, 2)) as budget_liability,
        budget_currency
    from judged
)

select * from campaign_results
