"""What goes into a basket: missions by life stage, brand and season, favourites, and things bought together.

Belongs here: choosing products and quantities. Does not belong here: prices, or who orders when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulation.catalogue import MILK_STAGES, SEASONS, Catalogue
from pipelines.simulation.people import DAY, NO_CHILD

MONTH = 30.44 * DAY
LIFE_STAGES = MILK_STAGES + 2
"""0 no child, 1 to 4 the milk powder stage of the child, 5 an older child."""
_STAGE_ENDS_MONTHS = (6, 12, 36, 72)


@dataclass(frozen=True)
class Lines:
    """Order lines as parallel arrays sorted by (order, line): `order` is the position in the batch of orders."""

    order: np.ndarray
    sku: np.ndarray
    quantity: np.ndarray
    is_gift: np.ndarray


class BasketMaker:
    """Draws baskets from fixed pool probabilities; all state is the catalogue's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.pools = list(catalogue.pools)
        self.pool_of = np.zeros(len(catalogue.sku), dtype=np.int64)
        longest = max(len(members) for members in catalogue.pools.values())
        self.members = np.zeros((len(self.pools), longest), dtype=np.int64)
        self.sizes = np.array([len(members) for members in catalogue.pools.values()])
        for position, members in enumerate(catalogue.pools.values()):
            self.members[position, : len(members)] = members
            self.pool_of[members] = position
        self.no_discount = np.isin(self.pool_of, [self.pools.index("gift_card"), self.pools.index("top_up")])
        self.mission = self._missions()
        self.companion = self._companions()
        self.bulk = np.array([name.startswith(("milk_", "nappy_", "snacks", "baby_food")) for name in self.pools])
        self.gift_pool = self.pools.index("care")
        self.for_stage = self._pools_for_stage()

    def _missions(self) -> np.ndarray:
        """Cumulative pool probabilities by (life stage, brand, season)."""
        table = np.zeros((LIFE_STAGES, 2, len(SEASONS), len(self.pools)))
        for stage in range(LIFE_STAGES):
            for season, season_name in enumerate(SEASONS):
                maiya = {
                    "snacks": 9.0,
                    "care": 7.0,
                    "toys": 4.0,
                    "durables": 1.0,
                    "feeding": 1.0,
                    "gift_card": 0.7,
                    "top_up": 0.3,
                }
                if 1 <= stage <= MILK_STAGES:
                    maiya |= {
                        f"milk_{stage}": 30.0, f"nappy_{stage}": 17.0 if stage < 4 else 3.0, "care": 11.0,
                        "baby_food": 14.0 if stage in (2, 3) else 3.0, "feeding": 8.0 if stage < 3 else 2.0,
                        "toys": 4.0 + stage, "durables": 6.0 if stage == 1 else 2.0,
                    }  # fmt: skip
                hemu = {
                    f"women_{season_name}": 30.0,
                    "home": 12.0,
                    "snacks": 6.0,
                    f"kids_{season_name}": 4.0 + 22.0 * (stage > 0),
                    "gift_card": 0.5,
                }
                for brand, weights in enumerate((maiya, hemu)):
                    for pool, weight in weights.items():
                        table[stage, brand, season, self.pools.index(pool)] = weight
        return np.cumsum(table / table.sum(axis=-1, keepdims=True), axis=-1)

    def _companions(self) -> np.ndarray:
        """Cumulative probabilities of the pool of a further line by the first line's pool; -1 stays in the mission."""
        table = np.full((len(self.pools), len(self.pools)), 1e-9)
        likes = {
            "milk": {"nappy": 5, "baby_food": 3, "feeding": 3, "care": 2}, "nappy": {"care": 7, "milk": 3, "toys": 1},
            "baby_food": {"snacks": 3, "feeding": 3, "baby_food": 3}, "snacks": {"snacks": 8, "care": 1},
            "care": {"care": 4, "nappy": 2, "toys": 1}, "feeding": {"care": 3, "milk": 3, "feeding": 2},
            "toys": {"toys": 4, "snacks": 2, "care": 1}, "durables": {"feeding": 3, "toys": 2, "care": 2},
            "kids": {"kids": 5, "home": 1, "snacks": 1}, "women": {"women": 6, "home": 1, "snacks": 1},
            "home": {"home": 5, "women": 1, "snacks": 1}, "gift": {"gift": 1}, "top": {"top": 1},
        }  # fmt: skip
        for row, name in enumerate(self.pools):
            for partner, weight in likes[_family(name)].items():
                for column, other in enumerate(self.pools):
                    same_stage = (
                        name[-2:] == other[-2:]
                        or "_" not in other
                        or _family(name) not in ("milk", "nappy", "kids", "women")
                    )
                    if _family(other) == partner and (
                        same_stage or _family(other) not in ("milk", "nappy", "kids", "women")
                    ):
                        table[row, column] = weight
        return np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)

    def _pools_for_stage(self) -> np.ndarray:
        """The pool to take instead by (pool, life stage): milk powder and nappies are the child's own stage's."""
        table = np.tile(np.arange(len(self.pools))[:, None], (1, LIFE_STAGES))
        for row, name in enumerate(self.pools):
            if _family(name) in ("milk", "nappy"):
                table[row, :] = self.gift_pool
                for stage in range(1, MILK_STAGES + 1):
                    table[row, stage] = self.pools.index(f"{_family(name)}_{stage}")
        return table

    def life_stage(self, child_born_s: np.ndarray, at_s: np.ndarray) -> np.ndarray:
        """Life stage (0 to 5) at an instant; a child that is still expected counts as stage 1."""
        months = (at_s - child_born_s) / MONTH
        stage = np.searchsorted(np.array(_STAGE_ENDS_MONTHS), months, side="right") + 1
        return np.where(child_born_s == NO_CHILD * DAY, 0, stage)

    def fill(
        self, person: np.ndarray, stage: np.ndarray, brand: np.ndarray, season: np.ndarray, rng: np.random.Generator
    ) -> Lines:
        """Baskets for as many orders as `person` is long; person -1 has no favourites."""
        count = len(person)
        first_pool = _draw(self.mission[stage, brand, season], rng)
        first = self._favourite_or_popular(first_pool, person, rng)
        extra = np.minimum(rng.poisson(0.95, count), 7)
        extra[self.no_discount[first]] = 0
        order = np.repeat(np.arange(count), extra)
        anchor = first[order]
        pool = self.for_stage[_draw(self.companion[self.pool_of[anchor]], rng), stage[order]]
        related = (anchor * 7 + pool * 5 + (3 * rng.random(len(order)) ** 2).astype(np.int64)) % self.sizes[pool]
        other = self._favourite_or_popular(pool, person[order], rng)
        further = np.where(rng.random(len(order)) < 0.62, self.members[pool, related], other)
        all_order = np.concatenate([np.arange(count), order])
        all_sku = np.concatenate([first, further])
        _, kept = np.unique(all_order * len(self.pool_of) + all_sku, return_index=True)
        all_order, all_sku = all_order[kept], all_sku[kept]
        quantity = np.where(
            self.bulk[self.pool_of[all_sku]],
            rng.choice([1, 2, 3, 4, 6], len(all_sku), p=[0.45, 0.3, 0.1, 0.1, 0.05]),
            rng.choice([1, 2, 3], len(all_sku), p=[0.88, 0.1, 0.02]),
        )
        gifted = np.flatnonzero(rng.random(count) < 0.03)
        gifts = self.members[self.gift_pool, gifted % self.sizes[self.gift_pool]]
        all_order = np.concatenate([all_order, gifted])
        by_order = np.argsort(all_order, kind="stable")
        return Lines(
            all_order[by_order],
            np.concatenate([all_sku, gifts])[by_order],
            np.concatenate([quantity, np.ones(len(gifted), dtype=np.int64)])[by_order],
            np.concatenate([np.zeros(len(all_sku), dtype=bool), np.ones(len(gifted), dtype=bool)])[by_order],
        )

    def neighbour(self, sku: np.ndarray) -> np.ndarray:
        """The next product of the same pool: what an exchange gives instead."""
        pool = self.pool_of[sku]
        place = np.argmax(self.members[pool] == sku[:, None], axis=1)
        return self.members[pool, (place + 1) % self.sizes[pool]]

    def popular(self, brand: np.ndarray, season: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Products that somebody without a history looks at."""
        pool = _draw(self.mission[rng.integers(0, LIFE_STAGES, len(brand)), brand, season], rng)
        return self._favourite_or_popular(pool, np.full(len(brand), -1), rng)

    def _favourite_or_popular(self, pool: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = self.sizes[pool]
        popular = (size * rng.random(len(pool)) ** 1.8).astype(np.int64)
        favourite = (person * 31 + 7) % size
        loyal = (person >= 0) & (rng.random(len(pool)) < 0.55)
        return self.members[pool, np.where(loyal, favourite, popular)]


def _family(pool: str) -> str:
    return pool if pool == "baby_food" else pool.split("_")[0]


def _draw(cumulative: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column index a row of cumulative probabilities."""
    drawn = (cumulative < rng.random(len(cumulative))[:, None]).sum(axis=1)
    return np.minimum(drawn, cumulative.shape[1] - 1)
