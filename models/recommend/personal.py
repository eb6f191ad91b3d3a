"""Personal repeats: what this customer keeps buying, fresher purchases first.

Belongs here: repeat purchase. Does not belong here: leaving out what was bought just now; that holds for every strategy
and happens in the blend.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import FloatArray, IntArray, Interactions
from models.recommend.strategy import NOBODY, Explanation, look_up, take_rows

SHRINKAGE = 5.0
"""Buyers that the category's repeat rate counts for, when an item's own rate is estimated."""

RATE_EXPONENT = 0.5
LEAST_REPEAT_RATE = 0.02
"""Below one repeat buyer in fifty, people do not buy it again (a coat, a kettle): no repeat is offered."""


class Personal:
    """Score: decayed days of purchase × sqrt(repeat rate of the item).

    The first factor is time-decayed personal frequency, the strongest simple rule for the next basket (Hu et al.,
    "Modeling Personalized Item Frequency Information for Next-basket Recommendation", SIGIR 2020). The repeat rate,
    customers with two or more days of purchase / customers, shrunk to the category's and that to the overall one,
    keeps goods that are bought once in a while from being offered for ever.
    """

    name = "personal"

    def fit(self, interactions: Interactions) -> Self:
        """Estimate the repeat rates and weigh every pair of sellable items with them."""
        catalogue = interactions.catalogue
        rate = repeat_rate(interactions.days, catalogue.category)
        offered = catalogue.is_sellable & ~catalogue.is_durable & (rate >= LEAST_REPEAT_RATE)
        factor = np.where(offered, rate**RATE_EXPONENT, 0.0).astype(np.float32)
        scores = interactions.weight.copy()
        scores.data = scores.data * factor[scores.indices]
        scores.eliminate_zeros()
        self._scores: sp.csr_array = scores
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """All repeats of each customer."""
        return take_rows(self._scores, rows)

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """The evidence for a repeat is the item itself."""
        score = look_up(self._scores, rows, items)
        return Explanation(score, np.where(score > 0, items, NOBODY))


def repeat_rate(days: sp.csr_array, category: IntArray) -> FloatArray:
    """Per item: share of its customers who bought it on two or more days, with empirical shrinkage; 0 without sales."""
    n_items = days.shape[1]
    buyers = np.bincount(days.indices, minlength=n_items)
    repeaters = np.bincount(days.indices[days.data >= 2], minlength=n_items)
    overall = repeaters.sum() / max(buyers.sum(), 1)
    slot = category + 1  # unknown categories share slot 0
    category_buyers = np.bincount(slot, buyers)
    category_rate = (np.bincount(slot, repeaters) + SHRINKAGE * overall) / (category_buyers + SHRINKAGE)
    rate = (repeaters + SHRINKAGE * category_rate[slot]) / (buyers + SHRINKAGE)
    return np.where(buyers > 0, rate, 0.0).astype(np.float32)
