with

raw_members as (
    select * from {{ source('raw', 'members') }}
),

holding_versions as (
    {{ holding_arrivals('raw_members', ['channel', 'member_id']) }}
),

newest_members as (
    select
        raw_members.channel,
        raw_members.member_id,
        raw_members.updated_at,
        raw_members.registered_at,
        raw_members.phone_token,
        raw_members.phone_issue,
        raw_members.email_token,
        raw_members.email_issue,
        raw_members.name_token,
        raw_members.birthday_token,
        raw_members.birth_month,
        raw_members.gender,
        raw_members.province,
        raw_members.city,
        raw_members.home_store_id,
        raw_members.level,
        raw_members.points_balance,
        raw_members.consent_marketing,
        raw_members._arrival as member_key,
        coalesce(raw_members.deleted, false) as is_deleted
    from raw_members
    inner join holding_versions on raw_members._arrival = holding_versions._arrival
)

select * from newest_members
