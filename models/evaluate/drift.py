"""How far a distribution moved since a model learned it: the population stability index.

Pure: arrays in, numbers out. Recording and warning belong to the platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10

_SMALLEST_SHARE = 1e-4
"""An empty bin counts as this share, else one customer in a new bin would be an infinite shift."""


@dataclass(frozen=True)
class Reference:
    """Shares of a figure's bins when the model learned it.

    edges: inner edges, rising; bin i holds edges[i-1] < value ≤ edges[i]. shares: one more than edges, then the share
    of missing values.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """For a card."""
        return {"edges": list(self.edges), "shares": list(self.shares)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Reference:
        """What `as_dict` made."""
        return cls(tuple(content["edges"]), tuple(content["shares"]))


def reference_of(values: NDArray[np.floating], bins: int = BINS) -> Reference:
    """Bins of about equal share; values that repeat have one bin, so there may be fewer than asked."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Reference((), _shares(values, np.empty(0)))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    return Reference(tuple(float(edge) for edge in edges), _shares(values, edges))


def psi(reference: Reference, values: NDArray[np.floating]) -> float:
    """Σ (now − then) · ln(now / then) over the bins; 0 for no values.

    The symmetrised Kullback-Leibler divergence (Siddiqi, Credit Risk Scorecards, 2006): below 0.1 no shift, 0.25 and
    more a shift to act upon.
    """
    if not len(values):
        return 0.0
    now = np.maximum(_shares(values, np.asarray(reference.edges)), _SMALLEST_SHARE)
    then = np.maximum(reference.shares, _SMALLEST_SHARE)
    return float(np.sum((now - then) * np.log(now / then)))


def _shares(values: NDArray[np.floating], edges: NDArray[np.floating]) -> tuple[float, ...]:
    is_known = np.isfinite(values)
    counts = np.bincount(np.searchsorted(edges, values[is_known], side="left"), minlength=len(edges) + 1)
    counts = np.append(counts, len(values) - is_known.sum())
    return tuple(float(share) for share in counts / max(len(values), 1))
