"""SQL of the review list: pairs of customers who may be one person, and what people decided.

Belongs here: statements over `identity_reviews` and what is known of both customers without naming anybody.
"""

from __future__ import annotations

LISTED_ROWS = 200

TOTALS = """
SELECT
    count(*) FILTER (WHERE state = 'open') AS reviews_open,
    count(*) FILTER (WHERE state = 'accepted') AS reviews_accepted,
    count(*) FILTER (WHERE state = 'rejected') AS reviews_rejected
FROM identity_reviews
"""

OPEN = f"""
SELECT
    review_id, CAST(score AS DOUBLE) AS score, left_channel || '/' || left_member_id AS left_member,
    right_channel || '/' || right_member_id AS right_member, evidence, left_customer_id, right_customer_id
FROM identity_reviews
WHERE state = 'open'
ORDER BY score DESC, review_id
LIMIT {LISTED_ROWS}
"""

DECIDED = f"""
SELECT
    review_id, state, left_channel || '/' || left_member_id AS left_member,
    right_channel || '/' || right_member_id AS right_member, CAST(score AS DOUBLE) AS score, decided_by,
    decided_at, reason
FROM identity_reviews
WHERE state <> 'open'
ORDER BY decided_at DESC, review_id
LIMIT {LISTED_ROWS}
"""

BOTH = """
SELECT
    customers.customer_id = $left AS is_left,
    customers.first_seen_at,
    customers.last_seen_at,
    customers.n_members,
    string_agg(DISTINCT identities.channel, ', ' ORDER BY identities.channel) AS channels
FROM customers
LEFT JOIN customer_identities AS identities
    ON customers.customer_id = identities.customer_id AND identities.kind = 'member'
WHERE customers.customer_id IN ($left, $right)
GROUP BY ALL
"""
