{# Hooks of customer_rfm, inside the transaction that writes it. They find nothing to do before its first build. #}

{# The same as-of date again replaces its snapshot, even where nobody is left in it. #}
{% macro remove_snapshot_of_as_of() -%}
    {%- if load_relation(this) is not none -%}
    delete from {{ this }}
    where snapshot_date = (select as_of from {{ source('reference', 'run_settings') }})
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}

{# Past the daily days the last snapshot of each month stays, and always the one of this run. #}
{% macro thin_out_snapshots() -%}
    delete from {{ this }}
    where
        snapshot_date < (
            select max(kept.snapshot_date) - max(rfm_settings.keep_daily_days)
            from {{ this }} as kept
            cross join {{ source('reference', 'rfm_settings') }} as rfm_settings
        )
        and snapshot_date not in (
            select max(kept.snapshot_date)
            from {{ this }} as kept
            group by date_trunc('month', kept.snapshot_date)
        )
        and snapshot_date != (select as_of from {{ source('reference', 'run_settings') }})
{%- endmacro %}
