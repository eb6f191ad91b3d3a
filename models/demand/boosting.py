"""Gradient-boosted trees over all series: Poisson demand with the series' level as exposure.

Belongs here: making training rows at many past origins, learning, predicting. The target is units over level, weighted
by level, which is Poisson regression with the logarithm of the level as offset. Does not belong here: choosing when
trees are used (selection).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from models.demand.classical import classical_forecasts
from models.demand.effects import estimate_effects
from models.demand.features import features, level_of
from models.demand.panel import Floats, Panel, any_known
from models.demand.settings import DemandSettings

MOST_ORIGINS = 16
FEW_SERIES = 20
LARGEST_RATIO = 50.0


@dataclass(frozen=True)
class Boosted:
    """Learned trees; `predict` gives units in multiples of the series' level."""

    trees: HistGradientBoostingRegressor
    columns: NDArray[np.bool_]
    rows: int

    def predict(self, table: Floats) -> Floats:
        """[rows] of a table of `features`."""
        with threadpool_limits(limits=1, user_api="openmp"):
            found: Floats = self.trees.predict(table[:, self.columns])
        return np.minimum(found, LARGEST_RATIO)


def learn_boosted(panel: Panel, settings: DemandSettings) -> Boosted | None:
    """Learn from what a panel shows, origin after origin; None where that is too little.

    Only periods of the panel are targets, and each row's features lie before its origin.
    """
    horizon = settings.horizon
    origins = _origins(panel, horizon)
    tables, targets, weights = [], [], []
    for origin in origins:
        ahead = min(horizon, panel.n_periods - origin)
        past = panel.before(origin, ahead)
        effects = estimate_effects(past, ahead)
        table = features(past, effects, classical_forecasts(past, effects, ahead), ahead)
        level = level_of(past.units, panel.calendar.season)
        actual = panel.units[:, origin : origin + ahead]
        usable = (~np.isnan(actual) & any_known(past.units)[:, None]).ravel()
        tables.append(table[usable])
        targets.append(np.minimum(actual / level[:, None], LARGEST_RATIO).ravel()[usable])
        weights.append(np.repeat(level, ahead)[usable])
    if sum(map(len, targets)) < settings.boosted_floor:
        return None
    table, target, weight = np.concatenate(tables), np.concatenate(targets), np.concatenate(weights)
    if len(target) > settings.boosted_rows:
        kept = np.random.default_rng(settings.seed).choice(len(target), settings.boosted_rows, replace=False)
        kept.sort()
        table, target, weight = table[kept], target[kept], weight[kept]
    if not (target > 0).any():
        return None
    trees = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=0.08,
        max_iter=100,
        max_leaf_nodes=16,
        min_samples_leaf=max(20, len(target) // 2_000),
        l2_regularization=2.0,
        early_stopping=False,
        random_state=settings.seed,
    )
    # Series of large level would else be all that counts.
    columns = np.nanmax(table, axis=0, initial=-np.inf) > np.nanmin(table, axis=0, initial=np.inf)
    # One thread: the same trees on any machine, and no waiting for each other where the cores are busy.
    with threadpool_limits(limits=1, user_api="openmp"):
        trees.fit(table[:, columns], target, sample_weight=np.sqrt(np.maximum(weight, 0.05)))
    return Boosted(trees, columns, len(target))


def _origins(panel: Panel, horizon: int) -> list[int]:
    """Past origins, newest first, each with a season or more of past; of few series more and closer ones."""
    season = panel.calendar.season
    first = max(2 * season if season <= 13 else season, 6)
    few = panel.n_series < FEW_SERIES
    step = max(horizon // (4 if few else 2), 1)
    newest = panel.n_periods - min(horizon, max(panel.n_periods - first, 1))
    return list(range(newest, first - 1, -step))[: MOST_ORIGINS * (4 if few else 1)]
