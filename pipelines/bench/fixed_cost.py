"""What a run costs before it touches a row: dbt and Dagster, in seconds and memory.

Belongs here: commands that do nothing useful. Does not belong here: anything that grows with the data.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

from pipelines.bench.rounds import run_process
from pipelines.bench.timing import read_resources
from pipelines.channels import load_channels
from pipelines.dbt import DBT_EXECUTABLE, dbt_environment
from pipelines.identity import resolve
from pipelines.prepare import prepare_warehouse
from pipelines.settings import DBT_PROJECT, PACKAGED_REFERENCE, Settings
from pipelines.state import state
from pipelines.warehouse import open_warehouse

AS_OF = date(2026, 6, 30)


def fixed_costs(place: Path, rounds: int, progress: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Medians over the rounds of whole processes, by name: seconds (without Python's own start) and peak_mib.

    dbt_parse_cold: nothing parsed before. dbt_parse_warm: again, nothing changed. dbt_build_empty: the whole project,
    models and tests, on a home that has received nothing.
    """
    settings = _empty_home(place)
    python = [sys.executable, "-c"]
    costs = {}
    progress("bench: import of Dagster and dagster-dbt")
    start, _ = _median([*python, ""], "python", rounds)
    for module in ("dagster", "dagster_dbt"):
        seconds, peak = _median([*python, f"import {module}"], f"import {module}", rounds)
        costs[f"import_{module}"] = {"seconds": round(max(seconds - start, 0.0), 2), "peak_mib": round(peak)}
    with dbt_environment(settings):
        for name, command, times in (
            ("dbt_parse_cold", "parse", 1),
            ("dbt_parse_warm", "parse", rounds),
            ("dbt_build_empty", "build", 1),
        ):
            progress(f"bench: {name}")
            seconds, peak = _median(_dbt(settings, command), name, times)
            costs[name] = {"seconds": round(max(seconds - start, 0.0), 2), "peak_mib": round(peak)}
    return costs


def _empty_home(place: Path) -> Settings:
    settings = read_resources(place).settings(place / "home")
    settings.landing.mkdir(parents=True)
    (settings.home / "reference").mkdir()
    (settings.home / "reference" / "channels.yml").write_text((PACKAGED_REFERENCE / "channels.yml").read_text())
    with state(settings) as engine:
        prepare_warehouse(settings, load_channels(settings), engine, AS_OF)
    with open_warehouse(settings) as connection:
        resolve(connection, settings)
    return settings


def _dbt(settings: Settings, command: str) -> list[str]:
    return [
        str(DBT_EXECUTABLE), "--quiet", command, "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT),
        "--target-path", str(settings.dbt_target),
    ]  # fmt: skip


def _median(command: list[str], what: str, times: int) -> tuple[float, float]:
    seconds, peaks = [], []
    for _ in range(times):
        start = time.perf_counter()
        _, peak = run_process(command, what)
        seconds.append(time.perf_counter() - start)
        peaks.append(peak)
    return median(seconds), median(peaks)
