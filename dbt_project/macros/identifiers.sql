{# A stable id of several texts, none of which can imitate another's boundary; 32 hex digits. #}
{% macro stable_id(parts) -%}
    md5(concat_ws(chr(31){% for part in parts %}, coalesce({{ part }}, chr(30)){% endfor %}))
{%- endmacro %}

{# A city's name without what is written one way by one channel and another way by the next. #}
{% macro city_key(city) -%}
    nullif(rtrim(lower(trim({{ city }})), '市'), '')
{%- endmacro %}
