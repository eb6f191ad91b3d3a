"""Which season a bare sequence of periods has, where no calendar tells.

Belongs here: the guess. Does not belong here: the profile of a season (smoothing).
"""

from __future__ import annotations

import numpy as np

from models.demand.panel import Floats, mean_known

CANDIDATES = (7, 12, 52, 24, 4)
LEAST_CORRELATION = 0.3


def guess_season(units: Floats) -> int:
    """The usual season length with the largest pooled autocorrelation of changes, 1 if none is marked.

    units: [series, periods], NaN unknown. A season needs two and a half rounds to show.
    """
    changes = np.diff(units, axis=1)
    changes = changes - mean_known(changes)[:, None] if changes.shape[1] else changes
    scale = np.sqrt(mean_known(changes**2))
    changes = changes / np.where(scale > 0, scale, np.nan)[:, None]
    best, found = LEAST_CORRELATION, 1
    for season in CANDIDATES:
        if units.shape[1] < 2.5 * season:
            continue
        products = changes[:, season:] * changes[:, :-season]
        known = ~np.isnan(products)
        correlation = products[known].mean() if known.any() else 0.0
        if correlation > best:
            best, found = float(correlation), season
    return found
