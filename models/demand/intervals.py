"""How wrong a forecast may be: intervals from the errors of the replayed past.

Belongs here: conformal quantiles of errors in units of each series' own spread (Vovk, Gammerman & Shafer 2005; split
conformal with normalised scores, Lei et al. 2018), for single periods and for the sum of the horizon. Does not belong
here: point forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from models.demand.panel import Floats
from models.demand.selection import KINDS, Integers

PRIOR_PERIODS = 10.0
"""Periods' worth of its kind's spread that a series' own is mixed with."""
ENOUGH = 40
"""Errors from which a kind's own quantiles are taken; below it those of all kinds, and of fewer a normal's, widened."""


@dataclass(frozen=True)
class Spread:
    """What errors look like, by kind.

    dispersion: [kinds] variance of errors over the forecast (a Poisson's is 1). low, high: [kinds] quantiles of errors
    over the series' spread; total_low, total_high: of the error of the sum over spread x sqrt(horizon).
    """

    dispersion: Floats
    low: Floats
    high: Floats
    total_low: Floats
    total_high: Floats


def series_spread(errors: Floats, forecast: Floats, kind: Integers, dispersion: Floats) -> Floats:
    """Standard deviation of a period's error, mixed with what its kind suggests. [series]

    errors, forecast: [series, origins, horizon]; NaN where nothing was judged.
    """
    known = ~np.isnan(errors)
    squares = np.where(known, errors, 0.0) ** 2
    counted = known.sum(axis=(1, 2))
    mean = np.where(known, forecast, 0.0).sum(axis=(1, 2)) / np.maximum(counted, 1)
    prior = dispersion[kind] * np.maximum(mean, 0.02)
    return np.sqrt((squares.sum(axis=(1, 2)) + PRIOR_PERIODS * prior) / (counted + PRIOR_PERIODS))


def relative_spread(forecast: Floats, mean: Floats) -> Floats:
    """How much wider the error of a period is whose forecast is above the series' mean: variance grows with demand."""
    ratio = np.maximum(forecast, 1e-3) / np.maximum(mean, 1e-3).reshape(-1, *([1] * (forecast.ndim - 1)))
    return np.clip(np.sqrt(ratio), 0.5, 3.0)


def learn_spread(errors: Floats, forecast: Floats, kind: Integers, coverage: float) -> Spread:
    """Dispersion and quantiles from replayed errors [series, origins, horizon]."""
    known = ~np.isnan(errors)
    squares = np.where(known, errors, 0.0) ** 2
    made = np.where(known, forecast, 0.0)
    by_kind, made_by_kind = np.zeros(len(KINDS)), np.zeros(len(KINDS))
    np.add.at(by_kind, kind, squares.sum(axis=(1, 2)))
    np.add.at(made_by_kind, kind, made.sum(axis=(1, 2)))
    overall = by_kind.sum() / max(made_by_kind.sum(), 1e-9) if made_by_kind.sum() > 0 else 1.0
    dispersion = np.where(made_by_kind > 0, by_kind / np.maximum(made_by_kind, 1e-9), overall)
    dispersion = np.maximum(dispersion, 1e-6)
    spread = series_spread(errors, forecast, kind, dispersion)
    counted = known.sum(axis=(1, 2))
    mean = made.sum(axis=(1, 2)) / np.maximum(counted, 1)
    scaled = errors / (spread[:, None, None] * relative_spread(forecast, mean))
    horizon = errors.shape[2]
    judged = known.sum(axis=2)
    whole = judged == horizon if horizon else judged > 0
    sums = (
        np.where(whole, np.where(known, errors, 0.0).sum(axis=2), np.nan) / (spread * np.sqrt(max(horizon, 1)))[:, None]
    )
    low, high = _quantiles(scaled.reshape(len(errors), -1), kind, coverage)
    total_low, total_high = _quantiles(sums, kind, coverage)
    return Spread(dispersion, low, high, total_low, total_high)


def _quantiles(scaled: Floats, kind: Integers, coverage: float) -> tuple[Floats, Floats]:
    """Lower and upper quantile by kind; of all kinds where one has too few, a widened normal's where all have."""
    everything = scaled[~np.isnan(scaled)]
    low, high = np.empty(len(KINDS)), np.empty(len(KINDS))
    for place in range(len(KINDS)):
        mine = scaled[kind == place]
        mine = mine[~np.isnan(mine)]
        low[place], high[place] = _pair(mine if len(mine) >= ENOUGH else everything, coverage)
    return low, high


def _pair(values: Floats, coverage: float) -> tuple[float, float]:
    tail = (1 - coverage) / 2
    if len(values) < ENOUGH:
        reach = float(norm.isf(tail)) * max(1.0, float(np.sqrt(np.mean(values**2))) if len(values) else 1.0)
        return -reach, reach
    # With n errors the (n + 1)-th is covered at the next rank up.
    level = min(np.ceil((len(values) + 1) * (1 - tail)) / len(values), 1.0)
    return float(np.quantile(values, 1 - level, method="lower")), float(np.quantile(values, level, method="higher"))
