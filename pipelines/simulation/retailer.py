"""The simulation from first to last week: draw, deliver, keep the truth.

Belongs here: the order of the work and what is carried from week to week. Does not belong here: how anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.errors import ConfigurationError
from pipelines.simulation import assortment
from pipelines.simulation.catalogue import build_catalogue
from pipelines.simulation.delivery import (
    Landing,
    Style,
    channel_of,
    file_name,
    parquet_payload,
    style_of,
    text_lines,
    text_payload,
)
from pipelines.simulation.doors import DOORS, Door, channels_yml
from pipelines.simulation.guests import guest_columns
from pipelines.simulation.orders import Exchange, World, appetite, build_world, draw_week
from pipelines.simulation.people import DAY, build_people
from pipelines.simulation.rows import member_rows, order_rows

DEFAULT_CUSTOMERS = 5000
DEFAULT_END = date(2026, 6, 30)
ORDERS_A_CUSTOMER = 10


@dataclass
class SimulationReport:
    """What was written: rows by feed (bad rows, repeats and versions included), files, distinct orders, persons."""

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    orders: int = 0
    persons: int = 0
    bad_rows: int = 0


def simulate(
    out: Path,
    truth: Path | None = None,
    customers: int | None = None,
    days: int = 180,
    seed: int = 7,
    orders: int | None = None,
    end: date = DEFAULT_END,
    progress: Callable[[str], None] | None = None,
) -> SimulationReport:
    """Write the landing folder of a simulated retailer; the same arguments give the same bytes.

    out: landing folder, empty or not there yet. truth: folder for what is true, outside `out`.
    customers: persons, 5,000 unless given; one for ten orders where `orders` is given. days: length of the window that
    ends on `end`, inclusive. orders: exact number of distinct orders, drawn from the persons' habits unless given.
    progress: called with a line of text for every week.

    Raises ConfigurationError for impossible arguments or an `out` that already holds files.
    """
    customers = customers or (max(DEFAULT_CUSTOMERS, orders // ORDERS_A_CUSTOMER) if orders else DEFAULT_CUSTOMERS)
    _check(out, truth, customers, days, orders)
    first = end - timedelta(days=days - 1)
    start = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) - 8 * 3600
    people = build_people(customers, start, start + days * DAY, _stream(seed, "people"))
    world = build_world(people, build_catalogue(), first, days, _stream(seed, "world"))
    simulation = _Simulation(world, Landing(out), seed)
    (out / "channels.yml").write_text(channels_yml(), encoding="utf-8")
    simulation.deliver_shared()
    quota = _quota(world, orders)
    for week in range(world.weeks):
        simulation.run_week(week, int(quota[week]))
        if progress:
            progress(f"week {week + 1} of {world.weeks}: {simulation.order_count} orders")
    return simulation.report()


def _check(out: Path, truth: Path | None, customers: int, days: int, orders: int | None) -> None:
    for name, value in (("--customers", customers), ("--days", days), ("--orders", orders)):
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} is {value}; give 1 or more.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigurationError(
            f"{out} is not an empty folder; simulate into a new one, so that no old file is mixed in."
        )
    if truth and truth.resolve().is_relative_to(out.resolve()):
        raise ConfigurationError(
            f"--truth {truth} lies within the landing folder; what is true must stay apart from it."
        )
    out.mkdir(parents=True, exist_ok=True)


def _stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for each part, so that a change of one part leaves the others' draws alone."""
    return np.random.default_rng([seed, *(int.from_bytes(str(name).encode()[:8], "big") for name in names)])


def _quota(world: World, orders: int | None) -> np.ndarray:
    """Orders of each week: as the persons' habits have it, scaled to `orders` by largest remainder where given."""
    expected = np.array([appetite(world, week).sum() for week in range(world.weeks)])
    expected = np.maximum(expected, 1e-6)
    if orders is None:
        return np.maximum(np.rint(expected), 1).astype(np.int64)
    share = expected / expected.sum() * orders
    quota = np.floor(share).astype(np.int64)
    quota[np.argsort(-(share - quota), kind="stable")[: orders - quota.sum()]] += 1
    return quota


