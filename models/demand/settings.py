"""What may be tuned about demand, with the defaults that were measured.

Belongs here: names, ranges and their checks. Does not belong here: reading configuration files, algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemandSettings:
    """Settings of one fit; ValueError names the one that is out of range.

    horizon: periods ahead.
    coverage: share of actual values that the intervals should hold.
    validation_origins: how many times the past is replayed to choose among methods; more where the horizon is short,
      so that at least validation_periods are judged.
    margin: share by which a method's error must lie below the best simple rule's to replace it.
    evidence: a series' own errors weigh n / (n + evidence) against those of its kind, n the horizons it was judged by.
    boosted_rows: most rows the boosted trees learn from; fewer than boosted_floor and they are left out.
    sampled_series: most series that are learned from; all are forecast.
    seed: of sampling and of the trees.
    """

    horizon: int = 14
    coverage: float = 0.9
    validation_origins: int = 3
    validation_periods: int = 12
    margin: float = 0.02
    evidence: float = 6.0
    boosted_rows: int = 60_000
    boosted_floor: int = 600
    sampled_series: int = 2_000
    seed: int = 7

    def __post_init__(self) -> None:
        for name in (
            "horizon",
            "validation_origins",
            "validation_periods",
            "boosted_rows",
            "boosted_floor",
            "sampled_series",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a whole number of at least 1")
        if not 0.5 <= self.coverage < 1:
            raise ValueError(f"coverage is {self.coverage!r}; give a share of at least 0.5 and below 1")
        if not 0 <= self.margin < 1 or self.evidence < 0:
            raise ValueError("margin lies between 0 and 1, evidence is at least 0")
