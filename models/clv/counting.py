"""What every model of repeat purchases promises to fitting and prediction.

Belongs here: the protocol and what follows from it for every model. Does not belong here: any model's formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from models.clv.histories import Floats, Histories

EPSILON = 1e-7
"""Purchases beyond which a history has less chance than this are not counted."""


class CountingModel(Protocol):
    """Repeat purchases of customers who buy at a rate of their own until they stop.

    theta: logarithms of the parameters, in the order of `parameters`.
    """

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    def start(self, mean_age: float) -> Floats:
        """Where fitting starts, and what it leans towards where the data say nothing."""

    def log_likelihood(self, theta: Floats, histories: Histories) -> tuple[Floats, Floats]:
        """Of each history, n; and its derivatives by theta, n × d."""

    def constant(self, repeats: Floats, log_gaps: Floats) -> Floats:
        """The part of a log-likelihood that no parameter moves."""

    def p_alive(self, theta: Floats, histories: Histories) -> Floats:
        """Probability of not having stopped by the end of observation."""

    def survival(self, theta: Floats, histories: Histories, horizon: float) -> Iterator[Floats]:
        """P(Y ≥ 1), P(Y ≥ 2), … of the purchases Y in the `horizon` weeks after the end of observation, for ever."""

    def waiting_quantile(self, theta: Floats, histories: Histories, share: float) -> Floats:
        """Weeks after the end of observation within which that share of those who have not stopped would buy again."""


def expected_purchases(model: CountingModel, theta: Floats, histories: Histories, horizon: float) -> Floats:
    """E[Y] = Σ P(Y ≥ y) over y ≥ 1, of each history."""
    total = np.zeros(len(histories))
    if not len(histories) or horizon <= 0:
        return total
    for survival in model.survival(theta, histories, horizon):
        total += survival
        if survival.max() < EPSILON:
            break
    return total


def negative_binomial_terms(shape: Floats, share: Floats) -> Iterator[Floats]:
    """P(N = 0), P(N = 1), … of a Poisson count whose rate is gamma: shape c, and share = horizon / (rate + horizon).

    Zero counts of great shapes underflow; those rows are computed from the logarithm until they are numbers again.
    """
    log_term = shape * np.log1p(-share)
    log_share = np.log(share)
    count = 0
    while True:
        yield np.exp(log_term)
        log_term = log_term + np.log(shape + count) - np.log(count + 1.0) + log_share
        count += 1