class _Simulation:
    """State that is carried from week to week: numbers given, and rows that are due later."""

    def __init__(self, world: World, landing: Landing, seed: int) -> None:
        self.world = world
        self.landing = landing
        self.seed = seed
        self.order_count = 0
        self.exchanges: dict[int, list[Exchange]] = {}

    def deliver_shared(self) -> None:
        """Feeds of no one channel, as they stand on the first day."""
        world = self.world
        before = world.start_s - DAY
        tables = {
            "products": assortment.product_rows(world.catalogue, before),
            "stores": assortment.store_rows(before),
            "staff": assortment.staff_rows(world.people, before),
            "fx_rates": assortment.rate_rows(world.first, world.days, _stream(self.seed, "rates")),
        }
        for feed, rows in tables.items():
            self._write(None, feed, 0, rows)

    def run_week(self, week: int, count: int) -> None:
        """Draw and deliver one week."""
        world = self.world
        drawn = draw_week(
            world, week, count, self.order_count, self.exchanges.pop(week, []), _stream(self.seed, "orders", week)
        )
        self.order_count += count
        orders = drawn.orders.with_columns(
            pl.max_horizontal("placed_s", "paid_s", "completed_s", "cancelled_s").alias("updated_s"),
            pl.when(pl.col("cancelled_s") >= 0).then(4).when(pl.col("completed_s") >= 0).then(3)
            .when(pl.col("paid_s") >= 0).then(1).otherwise(0).alias("status"),
            pl.lit(-1, dtype=pl.Int64).alias("pickup_ready_s"), pl.lit(-1, dtype=pl.Int64).alias("picked_up_s"),
            pl.when(pl.col("store") >= 0).then(pl.col("store")).otherwise(pl.col("fulfil_store")).alias("staff_place"),
            pl.lit(None, dtype=pl.String).alias("campaign_id"),
        )  # fmt: skip
        lines = drawn.lines.with_columns(orders["order_no"].gather(drawn.lines["order"]).alias("order_no"))
        guests = guest_columns(world.people, orders, _stream(self.seed, "guests", week))
        door_of_line = orders["door"].gather(drawn.lines["order"])
        for position, door in enumerate(DOORS):
            here = orders["door"] == position
            if not here.any():
                continue
            rows, line_rows = order_rows(
                world, door, orders.filter(here), lines.filter(door_of_line == position), guests.filter(here)
            )
            self._write(door, "orders", week, rows)
            if door.split_lines:
                self._write(door, "order_lines", week, line_rows)
            self._deliver_members(position, door, week)

    def _deliver_members(self, position: int, door: Door, week: int) -> None:
        begins = self.world.start_s + week * 7 * DAY
        members = self.world.people.members.filter(
            (pl.col("door") == position)
            & (pl.col("registered_s") < begins + 7 * DAY)
            & (pl.col("registered_s") >= (begins if week else -(2**60)))
        )
        if len(members):
            none = pl.repeat(None, len(members), eager=True, dtype=pl.Boolean)
            self._write(door, "members", week, member_rows(members, members["registered_s"], members["level"], none))

    def _write(self, door: Door | None, feed: str, week: int, rows: pl.DataFrame) -> None:
        style: Style = style_of(door, feed)
        day = self.world.first + timedelta(days=min(week * 7 + 6, self.world.days - 1))
        name = file_name(feed, day, style)
        payload = (
            parquet_payload(rows, style) if style.format == "parquet" else text_payload(*text_lines(rows, style), style)
        )
        self.landing.write(channel_of(door), feed, name, payload, len(rows))

    def report(self) -> SimulationReport:
        return SimulationReport(dict(self.landing.rows), self.landing.files, self.order_count, len(self.world.people))
