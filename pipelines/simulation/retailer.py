"""The simulation from first to last week: draw, deliver, keep the truth.

Belongs here: the order of the work and what is carried from week to week. Does not belong here: how anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from pipelines.errors import ConfigurationError
from pipelines.simulation.catalogue import build_catalogue
from pipelines.simulation.deliveries import Deliveries, stream
from pipelines.simulation.delivery import Landing
from pipelines.simulation.doors import channels_yml
from pipelines.simulation.orders import World, appetite, build_world
from pipelines.simulation.people import DAY, build_people
from pipelines.simulation.truth import TruthWriter
from pipelines.simulation.weeks import Simulation

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
    people = build_people(customers, start, start + days * DAY, stream(seed, "people"))
    world = build_world(people, build_catalogue(), first, days, stream(seed, "world"))
    (out / "channels.yml").write_text(channels_yml(), encoding="utf-8")
    quota = _quota(world, orders)
    with TruthWriter(truth) as known:
        simulation = Simulation(world, Deliveries(Landing(out), world, seed), known, seed)
        simulation.deliver_shared()
        for week in range(world.weeks):
            simulation.run_week(week, int(quota[week]))
            if progress:
                progress(f"week {week + 1} of {world.weeks}: {simulation.order_count} orders")
        simulation.deliveries.finish()
        known.write_people(world.people, simulation.members.recycled)
        known.write_bad_rows(simulation.deliveries.faults.planted)
    landing = simulation.deliveries.landing
    bad_rows = len(simulation.deliveries.faults.planted)
    return SimulationReport(dict(landing.rows), landing.files, simulation.order_count, len(people), bad_rows)


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
