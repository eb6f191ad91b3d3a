"""Purchases and their value in the time to come, with intervals.

An interval of a customer covers what chance does with the customer and what is not known of the parameters; that of a
total the same, where chance evens out and the parameters don't.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri

from models.clv.counting import EPSILON, expected_purchases
from models.clv.fitting import Fitted, blocks
from models.clv.gamma_gamma import GammaGamma
from models.clv.histories import Floats, Histories

LEVEL = 0.8
"""Share of outcomes that an interval covers."""

_DRAWS = 8
_TOTAL_DRAWS = 64
_TOTAL_HISTORIES = 4_000
_MOST_PURCHASES = 2_000


@dataclass(frozen=True)
class Purchases:
    """Of each history: E[Y], P(Y ≥ 1), E[Y²], the quantiles (1 ± LEVEL) / 2 of Y, and the chance of not having
    stopped."""

    expected: Floats
    p_any: Floats
    second_moment: Floats
    low: Floats
    high: Floats
    p_alive: Floats


@dataclass(frozen=True)
class Total:
    """A sum over customers with its interval."""

    expected: float
    low: float
    high: float


def predict(fitted: Fitted, histories: Histories, horizon: float, seed: int = 0) -> Purchases:
    """Purchases in the `horizon` weeks after the end of observation, by history."""
    parts = [_predict_block(fitted, block, horizon, fitted.draws(_DRAWS, seed)) for block in blocks(histories)]
    if not parts:
        none = np.empty(0)
        return Purchases(*(none for _ in fields(Purchases)))
    return Purchases(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Purchases)))


def _predict_block(fitted: Fitted, histories: Histories, horizon: float, draws: Floats) -> Purchases:
    model, n = fitted.model, len(histories)
    expected, second, low, high = (np.zeros(n) for _ in range(4))
    p_any = np.zeros(n)
    at_best = model.survival(fitted.theta, histories, horizon)
    at_draws = [model.survival(theta, histories, horizon) for theta in draws]
    for y in range(1, _MOST_PURCHASES):
        survival = next(at_best)
        p_any = survival if y == 1 else p_any
        expected += survival
        second += (2 * y - 1) * survival
        if survival.max() < EPSILON:
            break
        likely = sum(next(drawn) for drawn in at_draws) / len(at_draws)
        low += likely > (1 + LEVEL) / 2
        high += likely > (1 - LEVEL) / 2
    return Purchases(expected, p_any, second, low, high, model.p_alive(fitted.theta, histories))


def total_purchases(
    fitted: Fitted, histories: Histories, purchases: Purchases, horizon: float, missed: float = 0.0, seed: int = 0
) -> Total:
    """The sum of Y over all customers. `purchases`: what `predict` gave for the same histories and horizon.

    missed: share by which the last such prediction missed: seasons and growth, which no model of counting knows and
    which move all customers together. It widens the interval as a standard error would.
    """
    expected = float(purchases.expected @ histories.count)
    if not expected:
        return Total(0.0, 0.0, 0.0)
    chance = float((purchases.second_moment - purchases.expected**2) @ histories.count)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(histories))[:_TOTAL_HISTORIES])
    part = _rows(histories, some)
    share = float(purchases.expected[some] @ part.count) / expected
    sums = [
        float(expected_purchases(fitted.model, theta, part, horizon) @ part.count) / share
        for theta in fitted.draws(_TOTAL_DRAWS, seed)
    ]
    return _normal(expected, chance + float(np.var(sums)) + (missed * expected) ** 2)


@dataclass(frozen=True)
class Spend:
    """Money of each customer in the time to come: E[S] and the quantiles (1 ± LEVEL) / 2 of S."""

    expected: Floats
    low: Floats
    high: Floats


def spend(value: GammaGamma, purchases: Purchases, group: NDArray[np.int64], days: Floats, mean_value: Floats) -> Spend:
    """Money of the purchases to come, by customer.

    group: each customer's history among `purchases`. days, mean_value: order days whose value is known, and their mean.
    The quantiles are those of 0 with chance P(Y = 0) and else of a gamma distribution with the spend's own first two
    moments: E[S²] = E[Y²] E[M²] + E[Y] E[M²] / p, for an order day is worth Gamma with mean M and shape p.
    """
    mean, second = value.value_moments(days, mean_value)
    expected = purchases.expected[group] * mean
    square = second * (purchases.second_moment[group] + purchases.expected[group] / value.p)
    p_any = np.clip(purchases.p_any[group], 1e-12, 1.0)
    given = expected / p_any
    variance = np.maximum(square / p_any - given**2, 1e-9 * given**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = given**2 / variance
        scale = variance / given
    quantiles = []
    for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        within = (level - (1 - p_any)) / p_any
        amount = np.zeros_like(expected)
        buys = (within > 0) & (given > 0)
        amount[buys] = gammaincinv(shape[buys], within[buys]) * scale[buys]
        quantiles.append(amount)
    return Spend(expected, *quantiles)


def _rows(histories: Histories, rows: NDArray[np.int64]) -> Histories:
    return Histories(
        histories.repeats[rows], histories.last[rows], histories.age[rows], histories.count[rows], np.empty(0, np.int64)
    )


def _normal(mean: float, variance: float) -> Total:
    reach = float(ndtri((1 + LEVEL) / 2)) * float(np.sqrt(max(variance, 0.0)))
    return Total(mean, max(mean - reach, 0.0), mean + reach)
