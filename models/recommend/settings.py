"""What a retailer may tune about recommendations, with the defaults that were measured.

Belongs here: names, ranges and their checks. Does not belong here: reading configuration files, algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecommendSettings:
    """Settings of one recommendation run; ValueError names the one that is out of range.

    recent_days: a sku (or a variant of the same product) bought this many days ago or less is not offered again;
      None offers everything, which is what next-basket evaluation needs.
    max_repeat_share: largest share of the k places that may go to what the customer has bought before; the places
      beyond it are refilled with repeats only where nothing else is sellable.
    personal_weight, item_item_weight, popularity_weight: weights of the strategies, each scaled to at most 1 per
      customer. Repeats dominate because in retail they are the better guess; the rest orders what remains.
      Popularity can be small but not zero: it is what fills every list.
    history_half_life_days: age at which a purchase counts half in a customer's profile.
    popularity_half_life_days: the same for popularity.
    neighbours: how many similar items an item keeps.
    min_support: customers who must have bought both items before one is recommended with the other: below two it
      would be one stranger's basket.
    max_history: most items of one customer that item-item looks at, the weightiest first: a reseller with every sku
      costs quadratic time and says nothing.
    next_stage_weight, trending_weight, nearby_weight: like the weights above. A stage that is due comes before
      repeats, for whoever buys milk powder 1 at the age of 2 has gone elsewhere; the place orders what remains.
    neighbours_weight, factors_weight: 0, so not even fitted, unless the learned order uses them (`learning.py`).
    reference_customers: customers that like baskets and item vectors are learned from, at most.
    similar_customers: how many customers with like baskets count.
    seed: of what is drawn at random.
    threads: worker threads; results do not depend on it.
    """

    recent_days: int | None = 14
    max_repeat_share: float = 0.5
    personal_weight: float = 1.0
    item_item_weight: float = 0.05
    popularity_weight: float = 0.01
    next_stage_weight: float = 1.5
    trending_weight: float = 0.0005
    nearby_weight: float = 0.0005
    neighbours_weight: float = 0.0
    factors_weight: float = 0.0
    history_half_life_days: float = 90.0
    popularity_half_life_days: float = 14.0
    neighbours: int = 50
    min_support: int = 2
    max_history: int = 300
    reference_customers: int = 5_000
    similar_customers: int = 100
    seed: int = 20_170_101
    threads: int = 2

    def __post_init__(self) -> None:
        for name in (
            "personal_weight", "item_item_weight", "next_stage_weight", "trending_weight", "nearby_weight",
            "neighbours_weight", "factors_weight",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number of at least 0")
        for name in ("popularity_weight", "history_half_life_days", "popularity_half_life_days"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number above 0")
        for name in ("neighbours", "min_support", "max_history", "reference_customers", "similar_customers", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a whole number of at least 1")
        if not 0 <= self.max_repeat_share <= 1:
            raise ValueError(f"max_repeat_share is {self.max_repeat_share!r}; give a share between 0 and 1")
        if self.recent_days is not None and self.recent_days < 0:
            raise ValueError(f"recent_days is {self.recent_days!r}; give days of at least 0, or None for no limit")
