"""How good forecasts of demand are.

Belongs here: sums of errors that add up over batches and origins, and the figures made of them. Does not belong here:
splitting data, making forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Errors:
    """Sums over scored periods. `+` joins those of two sets.

    absolute: Σ|forecast - actual|; signed: Σ(forecast - actual); units: Σ|actual|; relative: Σ|error| / |actual| over
    periods with actual other than 0, of which there are n_relative; total: Σ|error of the sum| over horizons.
    """

    periods: int = 0
    absolute: float = 0.0
    signed: float = 0.0
    units: float = 0.0
    relative: float = 0.0
    n_relative: int = 0
    total: float = 0.0

    @classmethod
    def of(cls, forecast: NDArray[np.float64], actual: NDArray[np.float64]) -> Errors:
        """Of forecasts and actual values [series, horizon]; NaN in actual is not scored."""
        known = ~np.isnan(actual)
        error = np.where(known, forecast - actual, 0.0)
        size = np.where(known, np.abs(actual), 0.0)
        some = size > 0
        relative = np.divide(np.abs(error), size, out=np.zeros_like(error), where=some)
        return cls(
            int(known.sum()), float(np.abs(error).sum()), float(error.sum()), float(size.sum()),
            float(relative.sum()), int(some.sum()), float(np.abs(error.sum(axis=1)).sum()),
        )  # fmt: skip

    def __add__(self, other: Errors) -> Errors:
        return Errors(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def wape(self) -> float | None:
        """Weighted absolute percentage error: Σ|error| / Σ|actual|; None where nothing was wanted."""
        return self.absolute / self.units if self.units > 0 else None

    @property
    def mape(self) -> float | None:
        """Mean of |error| / |actual| over periods with any demand: it rewards forecasts that are too low."""
        return self.relative / self.n_relative if self.n_relative else None

    @property
    def bias(self) -> float | None:
        """Σ(forecast - actual) / Σ|actual|: above 0, too much was forecast."""
        return self.signed / self.units if self.units > 0 else None

    @property
    def wape_of_sums(self) -> float | None:
        """WAPE of each series' sum over the horizon: what a replenishment feels."""
        return self.total / self.units if self.units > 0 else None
