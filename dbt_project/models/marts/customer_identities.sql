with

identities as (
    select * from {{ source('identity', 'identities') }}
),

customer_identities as (
    select
        customer_id,
        channel,
        kind,
        identity,
        first_seen_at,
        last_seen_at,
        cast(n_sources as bigint) as n_sources,
        is_blocked,
        reason
    from identities
)

select * from customer_identities
