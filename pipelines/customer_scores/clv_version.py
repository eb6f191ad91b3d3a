"""Fitting a version of the value model: which model of counting, how it did on held-out days, what it is now.

Belongs here: the rehearsal on days that are known, and the card. Does not belong here: when a version is fitted and
what is done with it (nightly), and formulas (models.clv).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

from models import clv
from models.evaluate.ranking import auc, calibration
from pipelines.customer_scores.order_days import read_customers, read_histories, read_later, read_span
from pipelines.customer_scores.rounding import rounded
from pipelines.scoring import Calibrated, Card

MODEL = "clv"
DECIDES = "rmse"
"""The figure by which versions are compared: least for the right mean. The mean absolute error is least for the median,
which for most customers is no order at all."""

HOLDOUT_DAYS = (90, 60, 30)
"""Days held out for the rehearsal: the most that leave three times as many before them."""

PROTOCOL = (
    "Fitted on orders up to {holdout} days before the end, asked for the order days of the same customers in the days "
    "after; the model of counting was chosen on days before those. rmse, mae: order days a customer; auc: of any."
)


@dataclass(frozen=True)
class Clv:
    """The parameters of a card, as models."""

    counting: clv.Fitted
    value: clv.GammaGamma | None


@dataclass(frozen=True)
class Rehearsal:
    """How a model did on the days held out, beside simple rules; figures by metric."""

    metrics: dict[str, float | None]
    baselines: dict[str, dict[str, float | None]]
    calibration: tuple[Calibrated, ...]


def holdout_days(first: date, last: date) -> int | None:
    """Days to hold out of that span; None where it is too short to learn anything from."""
    span = (last - first).days + 1
    return next((days for days in HOLDOUT_DAYS if span >= 4 * days), None)


def fit_version(connection: duckdb.DuckDBPyConnection, as_of: date, seed: int) -> tuple[Card, date] | None:
    """The card of a version fitted on `order_days` up to `as_of`, and the day after which it was measured.

    None where there is too little to learn from.
    """
    span = read_span(connection)
    holdout = holdout_days(span[0], as_of) if span else None
    if span is None or holdout is None:
        return None
    cut, inner = as_of - timedelta(days=holdout), as_of - timedelta(days=2 * holdout)
    before, after = read_histories(connection, inner, inner), read_histories(connection, inner, cut)
    choice = clv.choose(before, after, seed)
    try:
        rehearsed = clv.fit(choice.model, read_histories(connection, cut, cut), seed)
        counting = clv.fit(choice.model, read_histories(connection, as_of, as_of), seed)
    except clv.TooFewError:
        return None
    rehearsal = rehearse(connection, rehearsed, cut, as_of, missed_before(connection, choice.model, inner, cut, seed))
    customers = read_customers(connection, as_of)
    notes = []
    try:
        value = clv.fit_gamma_gamma(customers.known.order_days, customers.value_per_day, seed)
    except clv.TooFewError as error:
        value = None
        notes.append(f"No value of an order day: {error}")
    best = min(rehearsal.baselines.values(), key=lambda metrics: metrics.get(DECIDES) or np.inf)
    if (rehearsal.metrics[DECIDES] or 0.0) > (best.get(DECIDES) or np.inf):
        notes.append("A simple rule was nearer to each customer's order days than the model; see its metrics.")
    parameters = {
        "model": counting.model.name,
        "theta": counting.theta.tolist(),
        "covariance": counting.covariance.tolist(),
        "parameters": counting.parameters,
        "value": value.parameters | {"log_likelihood": value.log_likelihood} if value else None,
        "held_out_log_likelihood": choice.held_out,
    }
    card = Card(
        model=MODEL,
        as_of=as_of,
        window_start=span[0],
        window_end=as_of,
        rows=len(customers.known),
        seed=seed,
        parameters=rounded(parameters),
        metrics=rounded(rehearsal.metrics),
        baselines=rounded(rehearsal.baselines),
        calibration=rehearsal.calibration,
        protocol=PROTOCOL.format(holdout=holdout),
        notes=tuple(notes),
    )
    return card, cut


def read_version(card: Card) -> Clv:
    """The card's parameters as models."""
    content = card.parameters
    counting = clv.Fitted(
        clv.MODELS[content["model"]], np.array(content["theta"]), np.array(content["covariance"]), float("nan")
    )
    value = content["value"]
    worth = clv.GammaGamma(value["p"], value["q"], value["gamma"], value["log_likelihood"]) if value else None
    return Clv(counting, worth)


