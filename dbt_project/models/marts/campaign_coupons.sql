with

issued_coupons as (
    select * from {{ source('ops', 'coupons_issued') }}
),

channel_coupons as (
    select * from {{ ref('stg_coupons') }}
),

redemptions as (
    select * from {{ ref('int_coupon_redemptions') }}
),

customers as (
    select * from {{ ref('customers') }}
),

identities as (
    select * from {{ ref('customer_identities') }}
),

merge_events as (
    select * from {{ ref('customer_merges') }}
),

run_settings as (
    select * from {{ source('reference', 'run_settings') }}
),

-- A code is the same at every destination: one coupon, however many places know it.
own_coupons as (
    select
        'omnilake' as issued_by,
        coupon_code,
        upper(coupon_code) as matched_code,
        campaign_id,
        wave,
        customer_id,
        min(decided_on) as issued_on,
        max(valid_to) as valid_to
    from issued_coupons
    group by coupon_code, campaign_id, wave, customer_id
),

claims_of_own as (
    select
        matched_code,
        min(claimed_at) as claimed_at
    from channel_coupons
    where claimed_at is not null
    group by matched_code
),

foreign_coupons as (
    select
        channel_coupons.channel as issued_by,
        channel_coupons.coupon_code,
        channel_coupons.matched_code,
        channel_coupons.campaign_id,
        cast(null as varchar) as wave,
        identities.customer_id,
        cast(channel_coupons.issued_at as date) as issued_on,
        cast(channel_coupons.expires_at as date) as valid_to,
        channel_coupons.claimed_at
    from channel_coupons
    left join own_coupons on channel_coupons.matched_code = own_coupons.matched_code
    left join identities
        on
            channel_coupons.channel = identities.channel
            and channel_coupons.member_id = identities.identity
            and identities.kind = 'member'
    where
        own_coupons.matched_code is null
        and channel_coupons.campaign_id is not null
),

all_coupons as (
    select
        own_coupons.*,
        claims_of_own.claimed_at
    from own_coupons
    left join claims_of_own on own_coupons.matched_code = claims_of_own.matched_code
    union all
    select * from foreign_coupons
),

-- Whoever has merged since still holds the coupon, under the surviving id.
survivors as (
    select
        from_customer_id,
        {{ last_value_by('into_customer_id', ['"at"', 'into_customer_id']) }} as into_customer_id
    from merge_events
    where kind = 'merge'
    group by from_customer_id
),

held_coupons as (
    select
        all_coupons.issued_by,
        all_coupons.coupon_code,
        all_coupons.matched_code,
        all_coupons.campaign_id,
        all_coupons.wave,
        all_coupons.issued_on,
        all_coupons.valid_to,
        all_coupons.claimed_at,
        coalesce(holders.customer_id, survivors.into_customer_id, all_coupons.customer_id) as customer_id
    from all_coupons
    left join customers as holders on all_coupons.customer_id = holders.customer_id
    left join survivors on all_coupons.customer_id = survivors.from_customer_id
),

coupons_with_redemptions as (
    select
        held_coupons.*,
        redemptions.redeemed_at,
        redemptions.channel as redeemed_channel,
        redemptions.order_id as redeemed_order_id,
        redemptions.store_id as redeemed_store_id,
        redemptions.customer_id as redeemed_by_customer_id,
        redemptions.net_amount,
        redemptions.discount_amount,
        -- An order that redeems several coupons of a campaign is counted once.
        row_number() over (
            partition by held_coupons.campaign_id, redemptions.channel, redemptions.order_id
            order by held_coupons.issued_by, held_coupons.coupon_code
        ) as place_in_order
    from held_coupons
    left join redemptions
        on
            held_coupons.matched_code = redemptions.matched_code
            and redemptions.redemption_number = 1
            and (held_coupons.issued_by = 'omnilake' or held_coupons.issued_by = redemptions.channel)
),

campaign_coupons as (
    select
        coupons_with_redemptions.issued_by,
        coupons_with_redemptions.coupon_code,
        coupons_with_redemptions.campaign_id,
        coupons_with_redemptions.wave,
        coupons_with_redemptions.customer_id,
        customers.home_store_id as store_id,
        coupons_with_redemptions.issued_on,
        coupons_with_redemptions.valid_to,
        coupons_with_redemptions.claimed_at,
        coupons_with_redemptions.redeemed_at,
        coupons_with_redemptions.redeemed_channel,
        coupons_with_redemptions.redeemed_order_id,
        coupons_with_redemptions.redeemed_store_id,
        coupons_with_redemptions.redeemed_by_customer_id,
        coupons_with_redemptions.redeemed_at is not null as is_redeemed,
        coupons_with_redemptions.redeemed_at is null
        and coalesce(coupons_with_redemptions.valid_to < run_settings.as_of, false) as is_expired,
        cast(
            case when coupons_with_redemptions.place_in_order = 1 then coupons_with_redemptions.net_amount end
            as decimal(18, 2)
        ) as net_amount,
        cast(
            case when coupons_with_redemptions.place_in_order = 1 then coupons_with_redemptions.discount_amount end
            as decimal(18, 2)
        ) as discount_amount
    from coupons_with_redemptions
    cross join run_settings
    left join customers on coupons_with_redemptions.customer_id = customers.customer_id
)

select * from campaign_coupons
