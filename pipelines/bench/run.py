"""All comparisons and fixed costs of one bench, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from pipelines.bench.cases import CASES
from pipelines.bench.fixed_cost import fixed_costs
from pipelines.bench.push import measure_push
from pipelines.bench.rounds import compare, prepare
from pipelines.bench.timing import Resources, write_resources
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

FOLDER = "bench-"
"""Begins the name of a bench's folder; the process id follows."""

LARGE = 2_000_000
ROUNDS_WHEN_LARGE = 3
"""Beyond LARGE orders a round takes minutes and its noise is small beside that."""

BYTES_AN_ORDER = 2_000
"""Disk that the inputs and copies of one case may take: ingest's file is 385 bytes an order, and the lake and the vault
of a round lie beside it."""


def ignore_progress(_: str) -> None:
    """For callers that show none."""


def run_bench(
    settings: Settings, orders: int, rounds: int = 5, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Measure ingest, RFM and identity for that many orders, and the fixed cost of dbt and Dagster.

    Nothing of the home is read or changed: the work lies in a folder beneath its tmp folder.
    Returns machine (what ran it), steps (by case: question, good, ratio and its extremes over the rounds, median
    seconds and peak MiB of both sides, outcome both agree on), push (see `measure_push`) and fixed_costs (by name:
    seconds, peak_mib).
    Raises ConfigurationError if the disk is too full, PermanentError if a measurement fails or its two sides disagree.
    """
    show = progress or ignore_progress
    settings.tmp.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(settings)
    _check_disk(settings, orders)
    used_rounds = min(rounds, ROUNDS_WHEN_LARGE) if orders > LARGE else rounds
    steps: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", dir=settings.tmp) as folder:
        work = Path(folder)
        write_resources(work, Resources(settings.memory_limit, settings.threads))
        for name, case in CASES.items():
            place = work / name
            place.mkdir()
            show(f"bench: {name}, preparing {orders:,} orders")
            prepare(name, place, orders)
            steps[name] = {"question": case.question, "good": case.good, **compare(name, place, used_rounds, show)}
            shutil.rmtree(place)
        place = work / "fixed"
        place.mkdir()
        costs = fixed_costs(place, min(rounds, ROUNDS_WHEN_LARGE), show)
        push = measure_push(work, show)
    return {"orders": orders, "machine": _machine(settings), "steps": steps, "push": push, "fixed_costs": costs}


def _remove_abandoned(settings: Settings) -> None:
    """Remove the folders of benches that were killed: those whose process is gone."""
    for folder in settings.tmp.glob(f"{FOLDER}*-*"):
        process = folder.name.removeprefix(FOLDER).split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _check_disk(settings: Settings, orders: int) -> None:
    free = shutil.disk_usage(settings.tmp).free
    if free < orders * BYTES_AN_ORDER:
        raise ConfigurationError(
            f"A bench of {orders:,} orders needs about {orders * BYTES_AN_ORDER / 1e9:.1f} GB beneath {settings.tmp}, "
            f"{free / 1e9:.1f} GB are free; give fewer --orders or another --home."
        )


def _machine(settings: Settings) -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
    }
