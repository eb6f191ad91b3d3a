"""The rules that a model must beat: naive and seasonal naive.

Belongs here: forecasts that need no fit. Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), 5.2.
"""

from __future__ import annotations

import numpy as np

from models.demand.panel import Floats, last_known


def naive(units: Floats, horizon: int) -> Floats:
    """The newest known value, over and over; 0 for a series without any. [series, horizon]"""
    newest = np.nan_to_num(last_known(units))
    return np.repeat(newest[:, None], horizon, axis=1)


def seasonal_naive(units: Floats, horizon: int, season: int) -> Floats:
    """The newest known value of the same place in the season, else the naive one. [series, horizon]"""
    periods = units.shape[1]
    forecast = naive(units, horizon)
    if season < 2 or periods < season:
        return forecast
    for place in range(min(season, horizon)):
        # Column `periods + place` is the first period of that place to come; its like before it are whole seasons back.
        like = units[:, (periods + place) % season :: season]
        found = last_known(like)
        steps = np.arange(place, horizon, season)
        forecast[:, steps] = np.where(np.isnan(found)[:, None], forecast[:, steps], found[:, None])
    return forecast
