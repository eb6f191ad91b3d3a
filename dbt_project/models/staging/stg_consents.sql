with

raw_members as (
    select * from {{ source('raw', 'members') }}
),

statements as (
    select
        channel,
        member_id,
        'marketing' as purpose,
        consent_marketing as is_granted,
        coalesce(consent_updated_at, updated_at) as stated_at,
        updated_at,
        _arrival as member_key,
        _file || ':' || cast(_line as varchar) as source
    from raw_members
    where consent_marketing is not null
),

newest_statements as (
    select
        channel,
        member_id,
        purpose,
        {{ last_value_by('is_granted', ['stated_at', 'updated_at', 'not is_granted', 'member_key']) }} as is_granted,
        {{ last_value_by('source', ['stated_at', 'updated_at', 'not is_granted', 'member_key']) }} as source,
        max(stated_at) as stated_at
    from statements
    group by channel, member_id, purpose
)

select * from newest_statements