def missed_before(
    connection: duckdb.DuckDBPyConnection, model: clv.CountingModel, inner: date, cut: date, seed: int
) -> float:
    """Share by which the model, fitted up to `inner`, missed the order days from then to `cut`; 1 at most."""
    try:
        fitted = clv.fit(model, read_histories(connection, inner, inner), seed)
    except clv.TooFewError:
        return 1.0
    metrics = rehearse(connection, fitted, inner, cut, 0.0).metrics
    predicted, actual = metrics["predicted"] or 0.0, metrics["actual"] or 0.0
    return min(abs(actual / predicted - 1.0), 1.0) if predicted > 0 else 1.0


def rehearse(
    connection: duckdb.DuckDBPyConnection, fitted: clv.Fitted, cut: date, until: date, missed: float
) -> Rehearsal:
    """What the model says on `cut` of the days up to `until`, against what came, and simple rules beside it.

    missed: of `missed_before`; it widens the interval of the total.
    Rules: `own_rate` goes on at each customer's rate so far; `last_period` repeats as many days before; `recency` and
    `frequency` only rank.
    """
    horizon = (until - cut).days
    histories = read_histories(connection, cut, cut)
    group = histories.group
    purchases = clv.predict(fitted, histories, horizon / clv.DAYS_PER_PERIOD)
    actual, _ = read_later(connection, cut, until)
    last_period, _ = _in_period(connection, cut, horizon)
    came = actual > 0
    repeats, age = histories.repeats[group], histories.age[group] * clv.DAYS_PER_PERIOD
    own_rate = repeats / np.maximum(age, 1.0) * horizon
    total = clv.total_purchases(fitted, histories, purchases, horizon / clv.DAYS_PER_PERIOD, missed)
    metrics = {
        **_figures(purchases.expected[group], actual),
        "auc": auc(came, purchases.p_any[group]),
        "predicted_low": total.low,
        "predicted_high": total.high,
    }
    recency = age - histories.last[group] * clv.DAYS_PER_PERIOD
    baselines = {
        "own_rate": {**_figures(own_rate, actual), "auc": auc(came, own_rate)},
        "last_period": {**_figures(last_period, actual), "auc": auc(came, last_period)},
        "recency": {"auc": auc(came, -recency)},
        "frequency": {"auc": auc(came, repeats)},
    }
    bins = calibration(purchases.expected[group], actual)
    points = tuple(
        Calibrated(f"{found.low:.3g}–{found.high:.3g}", rounded(found.predicted), rounded(found.actual), found.members)
        for found in bins
    )
    return Rehearsal(metrics, baselines, points)


def _figures(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float | None]:
    if not len(actual):
        return {"mae": None, DECIDES: None, "predicted": 0.0, "actual": 0.0}
    return {
        "mae": float(np.abs(predicted - actual).mean()),
        DECIDES: float(np.sqrt(np.mean((predicted - actual) ** 2))),
        "predicted": float(predicted.sum()),
        "actual": float(actual.sum()),
    }


_IN_PERIOD = """
    SELECT
        customer_id,
        count(*) FILTER (day > CAST($cut AS DATE) - CAST($days AS INTEGER)) AS days,
        coalesce(CAST(sum(amount) FILTER (day > CAST($cut AS DATE) - CAST($days AS INTEGER)) AS DOUBLE), 0) AS amount
    FROM order_days
    WHERE day <= CAST($cut AS DATE)
    GROUP BY customer_id
    ORDER BY customer_id
"""


def _in_period(connection: duckdb.DuckDBPyConnection, cut: date, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Order days and money of the so many days up to `cut`, of the customers who had come by it, in order of id."""
    table = connection.execute(_IN_PERIOD, {"cut": cut, "days": days}).to_arrow_table()
    return table["days"].to_numpy().astype(float), table["amount"].to_numpy().astype(float)
