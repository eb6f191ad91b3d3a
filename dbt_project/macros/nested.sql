{# One row per element of a list column, with `position` (from 1) and `element`, beside the named columns. #}
{% macro list_elements(relation, list_column, columns) -%}
    select
        {{ columns | join(', ') }},
        unnest(range(1, len({{ list_column }}) + 1)) as position,
        unnest({{ list_column }}) as element
    from {{ relation }}
{%- endmacro %}

{# Sum of a field over the list of structs, of those whose other field has the value; 0 for none. #}
{% macro sum_where(list_column, amount_field, match_field, match_value) -%}
    coalesce(
        list_sum([item.{{ amount_field }} for item in {{ list_column }} if item.{{ match_field }} = '{{ match_value }}']),
        0
    )
{%- endmacro %}

{# Whether a list of structs has an element whose field has the value; false for no list. #}
{% macro has_where(list_column, match_field, match_value) -%}
    coalesce(len([item for item in {{ list_column }} if item.{{ match_field }} = '{{ match_value }}']) > 0, false)
{%- endmacro %}

{# Whether a text is one of the listed ones; null for null. #}
{% macro is_one_of(text, values) -%}
    {{ text }} in ({% for value in values %}'{{ value }}'{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{# Aggregate: short texts one after the other, in the order of the named columns; null ones are left out. #}
{% macro joined_text(text, columns) -%}
    string_agg({{ text }}, '' order by {{ columns | join(', ') }})
{%- endmacro %}
