"""The shape of a reconciliation's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One comparison. `expected` and `actual` are counts or decimals; `detail` says where they come from."""

    name: str
    expected: Any
    actual: Any
    ok: bool
    detail: str = ""
