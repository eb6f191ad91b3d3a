"""What a customer's orders up to a day say of the next one.

Belongs here: features out of figures that SQL counted up to that day. Does not belong here: fitting, and anything of
later days.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.clv.counting import CountingModel
from models.clv.histories import DAYS_PER_PERIOD, Histories, group_histories

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PRIOR_GAPS = 2.0
"""A customer's own mean gap counts as if they had shown the mean gap of all so many times before."""

_LEAST_CHANCE = 1e-6


@dataclass(frozen=True)
class Known:
    """What is known of each customer on a day; nothing later than it. All arrays have one row a customer.

    order_days: days with an order. span_days: first to last of them. age_days: first of them to the day.
    deviation_log_gap: standard deviation of the natural logarithms of the gaps in days, 0 without two. last_gap,
    longest_gap: days, 0 without one. days_30, days_90, days_180: order days among the so many days up to the day.
    amount: money of all orders. last_amount: of the last order day. Negative money counts as none.
    """

    order_days: Floats
    span_days: Floats
    age_days: Floats
    deviation_log_gap: Floats
    last_gap: Floats
    longest_gap: Floats
    days_30: Floats
    days_90: Floats
    days_180: Floats
    amount: Floats
    last_amount: Floats

    def __len__(self) -> int:
        return len(self.order_days)

    @property
    def recency_days(self) -> Floats:
        """Days since the last order."""
        return self.age_days - self.span_days

    def histories(self) -> Histories:
        """For the models of counting."""
        repeats, span, age = (
            column.astype(np.int64) for column in (self.order_days - 1, self.span_days, self.age_days)
        )
        return group_histories(repeats, span, age)

    def part(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Known:
        """Those customers alone."""
        return Known(*(getattr(self, field.name)[rows] for field in fields(self)))


FEATURES = (
    "log_recency", "log_order_days", "log_age", "log_gap", "log_recency_in_gaps", "deviation_log_gap", "log_last_gap",
    "log_longest_gap", "log_days_30", "log_days_90", "log_days_180", "log_mean_amount", "log_last_amount",
    "log_order_rate", "chance_by_chance", "chance_by_rhythm",
)  # fmt: skip
"""Columns of `feature_matrix`. The last two are log-odds of an order within the horizon by models of counting."""


def mean_gap(known: Known) -> float:
    """Mean days between order days over all customers; the mean age where nobody came again."""
    gaps = float((known.order_days - 1).sum())
    if gaps > 0:
        return max(float(known.span_days.sum()) / gaps, 1.0)
    return max(float(known.age_days.mean()), 1.0) if len(known) else 1.0


def feature_matrix(
    known: Known, horizon_days: int, usual_gap: float, counting: tuple[tuple[CountingModel, Floats] | None, ...]
) -> Floats:
    """One row a customer, one column a feature.

    usual_gap: mean gap of all customers when the model was fitted, days. counting: models of counting and their theta
    for the last two columns; None leaves a column 0.
    """
    repeats = known.order_days - 1
    own_gap = (_PRIOR_GAPS * usual_gap + known.span_days) / (_PRIOR_GAPS + repeats)
    recency = np.log1p(known.recency_days)
    chances = [np.zeros(len(known)) for _ in counting]
    if any(counting) and len(known):
        histories = known.histories()
        for position, model in enumerate(counting):
            if model is not None:
                chances[position] = _log_odds(*model, histories, horizon_days)
    return np.stack(
        [
            recency,
            np.log(known.order_days),
            np.log1p(known.age_days),
            np.log(own_gap),
            recency - np.log(own_gap),
            known.deviation_log_gap,
            np.log1p(known.last_gap),
            np.log1p(known.longest_gap),
            np.log1p(known.days_30),
            np.log1p(known.days_90),
            np.log1p(known.days_180),
            np.log1p(np.maximum(known.amount, 0.0) / known.order_days),
            np.log1p(np.maximum(known.last_amount, 0.0)),
            np.log(known.order_days / (known.age_days + usual_gap)),
            *chances,
        ],
        axis=1,
    )


def _log_odds(model: CountingModel, theta: Floats, histories: Histories, horizon_days: int) -> Floats:
    chance = next(model.survival(theta, histories, horizon_days / DAYS_PER_PERIOD))
    bounded = np.clip(chance, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return np.log(bounded / (1 - bounded))[histories.group]
