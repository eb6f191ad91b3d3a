{# No two rows share the values of these columns; null counts as a value. #}
{% test unique_combination(model, columns) %}

with

counted_keys as (
    select
        {{ columns | join(', ') }},
        count(*) as n_rows
    from {{ model }}
    group by {{ columns | join(', ') }}
)

select * from counted_keys
where n_rows > 1

{% endtest %}
