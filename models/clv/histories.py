"""Purchase histories as the models of counting read them: repeats, age at the last one, age; equal ones stand once.

Pure arrays. Making them out of orders is SQL (pipelines).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

DAYS_PER_PERIOD = 7.0
"""The models' time is in weeks, as in the literature; the data are by the day."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Histories:
    """Equal histories stand together.

    repeats: days with an order after the first such day (x). last: weeks from the first to the last of them (t_x).
    age: weeks from the first to the end of observation (T). count: customers with this history. group: for each
    customer, the index of their history. log_gaps: for each customer, the sum of the logarithms of the weeks between
    their order days, which models of regular buyers (k > 1) need to be compared with others; no parameter depends on
    it, and it is empty where nothing is compared.
    """

    repeats: Floats
    last: Floats
    age: Floats
    count: Floats
    group: NDArray[np.int64]
    log_gaps: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.repeats)

    @property
    def n_customers(self) -> int:
        return int(self.count.sum())

    @property
    def n_repeaters(self) -> int:
        return int(self.count[self.repeats > 0].sum())


def group_histories(
    repeats: NDArray[np.integer],
    last_days: NDArray[np.integer],
    age_days: NDArray[np.integer],
    log_gaps: Floats | None = None,
) -> Histories:
    """Histories of customers, given in days; log_gaps of weeks, as `Histories` has them.

    Raises ValueError unless 0 ≤ last ≤ age, and last is 0 exactly where there are no repeats.
    """
    repeats, last_days, age_days = (np.asarray(days, dtype=np.int64) for days in (repeats, last_days, age_days))
    if ((repeats < 0) | (last_days < 0) | (last_days > age_days) | ((repeats == 0) != (last_days == 0))).any():
        raise ValueError("A history has 0 <= last <= age, and last is 0 exactly where there are no repeats.")
    # One number a history: equal ones sort together much faster than rows do.
    span = int(age_days.max(initial=0)) + 1
    key = (repeats * span + last_days) * span + age_days
    unique, group, count = np.unique(key, return_inverse=True, return_counts=True)
    return Histories(
        repeats=(unique // span // span).astype(np.float64),
        last=(unique // span % span) / DAYS_PER_PERIOD,
        age=(unique % span) / DAYS_PER_PERIOD,
        count=count.astype(np.float64),
        group=group.astype(np.int64),
        log_gaps=np.empty(0) if log_gaps is None else np.asarray(log_gaps, dtype=np.float64),
    )
