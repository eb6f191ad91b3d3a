"""Fitting a version of the churn model: rehearsed a horizon earlier, shipped where it beats the simple rules.

Belongs here: the rehearsal and the card. Does not belong here: features and fitting (models.churn).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

from models.churn import RULES, ChurnModel, Measured, TooFewOutcomesError, fit_churn, measure
from models.evaluate.drift import reference_of
from models.evaluate.ranking import auc
from pipelines.customer_scores.clv_version import holdout_days
from pipelines.customer_scores.order_days import Customers, read_customers, read_later, read_span
from pipelines.customer_scores.rounding import rounded
from pipelines.scoring import Calibrated, Card

MODEL = "churn"
DECIDES = "auc"
DRIFTING = ("recency_days", "order_days", "value_per_day")
"""Inputs watched for drift; the age of customers is not: it grows with the retailer."""

SCORE = "p_return"

PROTOCOL = (
    "Learned from customers as they were {twice} days before the end and who came back within {horizon} days; measured "
    "on customers as they were {horizon} days before the end and who came back by it. auc: of coming back."
)


@dataclass(frozen=True)
class Rehearsed:
    """What was measured, and on what: another version can be measured on the same."""

    measured: Measured
    customers: Customers
    came_back: np.ndarray

    def of(self, model: ChurnModel) -> float | None:
        """The deciding figure of another model."""
        return auc(self.came_back, model.p_return(self.customers.known))


def rehearse(connection: duckdb.DuckDBPyConnection, cut: date, horizon: int, seed: int) -> Rehearsed:
    """Learn a horizon before `cut`, measure on what came after `cut`. Raises TooFewOutcomesError."""
    earlier, later = cut - timedelta(days=horizon), cut + timedelta(days=horizon)
    learned = fit_churn(
        read_customers(connection, earlier).known, read_later(connection, earlier, cut)[0] > 0, horizon, seed
    )
    customers, came_back = read_customers(connection, cut), read_later(connection, cut, later)[0] > 0
    return Rehearsed(measure(learned, customers.known, came_back), customers, came_back)


def fit_version(connection: duckdb.DuckDBPyConnection, as_of: date, seed: int) -> tuple[Card, Rehearsed] | None:
    """The card of a version fitted on `order_days` up to `as_of`; None where there is too little to learn from."""
    span = read_span(connection)
    horizon = holdout_days(span[0], as_of) if span else None
    if span is None or horizon is None:
        return None
    cut = as_of - timedelta(days=horizon)
    try:
        rehearsed = rehearse(connection, cut, horizon, seed)
        known, came_back = rehearsed.customers.known, rehearsed.came_back
        shipped = fit_churn(known, came_back, horizon, seed)[rehearsed.measured.winner]
    except TooFewOutcomesError:
        return None
    measured = rehearsed.measured
    today = read_customers(connection, as_of)
    card = Card(
        model=MODEL,
        as_of=as_of,
        window_start=span[0],
        window_end=as_of,
        rows=len(known),
        seed=seed,
        parameters=rounded(shipped.as_dict()),
        metrics=rounded(measured.metrics[measured.winner]),
        baselines=rounded({name: measured.metrics[name] for name in (*RULES, "rhythm") if name != measured.winner}),
        calibration=tuple(
            Calibrated(
                f"{found.low:.0%}–{found.high:.0%}", rounded(found.predicted), rounded(found.actual), found.members
            )
            for found in measured.calibration
        ),
        inputs=rounded({name: reference_of(values).as_dict() for name, values in drifting(today, shipped).items()}),
        protocol=PROTOCOL.format(twice=2 * horizon, horizon=horizon),
        notes=(verdict(measured),),
    )
    return card, rehearsed


def verdict(measured: Measured) -> str:
    """Whether the model or a simple rule is shipped, and by how much it won or did not."""
    rule = f"the best simple rule ({measured.best_rule})"
    if measured.lead is None:
        return f"Nobody came back, or everybody did: {rule} is shipped."
    by = (
        f"AUC {measured.lead.difference:+.4f} ± {measured.lead.standard_error:.4f}, "
        f"Brier score lower by {measured.brier_lead.difference:.4f} ± {measured.brier_lead.standard_error:.4f}"
    )
    if measured.winner == "rhythm":
        return f"The model beats {rule}: {by}."
    return f"The model does not clearly beat {rule}: {by}; the rule is shipped."


def drifting(customers: Customers, model: ChurnModel) -> dict[str, np.ndarray]:
    """Inputs and the score that are watched for drift, by name."""
    known = customers.known
    values = (known.recency_days, known.order_days, customers.value_per_day)
    return {**dict(zip(DRIFTING, values, strict=True)), SCORE: model.p_return(known)}
