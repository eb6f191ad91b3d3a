"""Exponential smoothing of many series at once: level, damped trend, intermittent demand, and seasonal profiles.

Belongs here: recursions over periods, vectorised over series and settings; unknown periods (NaN) are passed over, the
state stays. Does not belong here: choosing among the methods (selection).

Level and damped trend: Gardner & McKenzie (1985), "Forecasting trends in time series". Intermittent demand: Teunter,
Syntetos & Babai (2011), "Intermittent demand: linking forecasting to inventory obsolescence" (TSB).
"""

from __future__ import annotations

import numpy as np

from models.demand.panel import Floats, mean_known

LEVELS = (0.03, 0.08, 0.2, 0.4, 0.7, 1.0)
TRENDS = tuple((level, slope, damping) for level in (0.1, 0.3, 0.6) for slope in (0.05, 0.2) for damping in (0.9, 0.99))
CHANCES = (0.03, 0.08, 0.2)
PROFILE_PRIOR = 0.5
"""Seasons' worth of the common profile (of all series; for it, of no season) that a series' own is mixed with."""


def seasonal_profile(units: Floats, season: int) -> Floats:
    """Multipliers of each place in the season, mean 1: ratios to the moving level, shrunk. [series, season]

    All ones where there are not two whole seasons.
    """
    n_series, periods = units.shape
    flat = np.ones((n_series, max(season, 1)))
    if season < 2 or periods < 2 * season:
        return flat
    known = ~np.isnan(units)
    values = np.where(known, units, 0.0)
    level = _moving_mean(values, known, season)
    seen = np.where(known, level, 0.0)
    place = np.arange(periods) % season
    sums, bases = np.zeros_like(flat), np.zeros_like(flat)
    for position in range(season):
        at = place == position
        sums[:, position] = values[:, at].sum(axis=1)
        bases[:, position] = seen[:, at].sum(axis=1)
    mean = np.nan_to_num(mean_known(units))
    scale = np.divide(1.0, mean, out=np.zeros(n_series), where=mean > 0)[:, None]
    common_base = (bases * scale).sum(axis=0)
    common = ((sums * scale).sum(axis=0) + PROFILE_PRIOR) / (common_base + PROFILE_PRIOR)
    prior = PROFILE_PRIOR * mean[:, None]
    base = bases + prior
    own = np.divide(sums + prior * common, base, out=np.tile(common, (n_series, 1)), where=base > 0)
    return np.maximum(own / own.mean(axis=1, keepdims=True), 0.02)


