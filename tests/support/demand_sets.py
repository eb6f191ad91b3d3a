"""Made-up histories of units whose best forecast is known.

Belongs here: drawing them, deterministic by seed. Does not belong here: judging forecasts.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from models.demand import Calendar, Panel

WEEK = np.array([0.7, 0.7, 0.8, 0.9, 1.2, 1.6, 1.1])
DAYS = Calendar("day", date(2025, 1, 6), 7)


def weekly(n: int, periods: int, level: float = 20.0, *, growth: float = 0.0, seed: int = 1) -> np.ndarray:
    """Poisson counts with a profile of the week; growth: by which share the level has risen at the end."""
    rng = np.random.default_rng(seed)
    when = np.arange(periods)
    mean = level * rng.lognormal(0, 0.5, (n, 1)) * WEEK[when % 7] * (1 + growth * when / periods)
    return rng.poisson(mean).astype(float)


def wandering(n: int, periods: int, seed: int = 2) -> np.ndarray:
    """Random walks: nothing is better than the newest value."""
    steps = np.random.default_rng(seed).normal(0, 4, (n, periods))
    return np.maximum(200 + np.cumsum(steps, axis=1), 0)


def rare(n: int, periods: int, rate: float = 0.15, seed: int = 3) -> np.ndarray:
    """Intermittent demand at a constant rate."""
    rng = np.random.default_rng(seed)
    return rng.poisson(rate * rng.lognormal(0, 0.6, (n, 1)), (n, periods)).astype(float)


def promoted(n: int, periods: int, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units, prices and promotions: a promotion multiplies demand by e^0.9, a price by its -1.5th power."""
    rng = np.random.default_rng(seed)
    promotion = (rng.random((n, periods)) < 0.12).astype(float)
    price = 10 * np.where(promotion > 0, 0.8, 1.0) * rng.lognormal(0, 0.03, (n, periods))
    mean = 15 * rng.lognormal(0, 0.4, (n, 1)) * WEEK[np.arange(periods) % 7]
    mean = mean * np.exp(0.9 * promotion - 1.5 * np.log(price / 10))
    return rng.poisson(mean).astype(float), price, promotion


def past_and_future(units: np.ndarray, horizon: int, calendar: Calendar = DAYS) -> tuple[Panel, np.ndarray]:
    """The panel up to `horizon` periods before the end, and what came then."""
    return Panel(units[:, :-horizon], calendar), units[:, -horizon:]
