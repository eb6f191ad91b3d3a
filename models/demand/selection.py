"""Replaying the past to choose a method for each series, the simple rule unless something is clearly better.

Belongs here: kinds of series, rolling-origin errors, the choice. Does not belong here: the methods, intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.demand.boosting import Boosted
from models.demand.classical import SIMPLE
from models.demand.features import level_of
from models.demand.methods import METHODS, all_forecasts
from models.demand.panel import Floats, Panel, any_known, mean_known
from models.demand.settings import DemandSettings

KINDS = ("smooth", "erratic", "intermittent", "lumpy", "short")
"""Syntetos, Boylan & Croston (2005), "On the categorization of demand patterns": by the mean interval between sales
(1.32 periods) and the squared coefficient of variation of their sizes (0.49); short is what cannot be replayed."""
INTERVAL, VARIATION = 1.32, 0.49
SHORTEST = 4
DOUBT = 0.25
"""How much more than the margin must be won where little was replayed: doubt / square root of the horizons judged."""

Integers = NDArray[np.int64]


def kind_of(units: Floats, shortest: int = SHORTEST) -> Integers:
    """Index into KINDS of each series."""
    known = ~np.isnan(units)
    sold = known & (np.nan_to_num(units) > 0)
    n_known, n_sold = known.sum(axis=1), sold.sum(axis=1)
    interval = n_known / np.maximum(n_sold, 1)
    sizes = np.where(sold, units, np.nan)
    mean = mean_known(sizes)
    variance = mean_known((sizes - mean[:, None]) ** 2)
    variation = np.nan_to_num(variance / np.maximum(np.nan_to_num(mean), 1e-9) ** 2)
    kind = 2 * (interval >= INTERVAL) + (variation >= VARIATION)
    return np.where(n_known < shortest, KINDS.index("short"), kind).astype(np.int64)


@dataclass(frozen=True)
class Replay:
    """Rolling origins over a panel's past. `actual` [series, origins, horizon] (NaN: unknown or beyond the end);
    `forecast` the same by method; `level` [series] before the first origin."""

    actual: Floats
    forecast: dict[str, Floats]
    level: Floats


def replay_origins(n_periods: int, settings: DemandSettings, season: int) -> list[int]:
    """Origins, oldest first, that leave at least a season (or four periods) of past and one period to judge by."""
    horizon = settings.horizon
    least = season + 1 if season + 1 + horizon <= n_periods else SHORTEST
    origins = max(settings.validation_origins, -(-settings.validation_periods // horizon))
    found = [n_periods - horizon * place for place in range(origins, 0, -1)]
    usable = [origin for origin in found if origin >= least]
    # A horizon longer than what there is: judge by the last third.
    return usable or ([n_periods - max(n_periods // 3, 1)] if n_periods - max(n_periods // 3, 1) >= SHORTEST else [])


def replay(panel: Panel, settings: DemandSettings, boosted: Boosted | None) -> Replay:
    """Forecast from each earlier origin with what was known then. `boosted` must not have seen the periods replayed."""
    origins = replay_origins(panel.n_periods, settings, panel.calendar.season)
    horizon = settings.horizon
    shape = (panel.n_series, len(origins), horizon)
    actual = np.full(shape, np.nan)
    forecast: dict[str, Floats] = {}
    for place, origin in enumerate(origins):
        ahead = min(horizon, panel.n_periods - origin)
        past = panel.before(origin, ahead)
        actual[:, place, :ahead] = np.where(
            ~any_known(past.units)[:, None], np.nan, panel.units[:, origin : origin + ahead]
        )
        for name, values in all_forecasts(past, ahead, boosted).items():
            forecast.setdefault(name, np.full(shape, np.nan))[:, place, :ahead] = values
    first = origins[0] if origins else panel.n_periods
    return Replay(actual, forecast, level_of(panel.units[:, :first], panel.calendar.season))


@dataclass(frozen=True)
class Scores:
    """Errors by method, relative to what was wanted. absolute: [rows, methods] sums of |error| of periods; total: of
    |error of the sum over the horizon| / horizon; units: [rows] what was wanted; periods: [rows] how many were judged.
    """

    absolute: Floats
    total: Floats
    units: Floats
    periods: Floats

    @property
    def combined(self) -> Floats:
        """Mean of the errors of single periods and of the sum, a period: rules that are right by day but wrong by the
        fortnight empty the shelf."""
        return (self.absolute + self.total) / np.maximum(2 * self.periods, 1)[:, None]

    def grouped(self, kind: Integers) -> Scores:
        """Sums by kind: rows are KINDS."""

        def total(values: Floats) -> Floats:
            found = np.zeros((len(KINDS), *values.shape[1:]))
            np.add.at(found, kind, values)
            return found

        return Scores(total(self.absolute), total(self.total), total(self.units), total(self.periods))


def score(replayed: Replay) -> Scores:
    """Errors of every series; a method without a forecast scores infinitely."""
    known = ~np.isnan(replayed.actual)
    count = known.sum(axis=2)
    periods = count.sum(axis=1).astype(np.float64)
    absolute = np.full((len(periods), len(METHODS)), np.inf)
    total = absolute.copy()
    for place, name in enumerate(METHODS):
        if name in replayed.forecast:
            error = np.where(known, replayed.forecast[name] - replayed.actual, 0.0)
            absolute[:, place] = np.abs(error).sum(axis=(1, 2))
            total[:, place] = np.abs(error.sum(axis=2)).sum(axis=1)
    return Scores(absolute, total, np.where(known, replayed.actual, 0.0).sum(axis=(1, 2)), periods)


def choose(
    own: Scores, kinds: Scores, kind: Integers, level: Floats, settings: DemandSettings, *, simple_only: bool = False
) -> Integers:
    """Index into METHODS of each series' method.

    own: of the series; kinds: of their kinds (rows KINDS), which the own errors are mixed with by how many there are.
    A method replaces the better simple rule only if its error is lower by the margin, and by more where few periods
    were judged.
    """
    n_simple = len(SIMPLE)
    wanted = np.maximum(kinds.units / np.maximum(kinds.periods, 1), 1e-9)
    relative = kinds.combined / wanted[:, None]
    usual = np.maximum(np.where(own.periods > 0, own.units / np.maximum(own.periods, 1), level), 0.1 * level)
    expected = relative[kind] * usual[:, None]
    # Few units tell as little as few periods.
    told = np.minimum(own.periods, own.units) / settings.horizon
    weight = (told / (told + settings.evidence))[:, None]
    with np.errstate(invalid="ignore"):
        mixed = np.where(weight > 0, weight * own.combined, 0.0) + (1 - weight) * expected
    mixed = np.where(np.isnan(mixed), np.inf, mixed)
    simple = mixed[:, :n_simple].argmin(axis=1)
    other = n_simple + mixed[:, n_simple:].argmin(axis=1)
    rows = np.arange(len(kind))
    judged = np.maximum(kinds.periods[kind] / settings.horizon, 1)
    needed = 1 - settings.margin - DOUBT / np.sqrt(judged)
    is_better = (mixed[rows, other] < needed * mixed[rows, simple]) & (not simple_only)
    was_judged = kinds.periods[kind] >= SHORTEST
    return np.where(was_judged & is_better, other, np.where(was_judged, simple, 0)).astype(np.int64)
