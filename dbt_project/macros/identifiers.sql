{# A stable id of several texts, none of which can imitate another's boundary; 32 hex digits. #}
{% macro stable_id(parts) -%}
    md5(concat_ws(chr(31){% for part in parts %}, coalesce({{ part }}, chr(30)){% endfor %}))
{%- endmacro %}
