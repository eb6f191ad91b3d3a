"""Many series on one calendar, as dense matrices.

Belongs here: shapes, what an unknown value is, seasons of a calendar, cutting a panel at an earlier origin.
Does not belong here: any forecast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Unit = Literal["day", "week", "month", "quarter", "year", "step"]
SEASONS: dict[Unit, int] = {"day": 7, "week": 52, "month": 12, "quarter": 4, "year": 1, "step": 1}
"""Periods of the season that a calendar suggests; `step` is a bare number, whose season the caller may know."""


@dataclass(frozen=True)
class Calendar:
    """What period 0 is, how long a period is, and after how many periods the season repeats."""

    unit: Unit
    start: date | None = None
    season: int = 1

    def parts(self, first: int, last: int) -> Floats:
        """Calendar features of periods first to last (excluded), one row each: position in season, and in the year.

        The position in the year is 0 where the unit is coarser than a month or the calendar is unknown; days also
        tell the day of the month, for pay days.
        """
        periods = np.arange(first, last)
        in_season = periods % self.season
        in_year, in_month = np.zeros(len(periods)), np.zeros(len(periods))
        if self.start is not None and self.unit in ("day", "week"):
            step = 7 if self.unit == "week" else 1
            days = [self.start + timedelta(days=int(period) * step) for period in periods]
            in_year = np.array([day.timetuple().tm_yday for day in days], dtype=np.float64)
            in_month = np.array([day.day for day in days], dtype=np.float64) if step == 1 else in_month
        return np.column_stack([in_season, in_year, in_month]).astype(np.float64)


@dataclass(frozen=True)
class Panel:
    """Series as rows, periods as columns; the last column of `units` is the newest known period.

    units: float64 [series, periods], at least 0 where known; NaN is unknown: before a series began, not recorded, or
      censored, as on days when nothing was in stock. Zero is a period in which nothing was wanted.
    price, promotion: [series, periods + horizon] or None; NaN is unknown. They are inputs known ahead: what the
      retailer plans for the periods to come. promotion is 0 without one, 1 (or its depth) with one.
    """

    units: Floats
    calendar: Calendar
    price: Floats | None = None
    promotion: Floats | None = None

    @property
    def n_series(self) -> int:
        return int(self.units.shape[0])

    @property
    def n_periods(self) -> int:
        return int(self.units.shape[1])

    def before(self, origin: int, horizon: int) -> Panel:
        """What was known before period `origin`, with the planned inputs of the `horizon` periods from there."""
        return replace(
            self,
            units=self.units[:, :origin],
            price=None if self.price is None else self.price[:, : origin + horizon],
            promotion=None if self.promotion is None else self.promotion[:, : origin + horizon],
        )

    def rows(self, chosen: NDArray[np.int64] | slice) -> Panel:
        """Some of the series."""
        return replace(
            self,
            units=self.units[chosen],
            price=None if self.price is None else self.price[chosen],
            promotion=None if self.promotion is None else self.promotion[chosen],
        )


def last_known(values: Floats) -> Floats:
    """The newest value of each row that is not NaN; NaN for a row without one."""
    known = ~np.isnan(values)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    at = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), at], np.nan)


def filled_forward(values: Floats) -> Floats:
    """Each NaN replaced by the newest value before it; NaN stays where there is none."""
    known = ~np.isnan(values)
    at = np.where(known, np.arange(values.shape[1]), 0)
    np.maximum.accumulate(at, axis=1, out=at)
    return values[np.arange(len(values))[:, None], at]


def any_known(values: Floats) -> NDArray[np.bool_]:
    """Whether a row has any value that is not NaN."""
    return np.asarray(np.any(~np.isnan(values), axis=1), dtype=np.bool_)


def mean_known(values: Floats) -> Floats:
    """Row means over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
