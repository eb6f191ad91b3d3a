{# The business day of an instant (UTC) in a zone whose day begins at a local time of day. #}
{% macro business_day(instant, zone, day_begins_at) -%}
    cast(
        timezone({{ zone }}, timezone('UTC', {{ instant }})) - to_microseconds(epoch_us({{ day_begins_at }})) as date
    )
{%- endmacro %}

{# Microseconds that the wall clock of a zone is ahead of UTC at a UTC instant. #}
{% macro utc_offset(instant, zone) -%}
    epoch_us(timezone({{ zone }}, timezone('UTC', {{ instant }}))) - epoch_us({{ instant }})
{%- endmacro %}

{#
    `business_day`, for millions of rows: `span` is a row of int_zone_offsets (or nulls) of the zone. An instant within
    it is moved by its offset; only one outside pays for the look-up of its zone, which costs fifty times that.
#}
{% macro business_day_by_span(instant, zone, day_begins_at, span) -%}
    case
        when {{ instant }} >= {{ span }}.valid_from and {{ instant }} < {{ span }}.valid_before
            then cast(
                {{ instant }} + to_microseconds({{ span }}.utc_offset - epoch_us({{ day_begins_at }})) as date
            )
        else {{ business_day(instant, zone, day_begins_at) }}
    end
{%- endmacro %}

{# Every day (a timestamp) from some years before a date of a one-row relation to some years after it. #}
{% macro days_around(relation, date, years_before, years_after) -%}
    select
        unnest(
            generate_series(
                date_trunc('day', {{ date }}) - to_years({{ years_before }}),
                date_trunc('day', {{ date }}) + to_years({{ years_after }}),
                interval 1 day
            )
        )::timestamp as day
    from {{ relation }}
{%- endmacro %}

{# Whether the engine knows a time zone of this name: an unknown one would end the query. #}
{% macro known_timezones() -%}
    select name as timezone from pg_timezone_names()
{%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{# Hour (0 to 23) of the wall clock of a zone at an instant (UTC), by a span as in `business_day_by_span`. #}
{% macro local_hour_by_span(instant, zone, span) -%}
    case
        when {{ instant }} >= {{ span }}.valid_from and {{ instant }} < {{ span }}.valid_before
            then extract('hour' from {{ instant }} + to_microseconds({{ span }}.utc_offset))
        else extract('hour' from timezone({{ zone }}, timezone('UTC', {{ instant }})))
    end
{%- endmacro %}

{# An instant so many days later. #}
{% macro days_later(instant, days) -%}
    ({{ instant }} + to_days({{ days }}))
{%- endmacro %}

{# Whole minutes from one instant to another. #}
{% macro minutes_between(earlier, later) -%}
    date_diff('minute', {{ earlier }}, {{ later }})
{%- endmacro %}

{# First day of the calendar month, quarter or year of a date. #}
{% macro period_start(unit, date) -%}
    cast(date_trunc('{{ unit }}', {{ date }}) as date)
{%- endmacro %}

{# Last day of the calendar period that begins so many periods after a first day; unit is month, quarter or year. #}
{% macro period_end(unit, start, periods_later='0') -%}
    cast(
        {{ start }}
        + to_months(cast(({{ periods_later }} + 1) * {{ {'month': 1, 'quarter': 3, 'year': 12}[unit] }} as integer))
        - interval 1 day as date
    )
{%- endmacro %}

{# Whole calendar months from one first day of a month to another. #}
{% macro months_between(earlier, later) -%}
    date_diff('month', {{ earlier }}, {{ later }})
{%- endmacro %}

{# Every whole number from a first to a last one, as rows of column `number`. #}
{% macro whole_numbers(first, last) -%}
    select unnest(range({{ first }}, {{ last }} + 1)) as number
{%- endmacro %}

{# Microseconds of an instant since 1970. #}
{% macro epoch_microseconds(instant) -%}
    epoch_us({{ instant }})
{%- endmacro %}

{# A date some whole days later. #}
{% macro add_days(day, days) -%}
    cast({{ day }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{# First day of the season of an instant (UTC): the quarters that begin with December, March, June and September. #}
{% macro season_start(instant) -%}
    cast(date_trunc('quarter', {{ instant }} + interval 1 month) - interval 1 month as date)
{%- endmacro %}

{# A first day of a month, so many months later. #}
{% macro month_later(start, months) -%}
    cast({{ start }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{# The day after a date. #}
{% macro day_after(date) -%}
    ({{ date }} + 1)
{%- endmacro %}

{# UTC instant at which a wall clock of a zone shows a time. #}
{% macro instant_of_local(local_time, zone) -%}
    timezone('UTC', timezone({{ zone }}, cast({{ local_time }} as timestamp)))
{%- endmacro %}

{# One row for each day from a first to a last date of a relation's row, as `day`, beside the named columns. #}
{% macro each_day(relation, first, last, columns) -%}
    select
        {{ columns | join(', ') }},
        cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as day
    from {{ relation }}
{%- endmacro %}

{# The instant right before another. #}
{% macro just_before(instant) -%}
    ({{ instant }} - interval 1 microsecond)
{%- endmacro %}
