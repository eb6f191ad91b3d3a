"""Customer lifetime value measured on a file: fitted up to a day, asked for what came after it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from models import clv
from pipelines.customer_scores import clv_version
from pipelines.customer_scores.order_days import read_customers, read_histories, read_later
from pipelines.customer_scores.rounding import rounded
from pipelines.errors import PermanentError
from pipelines.evaluation.transactions import check_end, order_days

COLUMNS = (
    "model", "is_chosen", "customers", "repeat_customers", "calibration_start", "calibration_end", "holdout_end",
    "parameters", "log_likelihood", "held_out_log_likelihood", "predicted_purchases", "predicted_low",
    "predicted_high", "actual_purchases", "mae", "rmse", "auc", "value_parameters", "predicted_value",
    "actual_value", "rows", "rows_unreadable", "rows_in_the_future", "rows_returned",
)  # fmt: skip

SHOWN = (
    "model", "is_chosen", "log_likelihood", "held_out_log_likelihood", "predicted_purchases", "predicted_low",
    "predicted_high", "actual_purchases", "mae", "rmse", "auc", "predicted_value", "actual_value", "parameters",
)  # fmt: skip
"""Columns that fit beside each other for people; the rest is in the JSON."""

_REPEAT_VALUES = """
    SELECT
        CAST(count(*) AS DOUBLE) AS days,
        CAST(avg(amount) AS DOUBLE) AS value
    FROM (
        SELECT
            customer_id,
            amount,
            day > min(day) OVER (PARTITION BY customer_id) AS is_repeat
        FROM order_days
        WHERE day <= CAST($until AS DATE)
    ) AS days
    WHERE is_repeat
    GROUP BY customer_id
    ORDER BY customer_id
"""

SEED = 7


def evaluate_clv(data: Path, map_text: str | None, calibration_end: date, today: date) -> list[dict[str, Any]]:
    """One row a model, the chosen one first, then the simple rules; columns as COLUMNS.

    Raises ConfigurationError for wrong usage, PermanentError where too few customers came again.
    """
    with order_days(data, map_text, today) as (connection, used):
        first, last = check_end(connection, calibration_end)
        histories = read_histories(connection, calibration_end, calibration_end)
        inner = calibration_end - min(last - calibration_end, (calibration_end - first) / 3)
        choice = _choose(connection, inner, calibration_end)
        try:
            fits = {model.name: clv.fit(model, histories, SEED) for model in clv.CANDIDATES}
        except clv.TooFewError as error:
            raise PermanentError(f"No model can be fitted up to {calibration_end}: {error}") from error
        shared = {
            "customers": histories.n_customers,
            "repeat_customers": histories.n_repeaters,
            "calibration_start": first,
            "calibration_end": calibration_end,
            "holdout_end": last,
            **used.as_dict(),
        }
        value = _Value(connection, calibration_end, last)
        order = sorted(fits, key=lambda name: name != choice.model.name)
        rows = []
        for name in order:
            missed = clv_version.missed_before(connection, fits[name].model, inner, calibration_end, SEED)
            rehearsal = clv_version.rehearse(connection, fits[name], calibration_end, last, missed)
            if name == order[0]:
                rules = rehearsal.baselines
            rows.append(
                shared
                | _purchases(rehearsal.metrics)
                | {
                    "model": name,
                    "is_chosen": name == choice.model.name,
                    "parameters": fits[name].parameters,
                    "log_likelihood": fits[name].log_likelihood + _constant(fits[name].model, histories),
                    "held_out_log_likelihood": choice.held_out.get(name),
                }
                | value.of(fits[name], histories)
            )
        rows += [shared | _purchases(metrics) | {"model": name, "is_chosen": False} for name, metrics in rules.items()]
    return [rounded({column: row.get(column) for column in COLUMNS}) for row in rows]


def _constant(model: clv.CountingModel, histories: clv.Histories) -> float:
    """What makes log-likelihoods of regular and of chance buyers comparable."""
    return float(model.constant(histories.repeats[histories.group], histories.log_gaps).sum())


def _choose(connection: duckdb.DuckDBPyConnection, inner: date, until: date) -> clv.Choice:
    """The model chosen on days before `until` alone: what comes after it is for measuring."""
    before, after = read_histories(connection, inner, inner), read_histories(connection, inner, until)
    return clv.choose(before, after, SEED)


def _purchases(metrics: dict[str, float | None]) -> dict[str, float | None]:
    """Figures of a rehearsal under the names of the columns."""
    names = {"predicted": "predicted_purchases", "actual": "actual_purchases"}
    return {names.get(name, name): value for name, value in metrics.items()}


class _Value:
    """What the customers of the calibration spent after it, against what is expected of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, until: date, last: date) -> None:
        self.customers = read_customers(connection, until)
        self.weeks = (last - until) / timedelta(days=clv.DAYS_PER_PERIOD)
        self.actual = float(read_later(connection, until, last)[1].sum())
        repeats = connection.execute(_REPEAT_VALUES, {"until": until}).fetchnumpy()
        self.literature = _fitted(np.asarray(repeats["days"]), np.asarray(repeats["value"]))
        self.model = _fitted(self.customers.known.order_days, self.customers.value_per_day)

    def of(self, fitted: clv.Fitted, histories: clv.Histories) -> dict[str, Any]:
        """Parameters on repeat days, as in the literature; the spend that the nightly job would expect."""
        found: dict[str, Any] = {"value_parameters": self.literature.parameters if self.literature else None}
        if self.model is not None:
            purchases = clv.predict(fitted, histories, self.weeks, SEED)
            days, worth = self.customers.known.order_days, self.customers.value_per_day
            spend = clv.spend(self.model, purchases, histories.group, days, worth)
            found |= {"predicted_value": float(spend.expected.sum()), "actual_value": self.actual}
        return found


def _fitted(days: np.ndarray, value: np.ndarray) -> clv.GammaGamma | None:
    try:
        return clv.fit_gamma_gamma(days, value, SEED)
    except clv.TooFewError:
        return None
