with

raw_reviews as (
    select * from {{ source('raw', 'reviews') }}
),

holding_versions as (
    {{ holding_arrivals('raw_reviews', ['channel', 'review_id'], version=none) }}
),

reviews as (
    select
        raw_reviews.channel,
        raw_reviews.review_id,
        raw_reviews.created_at,
        raw_reviews.order_id,
        raw_reviews.store_id,
        raw_reviews.rating
    from raw_reviews
    inner join holding_versions on raw_reviews._arrival = holding_versions._arrival
)

select * from reviews
