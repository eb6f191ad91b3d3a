"""The simulation from first to last week: draw, deliver, keep the truth.

Belongs here: the order of the work and what is carried from week to week. Does not belong here: how anything is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
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
from pipelines.simulation.truth import LAST_TRUTH_FILE, TruthWriter
from pipelines.simulation.weeks import Simulation

MARKER = ".simulation.json"
"""Hidden file in the landing folder: the arguments, and the report once all files are there."""
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

    Where the same simulation was finished before, nothing is written and its report is returned; one that was killed is
    written again. Raises ConfigurationError for impossible arguments or an `out` that holds other files.
    """
    customers = (
        customers
        if customers is not None
        else (max(DEFAULT_CUSTOMERS, orders // ORDERS_A_CUSTOMER) if orders else DEFAULT_CUSTOMERS)
    )
    _check(out, truth, customers, days, orders)
    arguments = {"customers": customers, "days": days, "seed": seed, "orders": orders, "end": end.isoformat()}
    if done := _begin(out, truth, arguments):
        return done
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
    report = SimulationReport(dict(landing.rows), landing.files, simulation.order_count, len(people), bad_rows)
    _write_whole(out / MARKER, json.dumps({"arguments": arguments, "report": asdict(report)}))
    return report


def _check(out: Path, truth: Path | None, customers: int, days: int, orders: int | None) -> None:
    for name, value in (("--customers", customers), ("--days", days), ("--orders", orders)):
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} is {value}; give 1 or more.")
    if truth and truth.resolve().is_relative_to(out.resolve()):
        raise ConfigurationError(
            f"--truth {truth} lies within the landing folder; what is true must stay apart from it."
        )


def _begin(out: Path, truth: Path | None, arguments: Mapping[str, object]) -> SimulationReport | None:
    """Claim the folder for these arguments; the report if a simulation of the same arguments was finished there.

    One that was killed is written over, file by file, with the same bytes.
    """
    marker = out / MARKER
    if marker.is_file():
        known = json.loads(marker.read_text(encoding="utf-8"))
        if known["arguments"] != arguments:
            raise ConfigurationError(
                f"{out} holds a simulation of other arguments ({known['arguments']}); simulate into a new folder."
            )
        whole = truth is None or (truth / LAST_TRUTH_FILE).is_file()
        return SimulationReport(**known["report"]) if known["report"] and whole else None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigurationError(
            f"{out} is not an empty folder; simulate into a new one, so that no old file is mixed in."
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_whole(marker, json.dumps({"arguments": arguments, "report": None}))
    return None


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


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
