{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='snapshot_date',
        on_schema_change='append_new_columns',
        full_refresh=false,
        pre_hook="{{ remove_snapshot_of_as_of() }}",
        post_hook="{{ thin_out_snapshots() }}",
    )
}}

with

scored_customers as (
    select * from {{ ref('int_customer_rfm') }}
),

{% if is_incremental() %}
run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

kept_snapshots as (
    select * from {{ this }}
),

previous_dates as (
    select max(kept_snapshots.snapshot_date) as snapshot_date
    from kept_snapshots
    cross join run_settings
    where kept_snapshots.snapshot_date < run_settings.as_of
),

next_dates as (
    select min(kept_snapshots.snapshot_date) as snapshot_date
    from kept_snapshots
    cross join run_settings
    where kept_snapshots.snapshot_date > run_settings.as_of
),

previous_snapshot as (
    select kept_snapshots.*
    from kept_snapshots
    inner join previous_dates on kept_snapshots.snapshot_date = previous_dates.snapshot_date
),
{% else %}
-- The first snapshot of all has none before it.
previous_snapshot as (
    select
        customer_id,
        snapshot_date,
        segment,
        lifecycle,
        snapshot_date as segment_since,
        snapshot_date as lifecycle_since
    from scored_customers
    where false
),
{% endif %}

new_snapshot as (
    select
        scored_customers.customer_id,
        scored_customers.snapshot_date,
        scored_customers.recency_days,
        scored_customers.frequency,
        scored_customers.monetary,
        scored_customers.r_score,
        scored_customers.f_score,
        scored_customers.m_score,
        scored_customers.segment,
        scored_customers.lifecycle,
        previous_snapshot.segment as previous_segment,
        previous_snapshot.snapshot_date as previous_snapshot_date,
        case
            when scored_customers.segment = previous_snapshot.segment then previous_snapshot.segment_since
            else scored_customers.snapshot_date
        end as segment_since,
        case
            when scored_customers.lifecycle = previous_snapshot.lifecycle then previous_snapshot.lifecycle_since
            else scored_customers.snapshot_date
        end as lifecycle_since
    from scored_customers
    left join previous_snapshot on scored_customers.customer_id = previous_snapshot.customer_id
),

{% if is_incremental() %}
-- A run for an earlier date slips its snapshot in between two: the one after it then follows on this one.
next_snapshot as (
    select
        kept_snapshots.customer_id,
        kept_snapshots.snapshot_date,
        kept_snapshots.recency_days,
        kept_snapshots.frequency,
        kept_snapshots.monetary,
        kept_snapshots.r_score,
        kept_snapshots.f_score,
        kept_snapshots.m_score,
        kept_snapshots.segment,
        kept_snapshots.lifecycle,
        new_snapshot.segment as previous_segment,
        new_snapshot.snapshot_date as previous_snapshot_date,
        case
            when kept_snapshots.segment = new_snapshot.segment then new_snapshot.segment_since
            else kept_snapshots.snapshot_date
        end as segment_since,
        case
            when kept_snapshots.lifecycle = new_snapshot.lifecycle then new_snapshot.lifecycle_since
            else kept_snapshots.snapshot_date
        end as lifecycle_since
    from kept_snapshots
    inner join next_dates on kept_snapshots.snapshot_date = next_dates.snapshot_date
    left join new_snapshot on kept_snapshots.customer_id = new_snapshot.customer_id
),
{% endif %}

customer_rfm as (
    select * from new_snapshot
    {% if is_incremental() %}
    union all
    select * from next_snapshot
    {% endif %}
)

select * from customer_rfm
