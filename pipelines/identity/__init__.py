"""Who is whom: exact links over identifiers, clusters, customer ids that last, and the log of merges and splits."""

from pipelines.identity.finding import find_customers
from pipelines.identity.resolution import IdentityReport, resolve
from pipelines.identity.tables import LOG_TABLES, VIEWS

PUBLISHED_TABLES = (*(name for name in VIEWS if name != "divided_values"), *LOG_TABLES, "reviews")
"""What others read of schema `identity`."""

__all__ = ["PUBLISHED_TABLES", "IdentityReport", "find_customers", "resolve"]
