"""SQL of one customer: memberships, what ties them, what was not used, what happened, tags and deliveries.

Belongs here: statements about `$customer_id`. Identifiers are keyed tokens; none is a plain value.
"""

from __future__ import annotations

LISTED_ROWS = 500

IS_KNOWN = """
SELECT customer_id FROM customers WHERE customer_id = $customer_id
"""

WENT_INTO = """
SELECT into_customer_id
FROM customer_merges
WHERE from_customer_id = $customer_id AND kind = 'merge'
ORDER BY "at" DESC
LIMIT 1
"""

MEMBERSHIPS = f"""
SELECT channel, identity AS member_id, first_seen_at, last_seen_at, n_sources
FROM customer_identities
WHERE customer_id = $customer_id AND kind = 'member'
ORDER BY first_seen_at, channel, member_id
LIMIT {LISTED_ROWS}
"""

VALUES = f"""
SELECT kind, channel, identity, n_sources, first_seen_at, last_seen_at
FROM customer_identities
WHERE customer_id = $customer_id AND kind <> 'member'
ORDER BY kind, first_seen_at, identity
LIMIT {LISTED_ROWS}
"""

LINKS = f"""
SELECT relation, kind, channel, member_id, identity, partner_channel, partner_id, score, evidence AS rests_on, since
FROM customer_links
WHERE customer_id = $customer_id
ORDER BY relation, identity, kind, channel, member_id, partner_channel, partner_id, evidence
LIMIT {LISTED_ROWS}
"""

BLOCKS = f"""
SELECT kind, identity, block_rule, reason
FROM customer_blocks
WHERE customer_id = $customer_id
ORDER BY kind, identity
LIMIT {LISTED_ROWS}
"""

HOUSEHOLD = f"""
SELECT others.customer_id, households.kind, households.identity, households.since
FROM households
INNER JOIN households AS others ON households.household_id = others.household_id
WHERE households.customer_id = $customer_id AND others.customer_id <> $customer_id
ORDER BY others.customer_id, households.kind
LIMIT {LISTED_ROWS}
"""

EVENTS = f"""
SELECT "at" AS happened_at, kind, from_customer_id, into_customer_id, cause
FROM customer_merges
WHERE from_customer_id = $customer_id OR into_customer_id = $customer_id
ORDER BY "at" DESC, event_id
LIMIT {LISTED_ROWS}
"""

TAGS = f"""
SELECT tag, value, since, source
FROM customer_tags
WHERE customer_id = $customer_id
ORDER BY tag, value
LIMIT {LISTED_ROWS}
"""

DELIVERIES = f"""
SELECT decided_at, destination, operation, subject, state, reason, campaign_id, delivery_id
FROM activation_log
WHERE customer_id = $customer_id
ORDER BY decided_at DESC, delivery_id
LIMIT {LISTED_ROWS}
"""
