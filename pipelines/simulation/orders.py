"""Orders of one week, as numbers: who, where, when, what, paid how, and what became of them.

Belongs here: drawing orders and their money in cents. Does not belong here: refunds (aftermath), or how rows are
written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from pipelines.simulation.baskets import BasketMaker, Lines
from pipelines.simulation.catalogue import Catalogue, list_cents_in, price_cents
from pipelines.simulation.doors import DOOR_INDEX, DOORS
from pipelines.simulation.people import DAY, People
from pipelines.simulation.places import CHINESE_STORES, CITIES, PLACES, STAFF_A_STORE, SYDNEY

FULFILMENTS = ("delivery", "pickup", "ship_from_store", "same_city", "in_store")
IN_STORE = 4
TENDERS = ("wechat_pay", "alipay", "card", "cash")
_ONLINE_HOURS = np.array([3, 1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 9, 8, 7, 7, 7, 7, 8, 10, 13, 14, 12, 7], dtype=float)
_STORE_HOURS = np.array([0.02, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 6, 6, 5, 6, 7, 7, 7, 8, 9, 7, 4, 0.5, 0.05])
_FEASTS = {
    (1, 1): 1.5,
    (2, 14): 1.4,
    (3, 8): 2.0,
    (5, 1): 1.5,
    (6, 1): 1.9,
    (6, 16): 1.6,
    (6, 17): 1.9,
    (6, 18): 3.2,
    (9, 9): 1.4,
    (10, 1): 1.4,
    (11, 10): 1.8,
    (11, 11): 4.0,
    (12, 12): 2.0,
}


@dataclass(frozen=True)
class World:
    """What stays the same through a simulation.

    first: the first day, in Shanghai. start_s, horizon_s: UTC seconds of the window [start_s, horizon_s).
    """

    people: People
    catalogue: Catalogue
    baskets: BasketMaker
    prices: np.ndarray
    first: date
    days: int
    start_s: int
    horizon_s: int
    weeks: int


@dataclass
class WeekOfOrders:
    """One week's orders (frame, a row an order) and their lines (frame, sorted by order, line_no)."""

    orders: pl.DataFrame
    lines: pl.DataFrame


@dataclass(frozen=True)
class Exchange:
    """Goods to be handed out in exchange: who gets them where, instead of what, against which credit."""

    due_s: np.ndarray
    door: np.ndarray
    person: np.ndarray
    member: np.ndarray
    store: np.ndarray
    sku: np.ndarray
    credit_cents: np.ndarray
    order_no: np.ndarray


