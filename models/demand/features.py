"""What the boosted trees see of a series at an origin: its past in units of its own level, calendar, planned inputs.

Belongs here: one row per series and step, made of what was known before the origin and of inputs planned for the step.
Does not belong here: learning.
"""

from __future__ import annotations

import numpy as np

from models.demand.effects import Effects
from models.demand.panel import Floats, Panel, last_known, mean_known

LIKE_PERIODS = 3
"""How many periods of the same place in the season are looked at one by one."""


def level_of(units: Floats, season: int) -> Floats:
    """Usual units of a period: the mean of the newest four seasons (at least 8 periods) mixed with all. [series]"""
    window = max(4 * season if season <= 13 else season, 8)
    recent = mean_known(units[:, -window:])
    overall = mean_known(units)
    mixed = np.where(np.isnan(recent), overall, 0.8 * recent + 0.2 * overall)
    return np.maximum(np.nan_to_num(mixed), 1e-3)


def features(panel: Panel, effects: Effects, forecasts: dict[str, Floats], horizon: int) -> Floats:
    """[series x horizon, features], series by series. `forecasts` are other methods' from the same origin."""
    units, season = panel.units, panel.calendar.season
    periods = panel.n_periods
    level = level_of(units, season)
    rows = panel.n_series
    by_series = [np.log(level), _since_sale(units), _share_of_zeros(units), _age(units)]
    for window in (1, max(season // 2, 3), season, 2 * season, 4 * season):
        by_series.append(mean_known(units[:, -max(window, 2) :]) / level)
    by_series.append(last_known(units) / level)
    by_series.append(_spread(units) / level)
    steps = np.arange(horizon)
    calendar = panel.calendar.parts(periods, periods + horizon)
    by_step = [
        np.tile(steps + 1.0, (rows, 1)),
        *(np.tile(column, (rows, 1)) for column in calendar.T),
        *(_like(units, horizon, season, back) / level[:, None] for back in range(1, LIKE_PERIODS + 1)),
        np.log(effects.multiplier[:, periods : periods + horizon]),
        effects.inputs[:, periods : periods + horizon, 0],
        effects.inputs[:, periods : periods + horizon, 1],
        *(forecast / level[:, None] for forecast in forecasts.values()),
    ]
    wide = np.repeat(np.column_stack(by_series)[:, None, :], horizon, axis=1)
    return np.concatenate([wide, np.stack(by_step, axis=2)], axis=2).reshape(rows * horizon, -1)


def _like(units: Floats, horizon: int, season: int, back: int) -> Floats:
    """Units of the same place in the season, `back` times before; NaN: not known. [series, horizon]"""
    periods = units.shape[1]
    length = max(season, 1)
    steps = np.arange(horizon)
    ahead = steps // length + 1
    at = periods + steps - length * (ahead + back - 1)
    found = np.full((len(units), horizon), np.nan)
    valid = at >= 0
    found[:, valid] = units[:, at[valid]]
    return found


def _since_sale(units: Floats) -> Floats:
    sold = np.nan_to_num(units) > 0
    since = np.argmax(sold[:, ::-1], axis=1).astype(np.float64)
    return np.where(sold.any(axis=1), since, float(units.shape[1]))


def _share_of_zeros(units: Floats) -> Floats:
    return mean_known(np.where(np.isnan(units), np.nan, units == 0))


def _age(units: Floats) -> Floats:
    known = ~np.isnan(units)
    return np.where(known.any(axis=1), units.shape[1] - np.argmax(known, axis=1), 0).astype(np.float64)


def _spread(units: Floats) -> Floats:
    mean = mean_known(units)
    return np.sqrt(mean_known((units - mean[:, None]) ** 2))
