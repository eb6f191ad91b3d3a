{#- Attributes in the order of pipelines/survivorship.py. The first four stay in the vault. -#}
{%- set attributes = [
    ('name', 'name_token is not null', none, 'true'),
    ('phone', 'phone_token is not null or phone_issue is not null', none, 'has_valid_phone'),
    ('email', 'email_token is not null or email_issue is not null', none, 'has_valid_email'),
    ('birthday', 'birthday_token is not null', none, 'true'),
    ('birth_month', 'birth_month is not null', 'birth_month', 'true'),
    ('gender', 'gender is not null', 'gender', 'true'),
    ('province', 'province is not null', 'province', 'true'),
    ('city', 'city is not null', 'city', 'true'),
    ('level', '"level" is not null', '"level"', 'true'),
    ('home_store_id', 'home_store_id is not null', 'home_store_id', 'true'),
] -%}
{%- set criteria = ['first_criterion', 'second_criterion', 'third_criterion'] -%}
{%- set order = criteria + ['member_key'] -%}
with

members as (
    select * from {{ ref('stg_members') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

golden_rules as (
    select * from {{ source('reference', 'golden_rules') }}
),

golden_sources as (
    select * from {{ source('reference', 'golden_sources') }}
),

-- A value that links nobody is nobody's to be reached by; one that a household shares reaches all of it.
unusable_values as (
    select distinct
        kind,
        identity
    from identities
    where
        is_blocked
        and kind in ('phone', 'email')
        and coalesce(reason, '') not like 'shared by%'
        and coalesce(reason, '') not like 'passed to%'
),

memberships as (
    select
        identities.customer_id,
        members.channel,
        members.member_id,
        members.member_key,
        members.updated_at,
        members.name_token,
        members.phone_token,
        members.phone_issue,
        members.email_token,
        members.email_issue,
        members.birthday_token,
        members.birth_month,
        members.gender,
        members.province,
        members.city,
        members.level,
        members.home_store_id,
        members.phone_token is not null
        and members.phone_issue is null
        and unusable_phones.identity is null as has_valid_phone,
        members.email_token is not null
        and members.email_issue is null
        and unusable_emails.identity is null as has_valid_email
    from members
    inner join identities
        on
            identities.kind = 'member'
            and members.channel = identities.channel
            and members.member_id = identities.identity
    left join unusable_values as unusable_phones
        on unusable_phones.kind = 'phone' and members.phone_token = unusable_phones.identity
    left join unusable_values as unusable_emails
        on unusable_emails.kind = 'email' and members.email_token = unusable_emails.identity
    where
        identities.customer_id is not null
        and not members.is_deleted
),

cells as (
    {%- for attribute, presence, value, validity in attributes %}
    {% if not loop.first %}union all{% endif %}
    select
        customer_id,
        '{{ attribute }}' as attribute,
        {{ 'cast(null as varchar)' if value is none else value }} as cell_value,
        {{ 'true' if value is none else 'false' }} as is_masked,
        {{ validity }} as is_valid,
        channel,
        member_id,
        member_key,
        updated_at
    from memberships
    where {{ presence }}
    {%- endfor %}
),

-- What each criterion of the attribute's rule makes of the cell; more is better.
ranked_cells as (
    select
        cells.*,
        golden_rules.rule,
    {%- for criterion in criteria %}
    case golden_rules.{{ criterion }}
        when 'valid' then cast(cells.is_valid as bigint)
        when 'source' then -coalesce(golden_sources.source_rank, 1000000)
        when 'latest' then {{ epoch_microseconds('cells.updated_at') }}
        when 'earliest' then -{{ epoch_microseconds('cells.updated_at') }}
        else 0
    end as {{ criterion }}{{ ',' if not loop.last }}
    {%- endfor %}
    from cells
    inner join golden_rules on cells.attribute = golden_rules.attribute
    left join golden_sources
        on cells.attribute = golden_sources.attribute and cells.channel = golden_sources.channel
),

golden_record as (
    select
        customer_id,
        attribute,
        {{ last_value_by('cell_value', order) }} as value,
        bool_or(is_masked) as is_masked,
        {{ last_value_by('is_valid', order) }} as is_valid,
        {{ last_value_by('channel', order) }} as source_channel,
        {{ last_value_by('member_id', order) }} as source_member,
        max(rule) as rule,
        {{ last_value_by('updated_at', order) }} as as_of,
        count(*) as n_sources
    from ranked_cells
    group by customer_id, attribute
)

select * from golden_record
