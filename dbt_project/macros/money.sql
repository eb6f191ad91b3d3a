{#
    Exact money arithmetic. Division of decimals goes through binary floating point in DuckDB, and a product of two
    narrow decimals keeps 18 digits, so both are done on integers here. Everything engine-specific about money is in
    this file.

    Amounts of up to 8 decimals are 128 bits wide, whose division is some twenty times slower than that of 64 bits:
    below a thousand million, which is nearly every line of an order, they take a narrow way to the same result.
#}

{# A decimal as a whole number of 10^-decimals, exactly. #}
{% macro to_units(amount, decimals) -%}
    cast(cast({{ amount }} as decimal(38, {{ decimals }})) * {{ 10 ** decimals }} as hugeint)
{%- endmacro %}

{# Whole cents as money. #}
{% macro cents_to_money(cents) -%}
    cast(cast({{ cents }} as decimal(36, 0)) * 0.01 as decimal(18, 2))
{%- endmacro %}

{# Quotient of two whole numbers, rounded half up (away from zero below it); the denominator is positive. #}
{% macro divide_half_up(numerator, denominator) -%}
    (sign({{ numerator }}) * ((2 * abs({{ numerator }}) + {{ denominator }}) // (2 * {{ denominator }})))
{%- endmacro %}

{# Whether an amount fits the narrow way. #}
{% macro is_narrow(amount) -%}
    abs({{ amount }}) < 1000000000
{%- endmacro %}

{# A narrow amount as a whole number of 10^-8, exactly. #}
{% macro to_narrow_units(amount) -%}
    (
        cast(trunc(cast({{ amount }} as decimal(18, 8))) as bigint) * 100000000
        + cast((cast({{ amount }} as decimal(18, 8)) % 1) * 100000000 as bigint)
    )
{%- endmacro %}

{# Money of at most 8 decimals to the cent: a decimal made shorter is rounded half up (away from zero below it). #}
{% macro round_to_cents(amount) -%}
    case
        when {{ is_narrow(amount) }} then cast(cast({{ amount }} as decimal(18, 8)) as decimal(18, 2))
        else cast({{ amount }} as decimal(18, 2))
    end
{%- endmacro %}

{# amount / (1 + tax_rate) to the cent, half up. The amount has at most 8 decimals, the rate at most 6. #}
{% macro without_tax(amount, tax_rate) -%}
    case
        when {{ tax_rate }} = 0 then {{ round_to_cents(amount) }}
        when {{ is_narrow(amount) }}
            then {{ cents_to_money(divide_half_up(
                to_narrow_units(amount), '(1000000 + cast(' ~ tax_rate ~ ' * 1000000 as bigint))'
            )) }}
        else {{ cents_to_money(divide_half_up(to_units(amount, 8), '(1000000 + ' ~ to_units(tax_rate, 6) ~ ')')) }}
    end
{%- endmacro %}

{# Money in cents x an exchange rate of at most 10 decimals, to the cent, half up. #}
{% macro convert_money(amount, rate) -%}
    case
        when {{ rate }} = 1 then cast({{ amount }} as decimal(18, 2))
        else cast(cast({{ amount }} as decimal(18, 2)) * {{ rate }} as decimal(18, 2))
    end
{%- endmacro %}

{#
    An amount of at most 4 decimals in another currency, by way of the reporting one. Within one currency nothing
    changes; beyond what can be booked it becomes the largest such amount.
#}
{% macro exchange_amount(amount, from_currency, from_rate, to_currency, to_rate) -%}
    case
        when {{ is_beyond_money(amount, from_rate ~ ' / ' ~ to_rate) }} then 999999999999
        when {{ from_currency }} = {{ to_currency }} then cast({{ amount }} as decimal(18, 4))
        else {{ cents_to_money(divide_half_up(
            '(' ~ to_units(amount, 4) ~ ' * ' ~ to_units(from_rate, 10) ~ ')',
            '(100 * ' ~ to_units(to_rate, 10) ~ ')'
        )) }}
    end
{%- endmacro %}

{# Money in cents x part / whole, to the cent, half up; part and whole have at most 8 decimals, the whole is positive. #}
{% macro prorate_money(amount, part, whole) -%}
    {{ cents_to_money(divide_half_up(
        '(' ~ to_units(amount, 2) ~ ' * ' ~ to_units(part, 8) ~ ')', to_units(whole, 8)
    )) }}
{%- endmacro %}

{# Unit price x quantity, exactly: 4 + 4 = 8 decimals. #}
{% macro multiply_exactly(price, quantity) -%}
    (cast({{ price }} as decimal(38, 4)) * {{ quantity }})
{%- endmacro %}

{#
    Largest remainder, in three steps over the parts of one whole. The total has at most 4 decimals and is not
    negative, weights have 8 and sum to more than zero.
    1. share_in_cents: what each part gets without its fraction of a cent.
    2. share_remainder: that fraction, to rank the parts by (a whole number; the same unit for all parts).
    3. share_amount: the whole cents, and of the rest a cent by rank, the last one less where the total itself is
       finer than a cent. The shares sum to the total.
#}
{% macro share_in_cents(total, weight, weight_sum) -%}
    (({{ to_units(total, 4) }} * {{ to_units(weight, 8) }}) // ({{ to_units(weight_sum, 8) }} * 100))
{%- endmacro %}

{% macro share_remainder(total, weight, weight_sum) -%}
    (({{ to_units(total, 4) }} * {{ to_units(weight, 8) }}) % ({{ to_units(weight_sum, 8) }} * 100))
{%- endmacro %}

{% macro share_amount(total, cents, cents_sum, rank) -%}
    cast(
        cast(
            {{ cents }} * 100
            + greatest(0, least(100, {{ to_units(total, 4) }} - {{ cents_sum }} * 100 - 100 * ({{ rank }} - 1)))
            as decimal(34, 0)
        ) * 0.0001 as decimal(18, 4)
    )
{%- endmacro %}

{# A tax rate, or null for one that is none (below zero): nothing can be divided by 1 + -1. #}
{% macro usable_tax_rate(tax_rate) -%}
    case when {{ tax_rate }} >= 0 then {{ tax_rate }} end
{%- endmacro %}

{# Whether a product of numbers is too large to be money: short of it no arithmetic here can overflow. #}
{% macro is_beyond_money(amount, factor='1', rate='1') -%}
    abs(
        cast({{ amount }} as double)
        * cast({{ factor }} as double)
        * cast({{ rate }} as double)
    ) >= 1e12
{%- endmacro %}

{# Quantity x part / whole to 4 decimals, half up; part and whole have at most 8 decimals, the whole is positive. #}
{% macro prorate_quantity(quantity, part, whole) -%}
    cast(
        cast(
            {{ divide_half_up('(' ~ to_units(quantity, 4) ~ ' * ' ~ to_units(part, 8) ~ ')', to_units(whole, 8)) }}
            as decimal(34, 0)
        ) * 0.0001 as decimal(18, 4)
    )
{%- endmacro %}

{# Amount x quantity (4 + 4 decimals) to the cent, half up. #}
{% macro multiply_to_cents(price, quantity) -%}
    {{ round_to_cents(multiply_exactly(price, quantity)) }}
{%- endmacro %}

{# A return's amount by the rule, except that the return that completes a line takes what the ones before it left. #}
{% macro rest_or_rule(line_amount, amount_by_rule) -%}
    cast(
        case
            when is_last
                then
                    {{ line_amount }} + {{ amount_by_rule }}
                    - sum({{ amount_by_rule }}) over (partition by order_key, line_id order by sequence)
            else {{ amount_by_rule }}
        end as decimal(18, 2)
    )
{%- endmacro %}

{# Money in cents / a count, to the cent, half up; null where the count is none. #}
{% macro mean_money(amount, number) -%}
    case
        when {{ number }} > 0
            then {{ cents_to_money(divide_half_up(to_units(amount, 2), 'cast(' ~ number ~ ' as hugeint)')) }}
    end
{%- endmacro %}

{# Money in cents for each unit of an area that is given as area-days (4 decimals) over so many days, half up. #}
{% macro net_per_area(amount, area_days, days) -%}
    {{ cents_to_money(divide_half_up(
        '(' ~ to_units(amount, 2) ~ ' * 10000 * ' ~ days ~ ')', to_units(area_days, 4)
    )) }}
{%- endmacro %}
