"""Versions of the models: what each was fitted on, how it did, which one is in use.

Belongs here: cards, their registration, promotion, and the marts that show them. Does not belong here: fitting or
scoring anything (models/, and the module that writes each model's mart).
"""

from pipelines.scoring.cards import Calibrated, Card
from pipelines.scoring.marts import MODEL_MARTS, model_marts
from pipelines.scoring.versions import (
    Promotion,
    Version,
    current,
    drifted,
    last_attempt,
    promote_if_better,
    record_drift,
    register,
)

__all__ = [
    "MODEL_MARTS",
    "Calibrated",
    "Card",
    "Promotion",
    "Version",
    "current",
    "drifted",
    "last_attempt",
    "model_marts",
    "promote_if_better",
    "record_drift",
    "register",
]
