"""Purchases split into what a model may know and what it must guess.

Belongs here: the two protocols, by date and by last day of purchase. Does not belong here: models, figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

WINDOWS_DAYS = (28, 56, 112)
"""Lengths of the part that is held out; the first in which enough customers come back is used."""

ENOUGH_CUSTOMERS = 500
FEWEST_CUSTOMERS = 60
"""Below so many customers who come back, a difference between two orders is noise."""


@dataclass(frozen=True)
class Holdout:
    """known: purchases that may be learned from. truth: customer_id, sku bought next. as_of: last known day."""

    known: pl.DataFrame
    truth: pl.DataFrame
    as_of: date

    @property
    def first_day(self) -> date:
        """Of what may be learned from."""
        first = self.known["ordered_on"].min()
        return first if isinstance(first, date) else self.as_of


MOST_WINDOWS = 3
"""Windows that are learned from: what holds in one alone may be its season."""


def hold_out_windows(purchases: pl.DataFrame, as_of: date) -> list[Holdout]:
    """`hold_out_after` as of the date and as of the beginning of each window found, newest first; may be empty."""
    found: list[Holdout] = []
    end = as_of
    while len(found) < MOST_WINDOWS:
        window = hold_out_after(purchases, end)
        if window is None:
            break
        found.append(window)
        end = window.as_of
    return found


def hold_out_after(purchases: pl.DataFrame, as_of: date) -> Holdout | None:
    """By date: each returning customer's first day of purchase in the last weeks before as_of.

    purchases: customer_id, sku, ordered_on, quantity. The weeks are the fewest of WINDOWS_DAYS in which
    ENOUGH_CUSTOMERS come back, at most half of the time that there is; None where fewer than FEWEST_CUSTOMERS do.
    """
    dated = purchases.filter(pl.col("ordered_on").is_not_null() & (pl.col("ordered_on") <= as_of))
    if dated.is_empty():
        return None
    first = dated["ordered_on"].min()
    found: Holdout | None = None
    for days in WINDOWS_DAYS:
        cut = as_of - timedelta(days=days)
        if not isinstance(first, date) or (cut - first).days < days:
            break
        known = dated.filter(pl.col("ordered_on") <= cut)
        later = (
            dated.filter((pl.col("ordered_on") > cut) & (pl.col("quantity").fill_null(1) > 0))
            .join(known.select("customer_id").unique(), on="customer_id", how="semi")
            .filter(pl.col("ordered_on") == pl.col("ordered_on").min().over("customer_id"))
        )
        found = Holdout(known, later.select("customer_id", "sku").unique(), cut)
        if found.truth["customer_id"].n_unique() >= ENOUGH_CUSTOMERS:
            return found
    return found if found is not None and found.truth["customer_id"].n_unique() >= FEWEST_CUSTOMERS else None


def hold_out_last(purchases: pl.DataFrame, as_of: date) -> Holdout | None:
    """By customer: the last day of purchase of everybody who has more than one; None where fewer than
    FEWEST_CUSTOMERS do."""
    dated = purchases.filter(pl.col("ordered_on").is_not_null() & pl.col("customer_id").is_not_null())
    spans = dated.with_columns(
        pl.col("ordered_on").max().over("customer_id").alias("last_on"),
        pl.col("ordered_on").min().over("customer_id").alias("first_on"),
    )
    is_held = (pl.col("ordered_on") == pl.col("last_on")) & (pl.col("first_on") < pl.col("last_on"))
    known = spans.filter(~is_held).drop("last_on", "first_on")
    truth = spans.filter(is_held & (pl.col("quantity").fill_null(1) > 0)).select("customer_id", "sku").unique()
    if truth["customer_id"].n_unique() < FEWEST_CUSTOMERS:
        return None
    return Holdout(known, truth, as_of)
