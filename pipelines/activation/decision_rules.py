"""The rules of a coupon decision, as SQL over the temporary tables that planning prepares.

Belongs here: one statement a rule; `decisions` says in which order they run and why. Parameters are bound by name.
"""

from __future__ import annotations

UNDECIDED = """
    CREATE OR REPLACE TEMP TABLE undecided AS
    WITH decided AS (
        SELECT DISTINCT lineage.person
        FROM coupon_history
        INNER JOIN lineage ON coupon_history.customer_id = lineage.customer_id
        WHERE
            coupon_history.campaign_id = $campaign_id
            AND coupon_history.wave = $wave
            AND lineage.via IN ('self', 'merge')
        UNION
        SELECT customer_id AS person
        FROM coupon_history
        WHERE campaign_id = $campaign_id AND wave = $wave
    )

    SELECT
        audience.customer_id,
        persons.customer_id IS NULL AS is_missing,
        coalesce(persons.is_staff, false) AS is_staff,
        coalesce(persons.has_consent, false) AS has_consent,
        coalesce(persons.source_ids, '[]') AS source_ids,
        coalesce(worth.monetary, 0) AS monetary,
        ('0x' || substr(sha256($salt || ':' || audience.customer_id), 1, 12))::BIGINT AS draw,
        ('0x' || substr(sha256($salt || ':order:' || audience.customer_id), 1, 12))::BIGINT AS place
    FROM audience
    ANTI JOIN decided ON audience.customer_id = decided.person
    LEFT JOIN persons ON audience.customer_id = persons.customer_id
    LEFT JOIN worth ON audience.customer_id = worth.customer_id
"""

SUPPRESSED = """
    CREATE OR REPLACE TEMP TABLE suppressed AS
    WITH reachable AS (
        SELECT DISTINCT customer_id FROM campaign_addresses
    )

    SELECT
        undecided.customer_id,
        CASE
            WHEN undecided.is_missing THEN 'not among the customers'
            WHEN undecided.is_staff THEN 'staff'
            WHEN NOT undecided.has_consent THEN 'no consent to marketing'
            WHEN undecided.customer_id IN (SELECT customer_id FROM refused_addresses)
                THEN 'no consent to marketing in any channel of the campaign'
            WHEN reachable.customer_id IS NULL THEN 'no account at any destination of the campaign'
        END AS reason
    FROM undecided
    LEFT JOIN reachable ON undecided.customer_id = reachable.customer_id
    WHERE
        undecided.is_missing
        OR undecided.is_staff
        OR NOT undecided.has_consent
        OR reachable.customer_id IS NULL
"""

CAPPED = """
    INSERT INTO capped
    WITH counted AS (
        SELECT
            lineage.person,
            count(DISTINCT (history.campaign_id, history.wave, history.customer_id)) AS coupons
        FROM coupon_history AS history
        INNER JOIN lineage ON history.customer_id = lineage.customer_id
        WHERE
            list_contains($live, history.state)
            AND ($kind IS NULL OR history.campaign_kind = $kind)
            AND history.decided_on > $since
        GROUP BY lineage.person
    )

    SELECT
        undecided.customer_id,
        format('{} coupon(s){} within {} days already', counted.coupons, $words, $days) AS reason
    FROM undecided
    INNER JOIN counted ON undecided.customer_id = counted.person
    ANTI JOIN suppressed ON undecided.customer_id = suppressed.customer_id
    ANTI JOIN capped ON undecided.customer_id = capped.customer_id
    WHERE counted.coupons >= $at_most
"""

OUTCOMES = """
    CREATE OR REPLACE TEMP TABLE outcomes AS
    WITH issued AS (
        SELECT
            customer_id,
            wave,
            max(liability_cents) AS liability_cents
        FROM coupon_history
        WHERE campaign_id = $campaign_id AND list_contains($live, state)
        GROUP BY customer_id, wave
    ),

    spent AS (
        SELECT
            coalesce(sum(liability_cents), 0) AS cents,
            count(*) AS coupons
        FROM issued
    ),

    eligible AS (
        SELECT
            undecided.*,
            undecided.draw < $holdout_below AS is_held_out
        FROM undecided
        ANTI JOIN suppressed ON undecided.customer_id = suppressed.customer_id
        ANTI JOIN capped ON undecided.customer_id = capped.customer_id
    ),

    ordered AS (
        SELECT
            customer_id,
            is_held_out,
            coalesce(
                count(*) FILTER (WHERE NOT is_held_out) OVER (
                    ORDER BY (CASE WHEN $by_monetary THEN monetary ELSE 0 END) DESC, place, customer_id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), 0
            ) AS coupons_before
        FROM eligible
    ),

    budgeted AS (
        SELECT
            ordered.customer_id,
            CASE
                WHEN $max_coupons IS NOT NULL AND spent.coupons + ordered.coupons_before + 1 > $max_coupons
                    THEN 'capped'
                WHEN
                    $max_cents IS NOT NULL
                    AND spent.cents + (ordered.coupons_before + 1) * $liability_cents > $max_cents
                    THEN 'capped'
                WHEN ordered.is_held_out THEN 'held_out'
                ELSE 'planned'
            END AS state
        FROM ordered
        CROSS JOIN spent
    )

    SELECT customer_id, 'suppressed' AS state, reason FROM suppressed
    UNION ALL
    SELECT customer_id, 'capped' AS state, reason FROM capped
    UNION ALL
    SELECT
        customer_id,
        state,
        CASE state
            WHEN 'capped' THEN 'the budget of the campaign is used up'
            WHEN 'held_out' THEN 'held out to measure the effect'
        END AS reason
    FROM budgeted
"""

