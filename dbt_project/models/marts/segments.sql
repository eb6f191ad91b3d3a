with

configured_segments as (
    select * from {{ source('reference', 'segments') }}
),

segments as (
    select
        segment,
        kind,
        cast(position as bigint) as position,
        name_zh,
        name_en,
        definition_zh,
        definition_en
    from configured_segments
)

select * from segments
