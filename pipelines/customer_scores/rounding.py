"""Figures of a card: rounded, so that the same data give the same version on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

DIGITS = 7
"""Significant digits: sums that run over threads differ in the last ones."""


def rounded(value: Any) -> Any:
    """Numbers within mappings and lists to DIGITS significant digits; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value
