"""Forecasts that learn from one series at a time: the simple rules, and smoothing.

Belongs here: taking planned inputs and the season out before smoothing, and putting them back after it. Does not belong
here: learning across series (boosting), choosing (selection).
"""

from __future__ import annotations

import numpy as np

from models.demand.effects import Effects
from models.demand.panel import Floats, Panel
from models.demand.simple import naive, seasonal_naive
from models.demand.smoothing import damped_trend, intermittent, seasonal_profile, smoothed_level

SIMPLE = ("seasonal_naive", "naive")
"""The rules that are replaced only where something is better."""
SMOOTHING = ("level", "seasonal_level", "trend", "seasonal_trend", "intermittent")


def classical_forecasts(panel: Panel, effects: Effects, horizon: int) -> dict[str, Floats]:
    """Simple rules and smoothing, [series, horizon] each, by name. The simple rules know no planned inputs."""
    periods, season = panel.n_periods, panel.calendar.season
    past, ahead = effects.multiplier[:, :periods], effects.multiplier[:, periods : periods + horizon]
    plain = panel.units / past
    profile = seasonal_profile(plain, season)
    place = np.arange(periods + horizon) % max(season, 1)
    before, after = profile[:, place[:periods]], profile[:, place[periods:]]
    calm = plain / before
    return {
        "seasonal_naive": seasonal_naive(panel.units, horizon, season),
        "naive": naive(panel.units, horizon),
        "level": smoothed_level(plain, horizon) * ahead,
        "seasonal_level": smoothed_level(calm, horizon) * after * ahead,
        "trend": damped_trend(plain, horizon) * ahead,
        "seasonal_trend": damped_trend(calm, horizon) * after * ahead,
        "intermittent": intermittent(calm, horizon) * after * ahead,
    }
