"""Pushing records to an API, side by side with drt-core, a reverse-ETL peer: speed, memory, duplicates and losses.

Belongs here: both sides' set-up and what is asked of them. The same API process takes both sides' records and counts;
its clock gives the speed, from the first record that it saw to the last. drt-core is installed into a folder of the
bench and is no dependency of ours; where it can't be installed, the section says so.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import yaml

from pipelines.errors import PermanentError
from pipelines.http import BulkHttp
from pipelines.keys import ensure_keys
from pipelines.settings import Settings

PEER = "drt-core[duckdb]==1.2.1"
ROWS = 5_000
MANY_ROWS = 100_000
BATCH = 100
ROUNDS = 3
GOOD = "at least 3, peak below 150 MiB, no duplicate and no loss"
UNANSWERED_ROWS = 300
"""Few: a peer that waits before each retry would take minutes over many."""
INSTALL_SECONDS = 300
_LOOKS_EVERY_SECONDS = 0.02
CONCURRENCY = 4
_COMMAND = "from pipelines.cli import main; main()"
MODES = (("one_by_one", ROWS, 1), ("batches", ROWS, BATCH), ("batches_many", MANY_ROWS, BATCH))
"""Name, rows, and rows a call."""


@dataclass(frozen=True)
class Run:
    """One command to its end, as the API saw it. rate: records a second. peak_mib: of the process that sends;
    helper_peak_mib: of a process that it starts for a while (ours plans in one), 0 if none."""

    rate: float
    seconds: float
    peak_mib: float
    helper_peak_mib: float


class Api:
    """The counting API in a process of its own."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("push_api.py")
        self._process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        port = self._process.stdout.readline().strip() if self._process.stdout else ""
        self.url = f"http://127.0.0.1:{port}"

    def control(self, **settings: Any) -> None:
        self._ask("/control", settings)

    def counts(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask("/counts", {})
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, path: str, body: Any) -> Any:
        return BulkHttp(self.url).effect("POST", path, json.dumps(body).encode()).json()


@dataclass(frozen=True)
class Side:
    """How one side is set up for a case and started."""

    name: str
    prepare: Callable[[Path, str, int, int], None]
    command: Callable[[Path], list[str]]
    environment: Callable[[Path], dict[str, str]]


