"""Value, churn and the next order of every customer, out of the marts and back as the mart `customer_scores`."""

from pipelines.customer_scores.nightly import ScoresReport, score_customers

__all__ = ["ScoresReport", "score_customers"]
