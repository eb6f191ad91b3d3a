"""What hangs on the shelf: prices as they change, and weekly stock counts.

Belongs here: rows of `prices` and `inventory`. Does not belong here: how prices are set (catalogue).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulation.doors import Door
from pipelines.simulation.orders import World
from pipelines.simulation.people import DAY
from pipelines.simulation.places import CHINESE_STORES, PLACES, SYDNEY
from pipelines.simulation.rows import cents

COUNTED_AT = {"pos_cn": (*CHINESE_STORES, len(PLACES) - 1), "pos_sydney": (SYDNEY,)}
"""Places whose stock and prices a till channel delivers."""


def price_rows(world: World, door: Door, position: int, week: int) -> pl.DataFrame:
    """Prices that begin in that week: all in the first, then the ones that changed; tills give them by store."""
    now = world.prices[:, position, week]
    changed = np.arange(len(now)) if week == 0 else np.flatnonzero(now != world.prices[:, position, week - 1])
    stores: list[str | None] = [
        PLACES[index].store_id for index in COUNTED_AT.get(door.id, ()) if PLACES[index].kind == "store"
    ] or [None]
    product = np.tile(changed, len(stores))
    begins = world.start_s + week * 7 * DAY
    return pl.DataFrame(
        {
            "sku": pl.Series(world.catalogue.sku).gather(product),
            "store_id": pl.Series([store for store in stores for _ in range(len(changed))], dtype=pl.String),
            "price": cents(now[product]),
            "currency": pl.repeat(door.currency, len(product), eager=True),
            "valid_from_s": pl.repeat(begins, len(product), eager=True, dtype=pl.Int64),
        }
    )


def inventory_rows(world: World, door: Door, week: int, rng: np.random.Generator) -> pl.DataFrame:
    """One count of every product at every place of the till channel, taken on the week's first morning."""
    places = COUNTED_AT[door.id]
    products = len(world.catalogue.sku)
    goods = np.flatnonzero(~world.baskets.no_discount)
    popularity = 1 / (1 + np.arange(products) % 12)
    level = np.array([max(PLACES[index].weight, 8.0 if PLACES[index].kind == "warehouse" else 0.3) for index in places])
    usual = 18 * popularity[None, goods] * level[:, None] + 3
    on_hand = rng.poisson(usual)
    on_hand[rng.random(on_hand.shape) < 0.05] = 0
    reserved = np.minimum(rng.poisson(0.6, on_hand.shape), on_hand + 1)
    count = on_hand.size
    return pl.DataFrame(
        {
            "store_id": pl.Series([PLACES[index].store_id for index in places for _ in range(len(goods))]),
            "sku": pl.Series(world.catalogue.sku).gather(np.tile(goods, len(places))),
            "counted_at_s": pl.repeat(world.start_s + week * 7 * DAY + 6 * 3600, count, eager=True, dtype=pl.Int64),
            "on_hand": on_hand.ravel(),
            "reserved": reserved.ravel(),
        }
    )
