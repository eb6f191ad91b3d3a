{# The condition is true on every row. #}
{% test holds(model, condition) %}

select *
from {{ model }}
where ({{ condition }}) is distinct from true

{% endtest %}
