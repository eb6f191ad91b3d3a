with

delivered_stores as (
    select * from {{ ref('stg_stores') }}
),

-- One store number may come from several channels: the shared record speaks for all, else the newest.
ranked_stores as (
    select
        *,
        row_number() over (
            partition by store_id
            order by case when channel = '_shared' then 0 else 1 end asc, updated_at desc, channel asc
        ) as preference
    from delivered_stores
),

stores as (
    select
        store_id,
        channel,
        name,
        kind,
        brand,
        province,
        city,
        latitude,
        longitude,
        selling_area_m2,
        opened_on,
        closed_on,
        timezone
    from ranked_stores
    where preference = 1
)

select * from stores
