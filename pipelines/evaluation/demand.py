"""Forecasts of demand measured on histories of the user's own, beside the simple rules.

At each origin the model learns from what lies before it alone; units from there on meet the forecast only when it is
made. Prices and promotions of the horizon are given to it: they are what a retailer plans.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.demand import Calendar, DemandModel, DemandSettings, fit
from models.demand.methods import METHODS
from models.demand.panel import Floats
from models.demand.seasons import guess_season
from models.demand.simple import naive, seasonal_naive
from models.evaluate.demand import Errors
from pipelines.errors import ConfigurationError
from pipelines.evaluation.histories import FIELDS, History, read_history
from pipelines.evaluation.tables import parse_map, read_table

MOST_ORIGINS = 3
BATCH = 2_000
BATCH_CELLS = 2_000_000


@dataclass(frozen=True)
class DemandMeasured:
    """Figures of one evaluation.

    origins: from how many points of the past was forecast; covered: share of scored periods within their interval,
    whose nominal share is `nominal`. methods: series (summed over origins) by the method that was chosen.
    seconds: of learning and forecasting, wall clock.
    """

    history: History
    season: int
    horizon: int
    origins: int
    ours: Errors
    naive: Errors
    seasonal_naive: Errors
    covered: float | None
    nominal: float
    methods: dict[str, int]
    seconds: float

    def row(self) -> dict[str, Any]:
        """One flat record, shares to six places."""
        found: dict[str, Any] = {
            "series": self.history.n_series,
            "periods": self.history.n_periods,
            "period": self.history.unit,
            "season": self.season,
            "horizon": self.horizon,
            "origins": self.origins,
            "scored": self.ours.periods,
            "units": round(self.ours.units, 6),
        }
        for prefix, errors in (("", self.ours), ("naive_", self.naive), ("seasonal_naive_", self.seasonal_naive)):
            for name in ("wape", "mape", "bias", "wape_of_sums"):
                found[prefix + name] = _rounded(getattr(errors, name))
        simple = [errors.wape for errors in (self.naive, self.seasonal_naive) if errors.wape is not None]
        if simple and self.ours.wape is not None and min(simple) > 0:
            found["gain_on_best_simple_rule"] = _rounded(1 - self.ours.wape / min(simple))
        else:
            found["gain_on_best_simple_rule"] = None
        return found | {
            "interval": self.nominal,
            "interval_coverage": _rounded(self.covered),
            "methods": ", ".join(f"{name} {count}" for name, count in self.methods.items()),
            "seconds": round(self.seconds, 2),
        }


def evaluate_demand(data: Path, horizon: int, map_text: str | None) -> DemandMeasured:
    """Forecast the last periods of a file from earlier origins. Raises ConfigurationError for wrong usage."""
    if horizon < 1:
        raise ConfigurationError(f"--horizon is {horizon}; give a whole number of periods of at least 1.")
    mapping = parse_map(map_text, FIELDS)
    history = read_history(read_table(data, mapping, FIELDS), data)
    origins = _origins(history, horizon, data)
    started = time.perf_counter()
    season = history.season
    if history.unit == "step":
        sample = history.panel(_sample(history.n_series), Calendar("step"))
        season = guess_season(sample.units[:, : origins[0]])
    calendar = Calendar(history.unit, history.start, season)
    settings = DemandSettings(horizon=horizon)
    sums = _Sums()
    for origin in origins:
        model = fit(history.panel(_sample(history.n_series), calendar).before(origin, horizon), settings)
        size = max(1, min(BATCH, BATCH_CELLS // history.n_periods))
        for first in range(0, history.n_series, size):
            chosen = np.arange(first, min(first + size, history.n_series))
            sums.take(model, history, chosen, calendar, origin)
    covered = sums.covered / sums.ours.periods if sums.ours.periods else None
    return DemandMeasured(
        history, season, horizon, len(origins), sums.ours, sums.naive, sums.seasonal_naive, covered,
        settings.coverage, dict(sums.methods.most_common()), time.perf_counter() - started,
    )  # fmt: skip


class _Sums:
    """Errors added up over batches and origins."""

    def __init__(self) -> None:
        self.ours = self.naive = self.seasonal_naive = Errors()
        self.covered = 0
        self.methods: Counter[str] = Counter()

    def take(self, model: DemandModel, history: History, chosen: np.ndarray, calendar: Calendar, origin: int) -> None:
        """Forecast a batch of series from an origin and compare. Series that had not begun are not scored."""
        whole = history.panel(chosen, calendar)
        horizon = model.settings.horizon
        past = whole.before(origin, horizon)
        begun = ~np.isnan(past.units).all(axis=1)
        actual: Floats = whole.units[begun, origin : origin + horizon]
        past = past.rows(np.flatnonzero(begun))
        if not past.n_series or np.isnan(actual).all():
            return
        made = model.forecast(past)
        width = actual.shape[1]
        self.ours += Errors.of(made.units[:, :width], actual)
        self.naive += Errors.of(naive(past.units, horizon)[:, :width], actual)
        self.seasonal_naive += Errors.of(seasonal_naive(past.units, horizon, calendar.season)[:, :width], actual)
        # Actual values are counted in whole units as often as not: an end of the interval belongs to it.
        self.covered += int(((actual >= made.low[:, :width]) & (actual <= made.high[:, :width])).sum())
        self.methods.update(METHODS[method] for method in made.method)


def _origins(history: History, horizon: int, data: Path) -> list[int]:
    """Up to three, a horizon apart, the oldest with two seasons or two horizons before it where the file has them."""
    last = history.n_periods - horizon
    if last < 1:
        raise ConfigurationError(
            f"--horizon {horizon} leaves nothing to learn from: {data.name} spans {history.n_periods} periods "
            f"({history.unit}s); give at most {history.n_periods - 1}."
        )
    least = 2 * max(history.season, horizon)
    found = [last - horizon * place for place in reversed(range(MOST_ORIGINS))]
    return [origin for origin in found if origin >= least] or [last]


def _sample(n_series: int) -> np.ndarray:
    """Series to learn from, the same ones every time."""
    most = DemandSettings().sampled_series
    if n_series <= most:
        return np.arange(n_series)
    return np.sort(np.random.default_rng(DemandSettings().seed).choice(n_series, most, replace=False))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
