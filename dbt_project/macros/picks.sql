{# Aggregate: the value on the row that comes first by the named columns, of the rows that meet the condition. #}
{% macro first_value_by(value, columns, condition=none) -%}
    {{ _pick('min', value, columns, condition) }}
{%- endmacro %}

{# Aggregate: the value on the row that comes last by the named columns, of the rows that meet the condition. #}
{% macro last_value_by(value, columns, condition=none) -%}
    {{ _pick('max', value, columns, condition) }}
{%- endmacro %}

{% macro _pick(aggregate, value, columns, condition) -%}
    ({{ aggregate }}(struct_pack(
        {%- for column in columns %}rank_{{ loop.index }} := {{ column }}, {% endfor -%}
        picked := {{ value }}
    )) {%- if condition %} filter (where {{ condition }}){% endif %}).picked
{%- endmacro %}
