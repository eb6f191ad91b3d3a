"""Events: visits that end at any step from a page view to a purchase, by members, guests and devices nobody knows.

Belongs here: sessions and their steps. Does not belong here: orders, which a purchase event only mirrors.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulation.doors import DOORS, Door
from pipelines.simulation.orders import World
from pipelines.simulation.people import DAY, TABLET_DEVICE
from pipelines.simulation.places import CHINESE_STORES, SYDNEY
from pipelines.simulation.rows import store_ids

STEPS = ("page_view", "product_view", "add_to_cart", "checkout", "purchase")
_SIDE_STEPS = (
    "search",
    "favourite",
    "share",
    "coupon_view",
    "store_view",
    "scan_qr",
    "login",
    "remove_from_cart",
    "message_open",
    "message_click",
    "store_visit",
)
_AT_A_STORE = ("store_view", "scan_qr", "store_visit")
_QUERIES = ("奶粉", "纸尿裤 L", "推车", "连衣裙", "零食大礼包", "宝宝辅食", "睡衣")
_SOURCES = ("wechat", "baidu", "douyin", "direct", "sms")
MAX_SESSIONS_A_WEEK = 12_000
"""Visits are a sample where there are millions of orders: events show behaviour, orders carry the money."""


def event_rows(
    world: World,
    door: Door,
    position: int,
    orders: pl.DataFrame,
    first_sku: pl.Series,
    begins_s: int,
    days: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Rows of `events` of one online door and week."""
    budget = MAX_SESSIONS_A_WEEK // len(DOORS)
    bought = orders.with_columns(first_sku.alias("sku")).filter(pl.col("paid_s") >= 0).head(budget)
    idle = min(int(len(bought) * 1.6) + 5, budget)
    person = np.concatenate(
        [bought["person"].to_numpy(), np.where(rng.random(idle) < 0.55, rng.integers(0, len(world.people), idle), -1)]
    )
    member = np.concatenate([bought["member"].to_numpy(), world.people.member_at[person[len(bought) :], position]])
    member = np.where(person >= 0, member, -1)
    starts = np.concatenate(
        [
            bought["placed_s"].to_numpy() - rng.integers(240, 1500, len(bought)),
            begins_s + (rng.random(idle) * days * DAY).astype(np.int64),
        ]
    )
    registered = world.people.members["registered_s"].to_numpy()[np.clip(member, 0, None)]
    member = np.where((member >= 0) & (registered > starts), -1, member)
    brand = np.full(idle, door.brand)
    sku = np.concatenate([bought["sku"].to_numpy(), world.baskets.popular(brand, np.full(idle, 1), rng)])
    depth = np.concatenate([np.full(len(bought), 5), rng.choice([1, 2, 3, 4], idle, p=[0.34, 0.42, 0.17, 0.07])])
    return _expand(world, door, begins_s, person, member, starts, sku, depth, rng)


def _expand(
    world: World,
    door: Door,
    begins_s: int,
    person: np.ndarray,
    member: np.ndarray,
    starts: np.ndarray,
    sku: np.ndarray,
    depth: np.ndarray,
    rng: np.random.Generator,
) -> pl.DataFrame:
    session = np.repeat(np.arange(len(person)), depth)
    first = np.concatenate([[0], np.cumsum(depth)[:-1]])
    step = np.arange(len(session)) - first[session]
    at = starts[session] + step * 45 + rng.integers(0, 40, len(session))
    side = rng.random(len(person)) < 0.45
    side_session = np.flatnonzero(side)
    side_kind = rng.integers(0, len(_SIDE_STEPS), len(side_session))
    session = np.concatenate([session, side_session])
    kind = np.concatenate([step, len(STEPS) + side_kind])
    at = np.concatenate([at, starts[side_session] + 20])
    order = np.lexsort((kind, at, session))
    session, kind, at = session[order], kind[order], at[order]
    names = pl.Series([*STEPS, *_SIDE_STEPS]).gather(kind)
    at_sku = np.isin(kind, [1, 2, 3, 4, len(STEPS) + 1, len(STEPS) + 2, len(STEPS) + 7])
    at_store = np.isin(kind, [len(STEPS) + _SIDE_STEPS.index(name) for name in _AT_A_STORE])
    week = str(begins_s // (7 * DAY))
    code = pl.Series(session).cast(pl.String)
    anonymous = person[session] < 0
    tablet = rng.random(len(person)) < 0.01
    device = pl.select(
        pl.when(pl.Series(tablet[session]))
        .then(pl.lit(TABLET_DEVICE))
        .when(pl.Series(anonymous))
        .then("anon-" + pl.lit(week) + "-" + code)
        .otherwise("dev-" + pl.Series(np.clip(person, 0, None)[session]).cast(pl.String).str.zfill(9))
    ).to_series()
    known = pl.Series((member >= 0)[session])
    source = rng.integers(0, len(_SOURCES), len(person))[session]
    return pl.DataFrame(
        {
            "event_id": door.id + "-" + week + "-" + pl.Series(np.arange(len(session))).cast(pl.String).str.zfill(7),
            "occurred_at_s": at,
            "type": names,
            "anonymous_id": "ck-" + device.str.tail(12),
            "device_id": device,
            "member_id": pl.select(
                pl.when(known)
                .then(world.people.members["member_id"].gather(np.clip(member, 0, None)[session]))
                .otherwise(None)
            ).to_series(),
            "session_id": door.id + "-" + week + "-s" + code,
            "sku": pl.select(
                pl.when(pl.Series(at_sku)).then(pl.Series(world.catalogue.sku).gather(sku[session])).otherwise(None)
            ).to_series(),
            "store_id": store_ids(pl.Series(np.where(at_store, _store_of(world, door, person)[session], -1))),
            "query": pl.select(
                pl.when(names == "search").then(pl.Series(_QUERIES).gather(session % len(_QUERIES))).otherwise(None)
            ).to_series(),
            "page": "/" + names,
            "utm_source": pl.Series(_SOURCES).gather(source),
            "properties": pl.select(
                pl.when(names == "page_view").then(pl.struct(pl.lit("home").alias("entry"))).otherwise(None)
            ).to_series(),
        }
    )


def _store_of(world: World, door: Door, person: np.ndarray) -> np.ndarray:
    """The store that a visit has to do with: the person's own, else any in turn (place indices).

    Not the one abroad: a time without an offset would be read in its zone, and the door's clock is Shanghai's.
    """
    own = world.people.home[np.clip(person, 0, None), door.brand]
    anywhere = np.array(CHINESE_STORES)[np.arange(len(person)) % len(CHINESE_STORES)]
    return np.where((person >= 0) & (own != SYDNEY), own, anywhere)
