"""Fit once on a sample of series, forecast all in batches.

Belongs here: the order of learning, replaying, choosing, and what comes out. Does not belong here: reading or writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.demand.boosting import Boosted, learn_boosted
from models.demand.classical import SIMPLE
from models.demand.intervals import Spread, learn_spread, relative_spread, series_spread
from models.demand.methods import METHODS, all_forecasts
from models.demand.panel import Floats, Panel, mean_known
from models.demand.selection import KINDS, Integers, Replay, Scores, choose, kind_of, replay, replay_origins, score
from models.demand.settings import DemandSettings


@dataclass(frozen=True)
class Forecast:
    """Units to come. units, low, high: [series, horizon]; total, total_low, total_high: [series], of the whole horizon.

    method: index into METHODS, kind: index into KINDS, [series].
    """

    units: Floats
    low: Floats
    high: Floats
    total: Floats
    total_low: Floats
    total_high: Floats
    method: Integers
    kind: Integers


@dataclass(frozen=True)
class DemandModel:
    """What was learned from a sample. `judged` trees did not see the replayed periods; `boosted` saw all.

    gains: by kind, what was chosen and how it did in the replay. simple_only: keep to the simple rules, whatever won
    the replay, as when a rehearsal on newer data showed no gain.
    """

    settings: DemandSettings
    judged: Boosted | None
    boosted: Boosted | None
    kinds: Scores
    spread: Spread
    gains: tuple[dict[str, Any], ...]
    simple_only: bool = False

    def forecast(self, panel: Panel) -> Forecast:
        """Units of the `horizon` periods after the panel, for series of the sample and others alike."""
        settings = self.settings
        replayed = replay(panel, settings, self.judged)
        kind = kind_of(panel.units)
        method = choose(score(replayed), self.kinds, kind, replayed.level, settings, simple_only=self.simple_only)
        chosen = _chosen(replayed, method)
        errors = replayed.actual - chosen
        ahead = all_forecasts(panel, settings.horizon, self.boosted)
        units = _pick(ahead, method)
        if replayed.actual.shape[1]:
            spread = series_spread(errors, chosen, kind, self.spread.dispersion)
            # A series that was never judged has the spread of its kind at the forecast's own height.
            unjudged = np.isnan(errors).all(axis=(1, 2))
            spread = np.where(unjudged, np.sqrt(self.spread.dispersion[kind] * _height(units)), spread)
        else:
            spread = np.maximum(_steps_spread(panel.units), np.sqrt(_height(units)))
        width = spread[:, None] * relative_spread(units, units.mean(axis=1))
        total = units.sum(axis=1)
        total_width = spread * np.sqrt(settings.horizon)
        return Forecast(
            units=units,
            low=np.clip(units + self.spread.low[kind][:, None] * width, 0, units),
            high=np.maximum(units + self.spread.high[kind][:, None] * width, units),
            total=total,
            total_low=np.clip(total + self.spread.total_low[kind] * total_width, 0, total),
            total_high=np.maximum(total + self.spread.total_high[kind] * total_width, total),
            method=method,
            kind=kind,
        )


def fit(panel: Panel, settings: DemandSettings) -> DemandModel:
    """Learn from a panel, or from a sample of its series where it has many. Same panel and settings, same model."""
    if panel.n_series > settings.sampled_series:
        rng = np.random.default_rng(settings.seed)
        panel = panel.rows(np.sort(rng.choice(panel.n_series, settings.sampled_series, replace=False)))
    origins = replay_origins(panel.n_periods, settings, panel.calendar.season)
    judged = learn_boosted(panel.before(origins[0], 0), settings) if origins else None
    replayed = replay(panel, settings, judged)
    own, kind = score(replayed), kind_of(panel.units)
    kinds = own.grouped(kind)
    method = choose(own, kinds, kind, replayed.level, settings)
    chosen = _chosen(replayed, method)
    spread = learn_spread(replayed.actual - chosen, chosen, kind, settings.coverage)
    boosted = learn_boosted(panel, settings) if judged is not None else None
    return DemandModel(settings, judged, boosted, kinds, spread, _gains(own, kind, method))


def _chosen(replayed: Replay, method: Integers) -> Floats:
    return _pick(replayed.forecast, method) if replayed.forecast else np.full(replayed.actual.shape, np.nan)


def _pick(forecasts: dict[str, Floats], method: Integers) -> Floats:
    """Each series' row of its own method."""
    found = forecasts[SIMPLE[0]].copy()
    for place, name in enumerate(METHODS):
        if name in forecasts:
            found[method == place] = forecasts[name][method == place]
    return found


def _height(units: Floats) -> Floats:
    return np.maximum(units.mean(axis=1), 0.02)


def _steps_spread(units: Floats) -> Floats:
    """Spread of a series too short to replay: of the changes from one period to the next."""
    if units.shape[1] < 2:
        return np.zeros(len(units))
    return np.nan_to_num(np.sqrt(mean_known(np.diff(units, axis=1) ** 2)))


def _gains(own: Scores, kind: Integers, method: Integers) -> tuple[dict[str, Any], ...]:
    """By kind: how many series, which methods, and the replayed WAPE of what was chosen beside the simple rules'."""
    found = []
    for place, name in enumerate(KINDS):
        mine = np.flatnonzero(kind == place)
        units = own.units[mine].sum()
        if not len(mine):
            continue
        chosen = {METHODS[which]: int(count) for which, count in enumerate(np.bincount(method[mine])) if count}
        wape = {
            rule: float(own.absolute[mine, METHODS.index(rule)].sum() / units) if units > 0 else None for rule in SIMPLE
        }
        ours = own.absolute[mine, method[mine]].sum()
        found.append(
            {
                "kind": name,
                "series": len(mine),
                "methods": chosen,
                "wape": float(ours / units) if units > 0 else None,
                **{f"wape_{rule}": value for rule, value in wape.items()},
            }
        )
    return tuple(found)
