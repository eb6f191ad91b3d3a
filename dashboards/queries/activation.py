"""SQL of the activation log page: what went out, what waits and what failed, and why.

Belongs here: statements over `activation_log`. A delivery belongs to a destination and to no channel or store, so that
filters mean nothing here.
"""

from __future__ import annotations

LISTED_ROWS = 200

TOTALS = """
SELECT
    count(*) FILTER (WHERE state = 'applied') AS deliveries_applied,
    count(*) FILTER (WHERE state IN ('planned', 'sent')) AS deliveries_waiting,
    count(*) FILTER (WHERE state = 'unknown') AS deliveries_unknown,
    count(*) FILTER (WHERE state IN ('rejected', 'quarantined')) AS deliveries_failed,
    count(*) FILTER (WHERE state IN ('held_out', 'suppressed', 'capped')) AS deliveries_withheld,
    min(decided_at) FILTER (WHERE state IN ('planned', 'sent', 'unknown')) AS oldest
FROM activation_log
"""

STATES = """
SELECT
    destination, operation, state, count(*) AS deliveries, min(decided_at) AS oldest, max(decided_at) AS newest
FROM activation_log
GROUP BY destination, operation, state
ORDER BY destination, operation, state
"""

REASONS = """
SELECT destination, operation, state, reason, count(*) AS deliveries, min(decided_at) AS oldest
FROM activation_log
WHERE reason IS NOT NULL
GROUP BY destination, operation, state, reason
ORDER BY deliveries DESC, destination, operation, state, reason
LIMIT 200
"""

OPEN = f"""
SELECT
    decided_at, destination, operation, state, reason, attempts, next_attempt_at, customer_id, campaign_id, delivery_id
FROM activation_log
WHERE state IN ('planned', 'sent', 'unknown', 'rejected', 'quarantined')
ORDER BY decided_at, delivery_id
LIMIT {LISTED_ROWS}
"""