PLANNED = """
    WITH destinations AS (
        SELECT unnest($destinations) AS destination
    ),

    placed AS (
        SELECT
            destinations.destination,
            campaign_addresses.address,
            outcomes.customer_id,
            codes.code,
            CASE
                WHEN outcomes.state = 'planned' AND campaign_addresses.address IS NULL THEN 'suppressed'
                ELSE outcomes.state
            END AS state,
            CASE
                WHEN outcomes.state = 'planned' AND campaign_addresses.address IS NULL
                    THEN 'no account at ' || destinations.destination
                ELSE outcomes.reason
            END AS reason,
            undecided.source_ids
        FROM outcomes
        CROSS JOIN destinations
        INNER JOIN undecided ON outcomes.customer_id = undecided.customer_id
        LEFT JOIN campaign_addresses
            ON
                outcomes.customer_id = campaign_addresses.customer_id
                AND destinations.destination = campaign_addresses.destination
        LEFT JOIN codes ON outcomes.customer_id = codes.customer_id
    ),

    keyed AS (
        SELECT
            *,
            sha256(concat_ws(chr(31), destination, 'coupon', customer_id, $campaign_id, $wave)) AS digest
        FROM placed
    )

    SELECT
        'd' || substr(digest, 1, 20) AS delivery_id,
        substr(digest, 1, 32) AS idempotency_key,
        destination,
        'coupon' AS operation,
        customer_id,
        coalesce(address, customer_id) AS address,
        $campaign_id AS campaign_id,
        $wave AS wave,
        1::BIGINT AS version,
        substr(digest, 1, 32) AS fingerprint,
        CASE WHEN state = 'planned' THEN code ELSE $campaign_id || '/' || $wave END AS subject,
        state,
        reason,
        $decided_on AS decided_on,
        $decided_at::TIMESTAMP AS decided_at,
        $snapshot_id AS snapshot_id,
        $campaign_kind AS campaign_kind,
        CASE WHEN state = 'planned' THEN $liability_cents::BIGINT ELSE 0 END AS liability_cents,
        CASE WHEN state = 'planned' THEN $valid_to END AS valid_to,
        CASE
            WHEN state = 'planned'
                THEN to_json({
                    'source_ids': source_ids::JSON,
                    'body': {
                        'code': code,
                        'kind': $offer_kind,
                        'value': $offer_value,
                        'threshold': $offer_threshold,
                        'currency': $offer_currency,
                        'max_discount': $offer_max_discount,
                        'valid_from': $decided_on,
                        'valid_to': $valid_to
                    }
                })::VARCHAR
        END AS payload,
        NULL::VARCHAR AS content
    FROM keyed
    ORDER BY delivery_id
"""

WITHHELD = """
    WITH standing AS (
        SELECT
            history.delivery_id,
            history.state,
            history.valid_to,
            lineage.person,
            row_number() OVER (
                PARTITION BY history.destination, history.campaign_id, history.wave, lineage.person
                ORDER BY
                    (history.state IN ('applied', 'sent', 'unknown')) DESC,
                    (lineage.via = 'self') DESC,
                    history.decided_on,
                    history.delivery_id
            ) AS place
        FROM coupon_history AS history
        LEFT JOIN lineage ON history.customer_id = lineage.customer_id AND lineage.via IN ('self', 'merge')
    )

    SELECT
        standing.delivery_id,
        CASE WHEN standing.valid_to < $as_of THEN 'rejected' ELSE 'suppressed' END AS state,
        CASE
            WHEN standing.valid_to < $as_of THEN 'expired before it could be sent'
            WHEN standing.person IS NULL THEN 'no longer among the customers'
            WHEN persons.is_staff THEN 'staff'
            WHEN NOT persons.has_consent THEN 'consent was withdrawn before it was sent'
            ELSE 'merged with a person who was decided in this wave'
        END AS reason
    FROM standing
    LEFT JOIN persons ON standing.person = persons.customer_id
    WHERE
        standing.state = 'planned'
        AND (
            standing.person IS NULL
            OR persons.is_staff
            OR NOT persons.has_consent
            OR standing.valid_to < $as_of
            OR standing.place > 1
        )
"""
