with

links as (
    select * from {{ source('identity', 'links') }}
),

customer_links as (
    select
        customer_id,
        relation,
        kind,
        channel,
        member_id,
        identity,
        partner_channel,
        partner_id,
        score,
        evidence,
        since
    from links
)

select * from customer_links
