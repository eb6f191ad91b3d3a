"""Churn: the chance that a customer places no order within a horizon, from each customer's own rhythm.

Pure: arrays in, arrays out. What is known of customers on a day comes from SQL (pipelines).
"""

from models.churn.features import FEATURES, Known
from models.churn.model import (
    RULES,
    ChurnModel,
    Measured,
    TooFewOutcomesError,
    fit_churn,
    measure,
)

__all__ = [
    "FEATURES",
    "RULES",
    "ChurnModel",
    "Known",
    "Measured",
    "TooFewOutcomesError",
    "fit_churn",
    "measure",
]
