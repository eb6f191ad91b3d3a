"""The card of a model version: all that it takes to make it again, and all that was measured of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Calibrated:
    """One point of a calibration plot: a group, the mean predicted and actual figure in it, and how many are in it."""

    group: str
    predicted: float
    actual: float
    members: int


@dataclass(frozen=True)
class Card:
    """A fitted model, as data. Nothing in it may name a person.

    model: its name (`clv`, `churn`, …). as_of: the last business date that was known when it was fitted.
    window_start, window_end: of the data that it learned from; None where there was none. rows: how many it learned
    from. parameters: everything that scoring needs, fit for JSON. metrics: measured on data after the ones it learned
    from. baselines: the same metrics of the simple rules that it must beat, by the rule's name. inputs: shares of each
    input's bins at the time of fitting, for drift (`models.evaluate.drift.Reference.as_dict`). protocol: how the
    metrics were measured, in one sentence. notes: what its reader must know, such as that a simple rule won.
    """

    model: str
    as_of: date
    window_start: date | None
    window_end: date | None
    rows: int
    seed: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    baselines: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    calibration: Sequence[Calibrated] = ()
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocol: str = ""
    notes: Sequence[str] = ()

    @property
    def version(self) -> str:
        """`model-date-digest`: equal data, parameters, metrics and seed have equal versions."""
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:10]
        return f"{self.model}-{self.as_of:%Y%m%d}-{digest}"

    def to_json(self) -> str:
        """Canonical JSON. Raises ValueError for a figure that is no number."""
        content = asdict(self) | {
            name: day.isoformat() if day else None
            for name, day in (
                ("as_of", self.as_of), ("window_start", self.window_start), ("window_end", self.window_end),
            )
        }  # fmt: skip
        return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """The card that `to_json` wrote."""
        content = json.loads(text)
        for name in ("as_of", "window_start", "window_end"):
            content[name] = date.fromisoformat(content[name]) if content[name] else None
        content["calibration"] = tuple(Calibrated(**point) for point in content["calibration"])
        content["notes"] = tuple(content["notes"])
        return cls(**content)
