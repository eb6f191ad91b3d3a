{# The business day of an instant (UTC) in a zone whose day begins at a local time of day. #}
{% macro business_day(instant, zone, day_begins_at) -%}
    cast(
        timezone({{ zone }}, timezone('UTC', {{ instant }})) - to_microseconds(epoch_us({{ day_begins_at }})) as date
    )
{%- endmacro %}

{# Whether the engine knows a time zone of this name: an unknown one would end the query. #}
{% macro known_timezones() -%}
    select name as timezone from pg_timezone_names()
{%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}
