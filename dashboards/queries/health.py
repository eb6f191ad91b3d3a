"""SQL of data health: runs, freshness, what was received, refused and waits, drift, and what went back to channels.

Belongs here: statements over `runs`, `batches`, `quarantine`, `drift`, `waiting` and `activation_log`. They take
`{condition}`, the filter of channels; a store filter means nothing to files. No statement returns a value of a row.
"""

from __future__ import annotations

from dashboards.filters import Filters

LISTED_ROWS = 200

RUNS = """
SELECT run_id, status, as_of, started_at, finished_at, rows_received, rows_accepted, rows_quarantined, snapshot_id
FROM runs
ORDER BY started_at DESC
LIMIT 30
"""

FRESHNESS = """
SELECT channel, feed, max(taken_at) AS taken_at, count(*) AS batches, sum(rows_accepted) AS rows_accepted
FROM batches
WHERE {condition}
GROUP BY channel, feed
ORDER BY channel, feed
"""

FEED_TOTALS = """
SELECT
    feed,
    sum(rows_received) AS rows_received,
    sum(rows_accepted) AS rows_accepted,
    sum(rows_quarantined) AS rows_quarantined,
    sum(rows_quarantined) / nullif(sum(rows_received), 0) AS quarantine_rate,
    sum(rows_received) - sum(rows_accepted) - sum(rows_quarantined) AS difference,
    count(*) AS batches
FROM batches
WHERE {condition}
GROUP BY feed
ORDER BY rows_received DESC, feed
"""

QUARANTINE_REASONS = """
SELECT
    reason,
    count(*) AS rows_quarantined,
    count(*) FILTER (WHERE replayed_at IS NULL) AS open_rows,
    count(DISTINCT (channel, feed, file)) AS files,
    max(received_at) AS newest
FROM quarantine
WHERE {condition}
GROUP BY reason
ORDER BY open_rows DESC, rows_quarantined DESC, reason
"""

QUARANTINE_ROWS = f"""
SELECT received_at, channel, feed, file, line, column_name, reason, replayed_at, quarantine_id
FROM quarantine
WHERE {{condition}}
ORDER BY received_at DESC, quarantine_id
LIMIT {LISTED_ROWS}
"""

DRIFT = f"""
SELECT feed, channel, column_name, first_seen_at, batches, rows
FROM drift
WHERE {{condition}}
ORDER BY first_seen_at DESC, feed, channel, column_name
LIMIT {LISTED_ROWS}
"""

WAITING = """
SELECT feed, channel, reason, count(*) AS entities, min(since) AS oldest
FROM waiting
WHERE {condition}
GROUP BY feed, channel, reason
ORDER BY entities DESC, feed, channel, reason
"""

BATCHES = f"""
SELECT taken_at, channel, feed, file, rows_received, rows_accepted, rows_quarantined, batch_id, run_id
FROM batches
WHERE {{condition}}
ORDER BY taken_at DESC, batch_id
LIMIT {LISTED_ROWS}
"""

ACTIVATION = """
SELECT destination, operation, state, count(*) AS deliveries, max(decided_at) AS newest
FROM activation_log
GROUP BY destination, operation, state
ORDER BY destination, operation, state
"""


def condition(filters: Filters) -> str:
    """SQL that keeps the chosen channels, and what no one channel owns, such as products."""
    if not filters.channels:
        return "true"
    names = ", ".join(f"$channel_{position}" for position in range(len(filters.channels)))
    return f"(channel IN ({names}) OR channel = '_shared' OR channel IS NULL)"
