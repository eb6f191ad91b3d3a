with

blocks as (
    select * from {{ source('identity', 'blocks') }}
),

customer_blocks as (
    select
        customer_id,
        kind,
        channel,
        identity,
        block_rule,
        reason
    from blocks
)

select * from customer_blocks
