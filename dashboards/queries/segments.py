"""SQL of the segment builder: a definition's size and what it shares with the segments there are.

Belongs here: statements around `{members}`, the query a definition compiles to. It binds its own values.
"""

from __future__ import annotations

SIZE = """
WITH members AS ({members})
SELECT
    (SELECT count(*) FROM members) AS customers,
    (SELECT count(*) FROM customers) AS all_customers,
    (
        SELECT count(*) FROM members INNER JOIN customers ON customers.customer_id = members.customer_id
        WHERE customers.consent_marketing
    ) AS consenting_customers
"""

OVERLAP = """
WITH members AS ({members})
SELECT
    segment_members.segment,
    count(*) AS customers,
    count(members.customer_id) AS shared_customers,
    count(members.customer_id) / nullif((SELECT count(*) FROM members), 0) AS share
FROM segment_members
LEFT JOIN members ON members.customer_id = segment_members.customer_id
GROUP BY segment_members.segment
ORDER BY shared_customers DESC, segment_members.segment
"""

NO_ROW = "SELECT * FROM {table} LIMIT 0"

VALUES = """
SELECT DISTINCT CAST({column} AS VARCHAR) AS value
FROM {table}
WHERE {column} IS NOT NULL
ORDER BY value
LIMIT 300
"""

NAMES = "SELECT segment FROM segments ORDER BY position"