def measure_push(work: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """The section `push` of the bench: by mode speed and its ratio, peaks, and what faults did to the records."""
    progress("bench: push, installing the peer")
    peer = _install_peer(work)
    sides = [_ours(), *([] if peer is None else [_peers(peer)])]
    section: dict[str, Any] = {"question": "records a second to the same API, ours to drt-core's", "good": GOOD}
    if peer is None:
        section["skipped"] = f"{PEER} can't be installed here, so there is nothing to compare with; ours alone"
    api = Api()
    try:
        for mode, rows, batch in MODES:
            progress(f"bench: push, {mode}")
            rounds = 1 if rows == MANY_ROWS else ROUNDS
            section[mode] = {"rows": rows, "batch": batch, **_speeds(work, api, sides, rows, batch, rounds)}
        for fault in (_killed, _not_answered):
            progress(f"bench: push, {fault.__name__.strip('_')}")
            section[fault.__name__.strip("_")] = {side.name: fault(work, api, side) for side in sides}
    finally:
        api.close()
    return section


def _speeds(work: Path, api: Api, sides: list[Side], rows: int, batch: int, rounds: int) -> dict[str, Any]:
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            with _place(work) as place:
                api.control(forget=True)
                side.prepare(place, api.url, rows, batch)
                runs[side.name].append(_run(side, place, api))
                if (counts := api.counts())["applied"] != rows or counts["duplicates"]:
                    raise PermanentError(f"{side.name} sent {counts} of {rows} records; nothing can be compared.")
    figures: dict[str, Any] = {
        name: {
            "records_a_second": round(median(run.rate for run in done)),
            "seconds_in_all": round(median(run.seconds for run in done), 2),
            "peak_mib": round(max(run.peak_mib for run in done), 1),
            "helper_peak_mib": round(max(run.helper_peak_mib for run in done), 1),
        }
        for name, done in runs.items()
    }
    if len(sides) > 1:
        ours, theirs = (runs[side.name] for side in sides)
        ratios = sorted(our.rate / their.rate for our, their in zip(ours, theirs, strict=True))
        figures |= {"ratio": round(median(ratios), 2), "ratio_least": round(ratios[0], 2)}
    return figures


def _killed(work: Path, api: Api, side: Side) -> dict[str, int]:
    """Killed (SIGKILL) when half of the records had arrived, then run again to the end."""
    with _place(work) as place:
        api.control(forget=True)
        side.prepare(place, api.url, ROWS, BATCH)
        process = subprocess.Popen(
            side.command(place), env=side.environment(place), cwd=place, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and api.counts()["applied"] < ROWS // 2:
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return _ended(side, place, api, ROWS)


def _not_answered(work: Path, api: Api, side: Side) -> dict[str, int]:
    """Every record takes effect, but the connection ends without an answer; then the API is well and all runs again."""
    with _place(work) as place:
        api.control(forget=True, behave="takes_but_hangs_up")
        side.prepare(place, api.url, UNANSWERED_ROWS, BATCH)
        _run(side, place, api)
        api.control(behave="answers")
        return _ended(side, place, api, UNANSWERED_ROWS)


def _ended(side: Side, place: Path, api: Api, rows: int) -> dict[str, int]:
    _run(side, place, api)
    counts = api.counts()
    return {"rows": rows, "duplicates": counts["duplicates"], "lost": rows - counts["applied"]}


def _run(side: Side, place: Path, api: Api) -> Run:
    started = time.perf_counter()
    process = subprocess.Popen(
        side.command(place), env=side.environment(place), cwd=place, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    peak = helper_peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        helper_peak = max([helper_peak, *map(_peak_mib, _children(process.pid))])
        time.sleep(_LOOKS_EVERY_SECONDS)
    seconds = time.perf_counter() - started
    counts = api.counts()
    span = float(counts["last_at"]) - float(counts["first_at"])
    return Run(counts["applied"] / span if span else 0.0, seconds, peak, helper_peak)


def _peak_mib(process: int) -> float:
    """Largest resident set that the process has had, by itself; 0 if it has gone."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


@contextmanager
def _place(work: Path) -> Iterator[Path]:
    place = work / "push"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def _ours() -> Side:
    def prepare(place: Path, url: str, rows: int, batch: int) -> None:
        home = place / "home"
        snapshots, reference = home / "lake" / "snapshots", home / "reference"
        ensure_keys(Settings(home=home))
        snapshots.mkdir(parents=True)
        reference.mkdir()
        with duckdb.connect(str(snapshots / "marts-1.duckdb")) as connection:
            connection.execute("CREATE SCHEMA marts")
            connection.execute(
                "CREATE TABLE marts.customers AS SELECT 'c' || n AS customer_id, false AS is_staff, "
                f"true AS consent_marketing FROM range({rows}) AS numbers (n)"
            )
            connection.execute(
                "CREATE TABLE marts.customer_tags AS SELECT customer_id, 'segment' AS tag, 'hibernating' AS \"value\" "
                "FROM marts.customers"
            )
            connection.execute("CREATE TABLE marts.run_settings AS SELECT DATE '2026-03-31' AS as_of")
        (snapshots / "current").symlink_to("marts-1.duckdb")
        entry = {"kind": "rest", "url": url, "operations": ["tags"], "batch_size": batch, "concurrency": CONCURRENCY}
        (reference / "destinations.yml").write_text(yaml.safe_dump({"destinations": {"api": entry}}))
        (reference / "campaigns.yml").write_text("campaigns: {}\n")

    return Side(
        "omnilake",
        prepare,
        lambda place: [
            sys.executable,
            "-c",
            "from pipelines.cli import main; main()",
            "--home",
            str(place / "home"),
            "push",
        ],
        lambda _place: {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


def _peers(python: Path) -> Side:
    def prepare(place: Path, url: str, rows: int, batch: int) -> None:
        (place / ".drt").mkdir()
        (place / "syncs").mkdir()
        with duckdb.connect(str(place / "seed.duckdb")) as connection:
            connection.execute(
                "COPY (SELECT 'k' || n AS \"key\", 'c' || n AS customer, 1 AS version, 'segment' AS tag, "
                f"'hibernating' AS \"value\" FROM range({rows}) AS numbers (n)) "
                f"TO '{place}/rows.parquet' (FORMAT parquet)"
            )
        # Its own DuckDB writes the file, whose version need not be ours.
        copied = f"create table records as from '{place}/rows.parquet'"
        script = f"import duckdb; duckdb.connect('{place}/w.duckdb').execute({copied!r})"
        subprocess.run([str(python), "-c", script], check=True)
        (place / "drt_project.yml").write_text('name: bench\nversion: "0.1"\nprofile: local\n')
        (place / ".drt" / "profiles.yml").write_text(f"local: {{type: duckdb, database: '{place}/w.duckdb'}}\n")
        destination: dict[str, Any] = {"type": "rest_api", "url": f"{url}/tags", "method": "POST"}
        if batch > 1:
            destination |= {"body_mode": "batch", "batch_template": '{"records": {{ rows | tojson }}}'}
        sync = {"mode": "full", "batch_size": max(batch, 100), "rate_limit": {"requests_per_second": 1_000_000}}
        content = {"name": "records", "model": "ref('records')", "destination": destination, "sync": sync}
        (place / "syncs" / "records.yml").write_text(yaml.safe_dump(content))

    return Side(
        "drt-core",
        prepare,
        lambda _place: [str(python.with_name("drt")), "run"],
        lambda place: {**os.environ, "HOME": str(place), "DRT_TELEMETRY_DISABLED": "1"},
    )


def _install_peer(work: Path) -> Path | None:
    """The Python of a virtual environment that has the peer; None where it can't be had."""
    folder = work / "drt"
    python = folder / "bin" / "python"
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", PEER]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return python
