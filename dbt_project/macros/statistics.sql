{#
    Figures of experiments. Counts and means come in, doubles go out; nothing here is money.
#}

{# Two-sided probability of a chi-square of one degree of freedom as large as this: erfc(sqrt(x / 2)), by the rational
   approximation 7.1.26 of Abramowitz & Stegun (1964), whose error is below 1.5e-7. #}
{% macro chi_square_p_value(statistic) -%}
    {%- set t = '(1 / (1 + 0.3275911 * sqrt(' ~ statistic ~ ' / 2)))' -%}
    least(1, greatest(0,
        {{ t }} * (
            0.254829592 + {{ t }} * (
                -0.284496736 + {{ t }} * (1.421413741 + {{ t }} * (-1.453152027 + {{ t }} * 1.061405429))
            )
        ) * exp(-({{ statistic }}) / 2)
    ))
{%- endmacro %}

{# The end of Wilson's 95 % interval of a share; sign is '-' for the lower and '+' for the upper end. #}
{% macro wilson_bound(share, n, sign) -%}
    (
        (
            {{ share }} + 3.8414588 / (2 * {{ n }})
            {{ sign }} 1.9599640 * sqrt(({{ share }} * (1 - {{ share }}) + 3.8414588 / (4 * {{ n }})) / {{ n }})
        ) / (1 + 3.8414588 / {{ n }})
    )
{%- endmacro %}

{# An end of the 95 % interval of the difference of two shares: Newcombe's hybrid score interval (1998, method 10),
   which holds its coverage where shares are small. #}
{% macro difference_bound(share, n, other_share, other_n, sign) -%}
    {%- set other_sign = '+' if sign == '-' else '-' -%}
    (
        {{ share }} - {{ other_share }}
        {{ sign }} sqrt(
            power({{ share }} - {{ wilson_bound(share, n, sign) }}, 2)
            + power({{ other_share }} - {{ wilson_bound(other_share, other_n, other_sign) }}, 2)
        )
    )
{%- endmacro %}
