"""Every method's forecast from one origin, so that all are judged, and used, in the same way.

Belongs here: the list of methods. Does not belong here: which of them is used (selection).
"""

from __future__ import annotations

from models.demand.boosting import Boosted
from models.demand.classical import SIMPLE, SMOOTHING, classical_forecasts
from models.demand.effects import estimate_effects
from models.demand.features import features, level_of
from models.demand.panel import Floats, Panel

BOOSTED = "boosted_trees"
BLEND = "blend"
METHODS = (*SIMPLE, *SMOOTHING, BOOSTED, BLEND)


def all_forecasts(panel: Panel, horizon: int, boosted: Boosted | None) -> dict[str, Floats]:
    """Forecasts of every method from the panel's end; the boosted ones only where trees were learned."""
    effects = estimate_effects(panel, horizon)
    found = classical_forecasts(panel, effects, horizon)
    if boosted is not None:
        table = features(panel, effects, found, horizon)
        level = level_of(panel.units, panel.calendar.season)
        found[BOOSTED] = boosted.predict(table).reshape(panel.n_series, horizon) * level[:, None]
        found[BLEND] = (found[BOOSTED] + found["seasonal_level"]) / 2
    return found
