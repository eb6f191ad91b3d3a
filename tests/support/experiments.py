"""Made-up experiments whose effect is known.

Belongs here: drawing them, deterministic by seed. Does not belong here: judging them.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def an_experiment(
    n: int, seed: int = 1, *, share: float = 0.5, effect: float = 0.05, more_for: float = 0.0, base: float = 0.2
) -> pl.DataFrame:
    """Yes-or-no outcomes. effect: on everybody; more_for: added for those with a positive `spend`, else taken off."""
    rng = np.random.default_rng(seed)
    spend, age = rng.normal(size=n), rng.normal(size=n)
    city = rng.choice(["Shanghai", "Beijing", "Xi'an"], n)
    treated = rng.random(n) < share
    chance = base + 0.1 * np.clip(age, -1.5, 1.5) + treated * (effect + more_for * np.sign(spend))
    outcome = rng.random(n) < chance
    return pl.DataFrame(
        {"treated": treated.astype(int), "outcome": outcome.astype(int), "spend": spend, "age": age, "city": city}
    )
