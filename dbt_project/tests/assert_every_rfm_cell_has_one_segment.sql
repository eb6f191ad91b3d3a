-- Every combination of the scores there are, each in exactly one segment that exists.
with

rfm_cells as (
    select * from {{ source('reference', 'rfm_cells') }}
),

segments as (
    select * from {{ ref('segments') }}
),

scores as (
    select distinct r_score as score from rfm_cells
),

cells as (
    select
        r_scores.score as r_score,
        f_scores.score as f_score,
        m_scores.score as m_score
    from scores as r_scores
    cross join scores as f_scores
    cross join scores as m_scores
),

segments_by_cell as (
    select
        cells.r_score,
        cells.f_score,
        cells.m_score,
        count(segments.segment) as n_segments
    from cells
    left join rfm_cells
        on
            cells.r_score = rfm_cells.r_score
            and cells.f_score = rfm_cells.f_score
            and cells.m_score = rfm_cells.m_score
    left join segments on rfm_cells.segment = segments.segment
    group by cells.r_score, cells.f_score, cells.m_score
)

select * from segments_by_cell
where n_segments != 1
