"""Who is whom: exact links over identifiers, clusters, customer ids that last, and the log of merges and splits."""

from pipelines.identity.resolution import IdentityReport, resolve

__all__ = ["IdentityReport", "resolve"]
