with

reviews as (
    select * from {{ source('identity', 'reviews') }}
),

identity_reviews as (
    select
        review_id,
        left_customer_id,
        right_customer_id,
        left_channel,
        left_member_id,
        right_channel,
        right_member_id,
        score,
        evidence,
        state,
        decided_by,
        decided_at,
        reason
    from reviews
)

select * from identity_reviews
