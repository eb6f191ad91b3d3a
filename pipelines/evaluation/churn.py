"""Churn measured on a file: learned before a day, asked on it who will come back, beside the simple rules."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from models import clv
from models.churn import TooFewOutcomesError
from models.evaluate.ranking import auc, brier
from pipelines.customer_scores import churn_version
from pipelines.customer_scores.order_days import read_histories
from pipelines.customer_scores.rounding import rounded
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.evaluation.clv import SEED
from pipelines.evaluation.transactions import check_end, order_days

DEFAULT_HORIZON = 90

COLUMNS = (
    "model", "is_shipped", "customers", "returned", "calibration_start", "calibration_end", "horizon_days", "auc",
    "brier", "auc_lead", "auc_lead_error", "brier_lead", "brier_lead_error", "verdict", "rows", "rows_unreadable",
    "rows_in_the_future", "rows_returned",
)  # fmt: skip

SHOWN = ("model", "is_shipped", "customers", "returned", "horizon_days", "auc", "brier", "verdict")
"""Columns that fit beside each other for people; the rest is in the JSON."""


def evaluate_churn(
    data: Path, map_text: str | None, calibration_end: date, horizon: int | None, today: date
) -> list[dict[str, Any]]:
    """One row a model or rule, what would be shipped first; columns as COLUMNS.

    horizon: days; 90, or what the file has after the end, unless given. Raises ConfigurationError for wrong usage,
    PermanentError where too few came back to learn or to measure.
    """
    with order_days(data, map_text, today) as (connection, used):
        first, last = check_end(connection, calibration_end)
        available = (last - calibration_end).days
        if horizon is not None and not 1 <= horizon <= available:
            raise ConfigurationError(f"--horizon is {horizon}; the file has {available} days after the calibration.")
        horizon = horizon or min(DEFAULT_HORIZON, available)
        try:
            rehearsed = churn_version.rehearse(connection, calibration_end, horizon, SEED)
        except TooFewOutcomesError as error:
            raise PermanentError(f"Nothing can be learned up to {calibration_end}: {error}") from error
        measured, came_back = rehearsed.measured, rehearsed.came_back
        metrics = {name: dict(figures) for name, figures in measured.metrics.items()}
        histories = read_histories(connection, calibration_end, calibration_end)
        try:
            purchases = clv.predict(clv.fit(clv.BG_NBD, histories, SEED), histories, horizon / clv.DAYS_PER_PERIOD)
        except clv.TooFewError:
            pass
        else:
            for name, chance in (("bg_nbd", purchases.p_any), ("p_alive", purchases.p_alive)):
                of_customers = chance[histories.group]
                metrics[name] = {"auc": auc(came_back, of_customers), "brier": brier(came_back, of_customers)}
        shared = {
            "customers": len(came_back),
            "returned": int(came_back.sum()),
            "calibration_start": first,
            "calibration_end": calibration_end,
            "horizon_days": horizon,
            **used.as_dict(),
        }
        of_the_model = {
            "auc_lead": measured.lead.difference if measured.lead else None,
            "auc_lead_error": measured.lead.standard_error if measured.lead else None,
            "brier_lead": measured.brier_lead.difference,
            "brier_lead_error": measured.brier_lead.standard_error,
            "verdict": churn_version.verdict(measured),
        }
        rows = [
            shared
            | {"model": name, "is_shipped": name == measured.winner, **figures}
            | (of_the_model if name == "rhythm" else {})
            for name, figures in sorted(metrics.items(), key=lambda item: item[0] != measured.winner)
        ]
    return [rounded({column: row.get(column) for column in COLUMNS}) for row in rows]
