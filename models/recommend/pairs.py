"""What is known of a (customer, item) pair, as numbers that an order can be learned from.

Belongs here: the features and their transforms. Does not belong here: which pairs are looked at (blend.py), weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.personal import repeat_rate
from models.recommend.strategy import look_up, take_rows

OWN = ("days", "share", "weight", "fresh", "repeats")
CATEGORY = ("category_days", "category_weight")
ITEM = ("repeat_rate", "popularity", "sold", "trend")
CUSTOMER = ("basket_size", "visits")
AGES = ("age", "gap")
PAIR_FEATURES = (*OWN, *CATEGORY, *ITEM, *CUSTOMER, *AGES)
"""Features beside the scores of strategies, which follow them."""

SMALLEST = 1e-3
MONTH = 30.0
MOST_MONTHS = 12.0


@dataclass(frozen=True)
class Pairs:
    """Pairs and the scores that strategies gave them (0: no opinion); `values` has one column a name of `names`."""

    rows: IntArray
    items: IntArray
    values: FloatArray
    names: tuple[str, ...]

    def column(self, name: str) -> FloatArray:
        """One feature as it is, before any transform."""
        column: FloatArray = self.values[:, self.names.index(name)]
        return column


class PairFeatures:
    """Features of pairs, over one set of interactions.

    days: of purchase of the item. share: of the customer's days of purchase. weight, fresh: days of purchase with time
    decay, slow and fast. repeats: weight × √ repeat rate. category_days, category_weight: days and weight of the
    item's whole category. repeat_rate: of the item. popularity, sold: the item's share of all purchases, in
    ten-thousandths, lately and ever; trend is popularity / sold. basket_size, visits: of the customer, items a day and
    days of purchase. age, gap: days since the item's last purchase and between its purchases. All are 0 where there
    is nothing to count; shares, and not counts, so that an order learned on some customers holds for all of them.
    """

    def __init__(self, interactions: Interactions) -> None:
        self._interactions = interactions
        catalogue = interactions.catalogue
        n_items = interactions.n_items
        # Items without a category are one.
        member = sp.csr_array(
            (np.ones(n_items, dtype=np.float32), (np.arange(n_items), catalogue.category + 1)),
            shape=(n_items, int(catalogue.category.max(initial=-1)) + 2),
        )
        self._category_days = _sorted(interactions.days @ member)
        self._category_weight = _sorted(interactions.weight @ member)
        self._rate = repeat_rate(interactions.days, catalogue.category)
        self._popularity = _per_ten_thousand(interactions.popularity)
        self._sold = _per_ten_thousand(interactions.sold)
        totals = np.asarray(interactions.days.sum(axis=1)).ravel()
        self._visits = interactions.visits
        self._size = np.divide(totals, self._visits, out=np.zeros_like(totals), where=self._visits > 0)

    def of(self, rows: IntArray, items: IntArray, scores: Mapping[str, NDArray[np.floating[Any]]]) -> Pairs:
        """Features of pairs of known rows; scores: of strategies, by name."""
        interactions = self._interactions
        entry = self._entries(rows, items)
        is_own = entry >= 0
        own = {
            name: np.where(is_own, matrix.data[entry], 0) if matrix.nnz else np.zeros(len(rows))
            for name, matrix in (
                ("days", interactions.days), ("weight", interactions.weight), ("fresh", interactions.fresh),
                ("last_age", interactions.last_age), ("first_age", interactions.first_age),
            )
        }  # fmt: skip
        category = interactions.catalogue.category[items] + 1
        rate = self._rate[items]
        columns = {
            "days": own["days"],
            "share": own["days"] / np.maximum(self._visits[rows], 1),
            "weight": own["weight"],
            "fresh": own["fresh"],
            "repeats": own["weight"] * np.sqrt(rate),
            "category_days": look_up(self._category_days, rows, category),
            "category_weight": look_up(self._category_weight, rows, category),
            "repeat_rate": rate,
            "popularity": self._popularity[items],
            "sold": self._sold[items],
            "trend": self._popularity[items] / np.maximum(self._sold[items], SMALLEST),
            "basket_size": self._size[rows],
            "visits": self._visits[rows],
            "age": own["last_age"],
            "gap": (own["first_age"] - own["last_age"]) / np.maximum(own["days"] - 1, 1),
            **scores,
        }
        values = np.stack([np.asarray(column, dtype=np.float32) for column in columns.values()], axis=1)
        return Pairs(rows, items, values, tuple(columns))

    def _entries(self, rows: IntArray, items: IntArray) -> IntArray:
        """Where the pair stands in the matrices of purchases, below 0 for what was not bought."""
        days = self._interactions.days
        asked, place = np.unique(rows, return_inverse=True)
        numbers = sp.csr_array((np.arange(1, days.nnz + 1, dtype=np.float64), days.indices, days.indptr), days.shape)
        chosen = take_rows(numbers, asked)
        if not chosen.nnz:
            return np.full(len(rows), -1, dtype=np.int64)
        return np.asarray(chosen[place, items]).ravel().astype(np.int64) - 1


def transformed(pairs: Pairs) -> FloatArray:
    """Columns for a linear model: log(x + 0.001) and log(1 + x) of amounts, months and log(1 + days) of ages, and
    whether the item was bought before and each strategy has an opinion."""
    strategies = [name for name in pairs.names if name not in PAIR_FEATURES]
    amounts = pairs.values[:, [pairs.names.index(name) for name in (*OWN, *CATEGORY, *ITEM, *CUSTOMER, *strategies)]]
    ages = pairs.values[:, [pairs.names.index(name) for name in AGES]]
    present = pairs.values[:, [pairs.names.index(name) for name in ("days", *strategies)]] > 0
    return np.hstack(
        [
            np.log(amounts + np.float32(SMALLEST)),
            np.log1p(amounts),
            np.minimum(ages / np.float32(MONTH), np.float32(MOST_MONTHS)),
            np.log1p(ages),
            present.astype(np.float32),
        ]
    )


def _per_ten_thousand(sold: NDArray[np.float64]) -> FloatArray:
    return (sold / max(sold.sum(), 1e-9) * 10_000).astype(np.float32)


def _sorted(matrix: sp.csr_array) -> sp.csr_array:
    result = sp.csr_array(matrix, dtype=np.float32)
    result.sort_indices()
    return result
