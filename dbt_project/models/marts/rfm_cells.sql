with

configured_cells as (
    select * from {{ source('reference', 'rfm_cells') }}
),

rfm_cells as (
    select
        r_score,
        f_score,
        m_score,
        segment
    from configured_cells
)

select * from rfm_cells