def _moving_mean(values: Floats, known: np.ndarray, season: int) -> Floats:
    """Mean of the known values of the whole season around each period; at the ends, of the first and last season."""
    periods = values.shape[1]
    first = np.clip(np.arange(periods) - season // 2, 0, periods - season)
    last = first + season
    zero = np.zeros((len(values), 1))
    total = np.concatenate([zero, np.cumsum(values, axis=1)], axis=1)
    count = np.concatenate([zero, np.cumsum(known, axis=1)], axis=1)
    n_known = count[:, last] - count[:, first]
    return np.divide(total[:, last] - total[:, first], n_known, out=np.zeros_like(values), where=n_known > 0)


def smoothed_level(units: Floats, horizon: int) -> Floats:
    """Simple exponential smoothing, the weight chosen per series by its squared errors one period ahead."""
    start = _start_level(units)
    weights = np.array(LEVELS)
    level = np.repeat(start[:, None], len(weights), axis=1)
    loss = np.zeros_like(level)
    for values, known in _periods(units):
        error = np.where(known, values - level, 0.0)
        loss += error**2
        level = level + weights * error
    chosen = _lowest(loss)
    return np.repeat(level[np.arange(len(units)), chosen][:, None], horizon, axis=1)


def damped_trend(units: Floats, horizon: int) -> Floats:
    """Damped-trend smoothing, its three settings chosen per series by the squared errors one period ahead."""
    level_weight, slope_weight, damping = (np.array(values) for values in zip(*TRENDS, strict=True))
    start, slope_start = _start_trend(units)
    level = np.repeat(start[:, None], len(TRENDS), axis=1)
    slope = np.repeat(slope_start[:, None], len(TRENDS), axis=1)
    loss = np.zeros_like(level)
    for values, known in _periods(units):
        expected = level + damping * slope
        error = np.where(known, values - expected, 0.0)
        loss += error**2
        level = expected + level_weight * error
        slope = damping * slope + level_weight * slope_weight * error
    chosen = _lowest(loss)
    rows = np.arange(len(units))
    damp = damping[chosen][:, None]
    reach = np.cumsum(damp ** np.arange(1, horizon + 1)[None, :], axis=1)
    return np.maximum(level[rows, chosen][:, None] + reach * slope[rows, chosen][:, None], 0.0)


def intermittent(units: Floats, horizon: int) -> Floats:
    """TSB: the chance that anything is wanted times the size when it is, smoothed apart. [series, horizon]"""
    chance_weight = np.array([weight for weight in CHANCES for _ in CHANCES])
    size_weight = np.array([weight for _ in CHANCES for weight in CHANCES])
    wanted = np.where(np.isnan(units), np.nan, units > 0)
    chance = np.repeat(np.nan_to_num(mean_known(wanted))[:, None], len(chance_weight), axis=1)
    sizes = np.where(units > 0, units, np.nan)
    size = np.repeat(np.nan_to_num(mean_known(sizes))[:, None], len(chance_weight), axis=1)
    loss = np.zeros_like(chance)
    for values, known in _periods(units):
        error = np.where(known, values - chance * size, 0.0)
        loss += error**2
        some = known & (values > 0)
        chance = chance + np.where(known, chance_weight * ((values > 0) - chance), 0.0)
        size = size + np.where(some, size_weight * (values - size), 0.0)
    chosen = _lowest(loss)
    rows = np.arange(len(units))
    return np.repeat((chance[rows, chosen] * size[rows, chosen])[:, None], horizon, axis=1)


def _periods(units: Floats) -> list[tuple[Floats, np.ndarray]]:
    """Columns as [series, 1] with whether they are known."""
    known = ~np.isnan(units)
    values = np.where(known, units, 0.0)
    return [(values[:, [at]], known[:, [at]]) for at in range(units.shape[1])]


def _start_level(units: Floats) -> Floats:
    """The mean of each series' first few known values."""
    known = ~np.isnan(units)
    early = known & (np.cumsum(known, axis=1) <= 4)
    return np.nan_to_num(mean_known(np.where(early, units, np.nan)))


def _start_trend(units: Floats) -> tuple[Floats, Floats]:
    """Level before the first period and slope a period: least squares over each series' first values."""
    known = ~np.isnan(units)
    early = known & (np.cumsum(known, axis=1) <= 10)
    count = np.maximum(early.sum(axis=1), 1)
    when = np.arange(units.shape[1], dtype=np.float64)
    values = np.where(early, np.nan_to_num(units), 0.0)
    mean_when = (early * when).sum(axis=1) / count
    mean_value = values.sum(axis=1) / count
    spread = (early * (when - mean_when[:, None]) ** 2).sum(axis=1)
    covariance = (early * (when - mean_when[:, None]) * (values - mean_value[:, None])).sum(axis=1)
    # Fewer than five points draw no line.
    has_line = (spread > 0) & (early.sum(axis=1) >= 5)
    slope = np.divide(covariance, spread, out=np.zeros(len(units)), where=has_line)
    first = np.argmax(known, axis=1)
    return np.maximum(mean_value + slope * (first - 1 - mean_when), 0.0), slope


def _lowest(loss: Floats) -> np.ndarray:
    """The setting of least loss; of equal ones the first, which is the calmest."""
    return np.argmin(loss, axis=1)
