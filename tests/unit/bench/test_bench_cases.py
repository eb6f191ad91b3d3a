"""Both sides of every comparison answer the same question: proved on a small input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.bench import fixed_cost, identity, ingest, run
from pipelines.bench.cases import CASES
from pipelines.bench.rounds import BASELINE, CANDIDATE
from pipelines.bench.run import run_bench
from pipelines.bench.timing import Measured, Resources, read_resources, write_resources
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.warehouse import connect

ORDERS = 3_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_resources(tmp_path, Resources("500MB", 2))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_both_sides_find_the_same(place: Path, name: str) -> None:
    case = CASES[name]
    case.prepare(place, ORDERS)
    before = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
    found = {role: case.roles[role](place) for role in (CANDIDATE, BASELINE)}
    assert found[CANDIDATE].outcome == found[BASELINE].outcome
    assert all(measured.seconds > 0 for measured in found.values())
    assert len(found[CANDIDATE].outcome) >= 3
    assert before == sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())


def test_ingest_input_has_the_orders_asked_for_and_broken_lines_among_them(place: Path) -> None:
    ingest.prepare(place, ORDERS, guest_share=200)
    lines = (place / "landing" / "mall" / "orders" / "orders.jsonl").read_text().splitlines()
    orders = [json.loads(line) for line in lines if line.endswith("}")]
    assert len(lines) == ORDERS
    assert len(lines) - len(orders) == ORDERS // ingest.ONE_BROKEN_LINE_IN
    guests = sum(order["guest_phone"] is not None for order in orders)
    assert guests == sum(order["member_id"] is None for order in orders)
    assert 0.15 < guests / len(orders) < 0.25


def test_ingest_outcome_leaves_out_exactly_the_broken_lines(place: Path) -> None:
    ingest.MEMBERS_ONLY.prepare(place, ORDERS)
    outcome = ingest.baseline(place).outcome
    assert outcome["distinct_orders"] == outcome["orders"] == ORDERS - ORDERS // ingest.ONE_BROKEN_LINE_IN


def test_identity_input_joins_several_memberships_to_one_person(place: Path) -> None:
    identity.REBUILD.prepare(place, ORDERS)
    outcome = identity.components(place).outcome
    assert 0 < outcome["customers"] < outcome["nodes"] * 0.8


def test_increment_starts_from_less_than_everything(place: Path) -> None:
    identity.INCREMENT.prepare(place, ORDERS)
    counts = {}
    for name in ("whole", "resolved"):
        with connect(read_resources(place).settings(place), place / name / "lake" / "warehouse.duckdb") as connection:
            ((counts[name],),) = connection.execute("select count(*) from raw.orders").fetchall()
    assert counts["whole"] * 0.98 < counts["resolved"] < counts["whole"]


def test_workers_find_the_resources_above_their_place(place: Path) -> None:
    assert read_resources(place / "ingest") == Resources("500MB", 2)


def test_clock_adds_up_what_it_times() -> None:
    measured = Measured()
    with measured.clock():
        pass
    first = measured.seconds
    with measured.clock():
        sum(range(1_000))
    assert measured.seconds > first > 0


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """run_bench with measurements that take no time; (case, rounds) of what it asked for."""
    asked: list[tuple[str, int]] = []

    def compare(case: str, place: Path, rounds: int, progress: object) -> dict[str, float]:
        asked.append((case, rounds))
        return {"ratio": 1.0}

    monkeypatch.setattr(run, "prepare", lambda case, place, orders: None)
    monkeypatch.setattr(run, "compare", compare)
    monkeypatch.setattr(run, "measure_push", lambda work, progress: {"one_by_one": {"ratio": 4.0}})
    monkeypatch.setattr(run, "fixed_costs", lambda place, rounds, progress: {"import_dagster": {"seconds": 1.0}})
    return asked


def test_bench_measures_every_case_and_leaves_nothing_behind(
    settings: Settings, rehearsed: list[tuple[str, int]]
) -> None:
    result = run_bench(settings, 1_000)
    assert list(result["steps"]) == list(CASES)
    assert {rounds for _, rounds in rehearsed} == {5}
    assert json.loads(json.dumps(result)) == result
    assert list(settings.tmp.iterdir()) == []


def test_bench_clears_what_a_killed_one_left_and_spares_a_running_one(
    settings: Settings, rehearsed: list[tuple[str, int]]
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = settings.tmp / f"bench-{ended.pid}-abc" / "ingest"
    in_use = settings.tmp / f"bench-{os.getpid()}-xyz"
    for folder in (abandoned, in_use):
        folder.mkdir(parents=True)
    run_bench(settings, 1_000)
    assert not abandoned.parent.exists()
    assert in_use.exists()


def test_fixed_costs_are_those_of_whole_processes_on_an_empty_home(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run_process(command: list[str], what: str) -> tuple[str, float]:
        commands.append(command)
        return "", 50.0

    monkeypatch.setattr(fixed_cost, "run_process", run_process)
    costs = fixed_cost.fixed_costs(place, 2, lambda message: None)
    names = ["import_dagster", "import_dagster_dbt", "dbt_parse_cold", "dbt_parse_warm", "dbt_build_empty"]
    assert list(costs) == names
    assert {cost["peak_mib"] for cost in costs.values()} == {50}
    assert [command[2] for command in commands if command[0].endswith("dbt")] == ["parse", "parse", "parse", "build"]
    assert (place / "home" / "lake" / "warehouse.duckdb").exists()


def test_large_bench_takes_fewer_rounds(
    settings: Settings, rehearsed: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BYTES_AN_ORDER", 0)
    run_bench(settings, 10_000_000)
    assert {rounds for _, rounds in rehearsed} == {3}


def test_bench_that_the_disk_cannot_hold_is_refused_with_the_remedy(
    settings: Settings, rehearsed: list[tuple[str, int]]
) -> None:
    with pytest.raises(ConfigurationError, match="fewer --orders"):
        run_bench(settings, 10**12)
    assert rehearsed == []
