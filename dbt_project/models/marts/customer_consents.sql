with

consents as (
    select * from {{ ref('stg_consents') }}
),

members as (
    select * from {{ ref('stg_members') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

consent_rules as (
    select * from {{ source('reference', 'consent_rules') }}
),

consents_of_customers as (
    select
        identities.customer_id,
        consents.purpose,
        consents.channel,
        consents.member_id,
        consents.is_granted,
        consents.stated_at as "at",
        consents.source,
        not members.is_deleted as is_live,
        consent_rules.rule
    from consents
    inner join members
        on consents.channel = members.channel and consents.member_id = members.member_id
    inner join identities
        on
            identities.kind = 'member'
            and consents.channel = identities.channel
            and consents.member_id = identities.identity
    cross join consent_rules
    where identities.customer_id is not null
),

-- Of the same instant a no counts before a yes.
answers as (
    select
        customer_id,
        purpose,
        case
            when max(rule) = 'stricter' then bool_and(is_granted)
            else {{ last_value_by('is_granted', ['"at"', 'not is_granted']) }}
        end as is_granted,
        max("at") as last_stated_at
    from consents_of_customers
    where is_live
    group by customer_id, purpose
),

customer_consents as (
    select
        consents.customer_id,
        consents.purpose,
        consents.channel,
        consents.member_id,
        consents.is_granted,
        consents."at",
        consents.source,
        consents.is_live,
        consents.rule,
        coalesce(
            consents.is_live
            and consents.is_granted = answers.is_granted
            and (consents.rule = 'stricter' or consents."at" = answers.last_stated_at),
            false
        ) as decides
    from consents_of_customers as consents
    left join answers on consents.customer_id = answers.customer_id and consents.purpose = answers.purpose
)

select * from customer_consents
