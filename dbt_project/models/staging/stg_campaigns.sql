with

raw_campaigns as (
    select * from {{ source('raw', 'campaigns') }}
),

-- A campaign runs over several channels: whoever sent it, the newest version holds.
holding_versions as (
    {{ holding_arrivals('raw_campaigns', ['campaign_id']) }}
),

newest_campaigns as (
    select
        raw_campaigns.campaign_id,
        raw_campaigns.name,
        raw_campaigns.kind,
        raw_campaigns.starts_at,
        raw_campaigns.ends_at,
        raw_campaigns.cost,
        raw_campaigns.currency
    from raw_campaigns
    inner join holding_versions on raw_campaigns._arrival = holding_versions._arrival
)

select * from newest_campaigns