def build_world(people: People, catalogue: Catalogue, first: date, days: int, rng: np.random.Generator) -> World:
    """The world of `days` days that begin on `first` (local days of Shanghai)."""
    start = int(datetime(first.year, first.month, first.day, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())
    weeks = -(-days // 7)
    prices = price_cents(catalogue, weeks, rng)
    return World(people, catalogue, BasketMaker(catalogue), prices, first, days, start, start + days * DAY, weeks)


def day_weights(world: World, week: int) -> np.ndarray:
    """Relative demand of the week's days (feasts, weekends, the season): as long as the week, 7 or less."""
    days = [world.first + timedelta(days=number) for number in range(week * 7, min(week * 7 + 7, world.days))]
    return np.array(
        [
            (1 + 0.12 * np.cos((day.timetuple().tm_yday - 330) / 58.1))
            * (1.25 if day.weekday() >= 5 else 1.0)
            * _FEASTS.get((day.month, day.day), 1.0)
            for day in days
        ]
    )


def appetite(world: World, week: int) -> np.ndarray:
    """Expected orders of every person in that week: rate × share of the week alive × own rhythm × season."""
    people = world.people
    begins = world.start_s + week * 7 * DAY
    ends = min(begins + 7 * DAY, world.horizon_s)
    alive = np.clip(np.minimum(people.lapsed_s, ends) - np.maximum(people.joined_s, begins), 0, None) / (7 * DAY)
    day = week * 7
    due = (day + 7 + people.phase_days) // people.cycle_days > (day + people.phase_days) // people.cycle_days
    rhythm = np.where(due, 2.6, 0.6)
    return people.rate * alive * rhythm * day_weights(world, week).mean()


def draw_week(
    world: World, week: int, count: int, first_no: int, exchanges: list[Exchange], rng: np.random.Generator
) -> WeekOfOrders:
    """`count` orders of that week, numbered from `first_no`; the exchanges that are due come first among them."""
    people = world.people
    weight = np.cumsum(appetite(world, week))
    if weight[-1] <= 0:
        weight = np.cumsum(people.rate)
    person = np.minimum(np.searchsorted(weight, rng.random(count) * weight[-1], side="right"), len(people) - 1)
    door = (people.preference[person] < rng.random(count)[:, None]).sum(axis=1)
    door = np.minimum(door, len(DOORS) - 1)
    walk_in_share = np.array([entry.walk_in_share for entry in DOORS])
    walk_in = rng.random(count) < walk_in_share[door]
    placed = _instants(world, week, door, rng)
    member = people.member_at[person, door].astype(np.int64)
    registered = people.members["registered_s"].to_numpy()
    signs_in = rng.random(count) < np.array([entry.member_share for entry in DOORS])[door]
    member[(member >= 0) & ((registered[member] > placed) | ~signs_in | walk_in)] = -1
    person = np.where(walk_in, -1, person)
    store, fulfilment, fulfil_store = _places(world, door, person, rng)
    exchange_of = np.full(count, -1, dtype=np.int64)
    credit = np.zeros(count, dtype=np.int64)
    swapped = np.full(count, -1, dtype=np.int64)
    at = 0
    for batch in exchanges:
        taken = slice(at, at + len(batch.due_s))
        at += len(batch.due_s)
        placed[taken], door[taken], person[taken] = batch.due_s, batch.door, batch.person
        member[taken], store[taken], exchange_of[taken] = batch.member, batch.store, batch.order_no
        credit[taken], swapped[taken] = batch.credit_cents, batch.sku
        fulfilment[taken] = np.where(batch.store >= 0, IN_STORE, 0)
        fulfil_store[taken] = batch.store
    brand = np.where(
        store >= 0, np.array([place.brand for place in PLACES])[store], np.array([entry.brand for entry in DOORS])[door]
    )
    season = np.full(count, ((world.first + timedelta(days=week * 7)).month % 12) // 3) - 1
    born = np.where(person >= 0, people.child_born_s[person], people.child_born_s[rng.integers(0, len(people), count)])
    stage = world.baskets.life_stage(born, placed)
    lines = world.baskets.fill(person, stage, brand, season % 4, rng)
    lines = _swap(lines, swapped, world.baskets)
    orders = pl.DataFrame(
        {
            "order_no": first_no + np.arange(count),
            "door": door.astype(np.int8),
            "person": person,
            "member": member,
            "placed_s": placed,
            "store": store,
            "fulfilment": fulfilment.astype(np.int8),
            "fulfil_store": fulfil_store,
            "exchange_of": exchange_of,
            "credit_cents": credit,
            "walk_in": walk_in,
        }
    )
    return _with_fate(world, *_with_money(world, week, orders, lines, rng), rng)


def _instants(world: World, week: int, door: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """UTC seconds within the week, by the day's demand and the hours that the door is used at."""
    weights = day_weights(world, week)
    day = rng.choice(len(weights), len(door), p=weights / weights.sum())
    online = np.array([entry.online for entry in DOORS])[door]
    hour = np.where(
        online,
        rng.choice(24, len(door), p=_ONLINE_HOURS / _ONLINE_HOURS.sum()),
        rng.choice(24, len(door), p=_STORE_HOURS / _STORE_HOURS.sum()),
    )
    midnight = np.empty((len(DOORS), len(weights)), dtype=np.int64)
    for row, entry in enumerate(DOORS):
        for column in range(len(weights)):
            at = world.first + timedelta(days=week * 7 + column)
            midnight[row, column] = (
                datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(entry.timezone)).astimezone(UTC).timestamp()
            )
    return midnight[door, day] + hour * 3600 + rng.integers(0, 3600, len(door))


def _places(
    world: World, door: np.ndarray, person: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Store of the order, fulfilment, and the store that fulfils it (place indices, -1 for none)."""
    count = len(door)
    people = world.people
    online = np.array([entry.online for entry in DOORS])[door]
    brand = np.array([entry.brand for entry in DOORS])[door]
    weights = np.array([PLACES[index].weight for index in CHINESE_STORES])
    anywhere = np.array(CHINESE_STORES)[rng.choice(len(CHINESE_STORES), count, p=weights / weights.sum())]
    brand = np.where(online, brand, rng.random(count) < 0.4).astype(np.int64)
    near = np.where((person >= 0) & (rng.random(count) < 0.85), people.home[person, brand], anywhere)
    near = np.where((near == SYDNEY), anywhere, near)
    abroad = np.array([city == "Sydney" for _, city, _ in CITIES])[people.city[person]] & (person >= 0)
    from_store = rng.choice(4, count, p=[0.62, 0.14, 0.14, 0.1])
    from_store = np.where(abroad | (door == DOOR_INDEX["market"]), 0, from_store)
    fulfilment = np.where(online, from_store, IN_STORE)
    till = np.where(door == DOOR_INDEX["pos_sydney"], SYDNEY, near)
    store = np.where(online, np.where(fulfilment == 1, near, -1), till)
    fulfil_store = np.where(online, np.where(fulfilment > 0, near, -1), till)
    return store, fulfilment, fulfil_store


def _swap(lines: Lines, swapped: np.ndarray, baskets: BasketMaker) -> Lines:
    """Exchange orders hold one line: the neighbour of what came back."""
    first = np.concatenate([[True], lines.order[1:] != lines.order[:-1]])
    exchanged = swapped[lines.order] >= 0
    kept = ~exchanged | first
    sku = lines.sku.copy()
    quantity = lines.quantity.copy()
    given = exchanged & first
    sku[given] = baskets.neighbour(swapped[lines.order[given]])
    quantity[given] = 1
    return Lines(lines.order[kept], sku[kept], quantity[kept], (lines.is_gift & ~given)[kept])


def _with_money(
    world: World, week: int, orders: pl.DataFrame, lines: Lines, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    door = orders["door"].to_numpy()
    line_door = door[lines.order]
    listed = np.stack([list_cents_in(world.catalogue, entry.currency) for entry in DOORS], axis=1)
    list_cents = listed[lines.sku, line_door]
    unit = np.where(lines.is_gift, 0, world.prices[lines.sku, line_door, week])
    amount = unit * lines.quantity
    no_discount = world.baskets.no_discount[lines.sku]
    line_discount = np.where((rng.random(len(amount)) < 0.06) & ~no_discount, amount * 5 // 100, 0)
    amount = amount - line_discount
    count = len(orders)
    items = np.bincount(lines.order, weights=amount, minlength=count).astype(np.int64)
    plain = np.bincount(lines.order, weights=no_discount, minlength=count) == 0
    is_member = orders["member"].to_numpy() >= 0
    chinese = door != DOOR_INDEX["pos_sydney"]
    exchanged = orders["exchange_of"].to_numpy() >= 0
    eligible = plain & is_member & chinese & ~exchanged
    coupon = np.where(items >= 39_900, 5_000, np.where(items >= 19_900, 2_000, 0))
    coupon = np.where(eligible & (rng.random(count) < 0.16), coupon, 0)
    rounded_off = np.where(
        ~np.array([entry.online for entry in DOORS])[door]
        & plain
        & chinese
        & ~exchanged
        & (coupon == 0)
        & (rng.random(count) < 0.1),
        items % 100,
        0,
    )
    discount = coupon + rounded_off
    online = np.array([entry.online for entry in DOORS])[door]
    shipping = np.where(online & (items < 9_900) & (orders["fulfilment"].to_numpy() != 1) & ~exchanged, 800, 0)
    total = items - discount + shipping
    points = np.where(eligible & (rng.random(count) < 0.05), np.minimum(items // 10, 5_000) // 100 * 100, 0)
    credit = np.minimum(orders["credit_cents"].to_numpy(), total)
    gift_card = np.where(
        (rng.random(count) < 0.02) & chinese & plain & ~exchanged, np.minimum(10_000, total - points), 0
    )
    main = total - points - credit - gift_card
    usual = np.where(
        online, rng.choice(4, count, p=[0.6, 0.32, 0.08, 0.0]), rng.choice(4, count, p=[0.45, 0.25, 0.18, 0.12])
    )
    usual = np.where(chinese, usual, rng.choice([2, 3], count, p=[0.85, 0.15]))
    rate_here = np.where(line_door == DOOR_INDEX["pos_sydney"], 10, -1)
    priced = orders.with_columns(
        pl.Series("items_cents", items),
        pl.Series("coupon_cents", coupon),
        pl.Series("discount_cents", discount),
        pl.Series("shipping_cents", shipping),
        pl.Series("points_cents", points),
        pl.Series("credit_cents", credit),
        pl.Series("gift_card_cents", gift_card),
        pl.Series("main_cents", main),
        pl.Series("tender", usual.astype(np.int8)),
    )
    first = np.concatenate([[0], np.flatnonzero(np.diff(lines.order)) + 1])
    line_no = np.arange(len(lines.order)) - np.repeat(first, np.diff(np.concatenate([first, [len(lines.order)]]))) + 1
    line_frame = pl.DataFrame(
        {
            "order": lines.order,
            "line_no": line_no,
            "sku": lines.sku,
            "quantity": lines.quantity,
            "list_cents": list_cents,
            "unit_cents": unit,
            "line_discount_cents": line_discount,
            "amount_cents": amount,
            "is_gift": lines.is_gift,
            "rate_percent": rate_here,
        }
    )
    return priced, line_frame


def _with_fate(world: World, orders: pl.DataFrame, lines: pl.DataFrame, rng: np.random.Generator) -> WeekOfOrders:
    """Paid, shipped, completed, cancelled before or after payment; -1 where it did not happen (yet)."""
    count = len(orders)
    door = orders["door"].to_numpy()
    online = np.array([entry.online for entry in DOORS])[door]
    placed = orders["placed_s"].to_numpy()
    fate = rng.random(count)
    settled = orders["exchange_of"].to_numpy() < 0
    unpaid = online & (fate < 0.03) & settled
    paid = np.where(unpaid, -1, placed + np.where(online, rng.integers(15, 900, count), 0))
    cancelled_paid = settled & ~unpaid & (fate > np.where(online, 0.975, 0.997))
    wait = np.where(online, rng.integers(DAY, 6 * DAY, count), 0)
    completed = np.where(unpaid | cancelled_paid, -1, paid + wait)
    cancelled = np.where(
        unpaid, placed + DAY, np.where(cancelled_paid, paid + rng.integers(600, np.where(online, 40 * 3600, 3600)), -1)
    )
    horizon = world.horizon_s
    paid = np.where(paid >= horizon, -1, paid)
    completed = np.where((completed >= horizon) | (paid < 0), -1, completed)
    cancelled = np.where(cancelled >= horizon, -1, cancelled)
    person = orders["person"].to_numpy()
    staff = (person >= 0) & world.people.is_staff[person] & (rng.random(count) < 0.5)
    return WeekOfOrders(
        orders.with_columns(
            pl.Series("paid_s", paid),
            pl.Series("completed_s", completed),
            pl.Series("cancelled_s", cancelled),
            pl.Series("is_test", rng.random(count) < 0.002),
            pl.Series("is_staff", staff),
            pl.Series(
                "clerk",
                np.where(rng.random(count) < np.where(online, 0.08, 0.8), rng.integers(0, STAFF_A_STORE, count), -1),
            ),
        ),
        lines,
    )
