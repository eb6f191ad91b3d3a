{#
    Arrival numbers of the rows that hold: of each key the newest version, ties to the later arrival; of a feed
    without versions the later arrival. One row per key, one column `_arrival`.
#}
{% macro holding_arrivals(relation, keys, version='updated_at', condition='true') -%}
    {%- if version is none %}
    select max(_arrival) as _arrival
    {%- else %}
    select max(struct_pack(version := {{ version }}, arrival := _arrival)).arrival as _arrival
    {%- endif %}
    from {{ relation }}
    where {{ condition }}
    group by {{ keys | join(', ') }}
{%- endmacro %}
