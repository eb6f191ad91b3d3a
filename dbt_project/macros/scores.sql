{# Score 1 to 5 by cutoffs: one for everybody, one more for each cutoff that is met (a null cutoff is met by none). #}
{% macro score_by_cutoffs(value, comparison, cutoff) -%}
    1
    {%- for score in range(2, 6) %}
    + case when {{ value }} {{ comparison }} {{ cutoff }}_{{ score }} then 1 else 0 end
    {%- endfor %}
{%- endmacro %}

{# Score 1 to 5 by the share of customers that are worse; equal values are equally many places above them. #}
{% macro score_by_share(n_worse, n_all) -%}
    (1 + (5 * ({{ n_worse }})) // {{ n_all }})
{%- endmacro %}

{# Days from the last order until a lifecycle stage ends: multiples of the own usual gap, or fixed without a rhythm. #}
{% macro stage_days(stage) -%}
    coalesce(stages.{{ stage }}_gaps * customers_with_gaps.usual_gap_days, stages.{{ stage }}_days)
{%- endmacro %}

{# Tier of a store by the mean percentile: 4 for S, 3 for A, 2 for B, 1 for C. #}
{% macro tier_number(score, settings) -%}
    case
        when {{ score }} >= {{ settings }}.store_tiers_s then 4
        when {{ score }} >= {{ settings }}.store_tiers_a then 3
        when {{ score }} >= {{ settings }}.store_tiers_b then 2
        else 1
    end
{%- endmacro %}

{# The letter of a tier's number; null for null. #}
{% macro tier_letter(number) -%}
    case {{ number }} when 4 then 'S' when 3 then 'A' when 2 then 'B' when 1 then 'C' end
{%- endmacro %}
