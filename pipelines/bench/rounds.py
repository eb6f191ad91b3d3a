"""Rounds of a candidate and its baseline: each in a process of its own, in turn, judged by the median of the ratios.

Belongs here: starting workers, their peak memory, interleaving, medians, and that both found the same. Does not belong
here: what is measured (the cases).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipelines.errors import PermanentError

CANDIDATE = "candidate"
BASELINE = "baseline"
PREPARE = "prepare"
MIB = 1024 * 1024
LAUNCHER = Path(__file__).with_name("launcher.py")
LAST_WORDS = 600
"""Characters of a failed worker's last output that its error shows."""


@dataclass(frozen=True)
class Measurement:
    """One worker: seconds of the measured part, peak memory of the whole process in MiB, and what it found."""

    seconds: float
    peak_mib: float
    outcome: dict[str, Any]


def run_process(arguments: Sequence[str], what: str) -> tuple[str, float]:
    """Run a command to its end; its standard output and its own peak memory in MiB.

    Raises PermanentError with the command's last words if it fails. Whoever interrupts the wait ends the command too.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, output, faults = (Path(folder) / name for name in ("report", "output", "faults"))
        with output.open("w") as printed, faults.open("w") as complained:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), str(report), *arguments],
                stdout=printed, stderr=complained, start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        if code != 0:
            words = (faults.read_text().strip() or output.read_text().strip())[-LAST_WORDS:]
            raise PermanentError(f"The measurement of {what} failed (exit code {code}): {words}")
        # Linux counts in KiB, macOS in bytes.
        unit = MIB if sys.platform == "darwin" else 1024
        return output.read_text(), int(report.read_text()) / unit


def measure(case: str, role: str, place: Path) -> Measurement:
    """Run one role of a case in a worker process."""
    printed, peak_mib = run_process(
        [sys.executable, "-m", "pipelines.bench.worker", case, role, str(place)], f"{case} ({role})"
    )
    answer = json.loads(printed.splitlines()[-1])
    return Measurement(answer["seconds"], peak_mib, answer["outcome"])


def prepare(case: str, place: Path, orders: int) -> None:
    """Make a case's input in a worker process."""
    run_process(
        [sys.executable, "-m", "pipelines.bench.worker", case, PREPARE, str(place), str(orders)],
        f"{case} (preparation)",
    )


def compare(
    case: str, place: Path, rounds: int, progress: Callable[[str], None], measured: Callable[..., Measurement] = measure
) -> dict[str, Any]:
    """Candidate against baseline, in turn, as many rounds as asked.

    One unmeasured round comes first: it warms caches and proves that both find the same. Which of the two goes first
    changes from round to round. Raises PermanentError if their outcomes differ in any round.
    """
    progress(f"bench: {case}, checking that both sides find the same")
    _agree(case, {role: measured(case, role, place) for role in (CANDIDATE, BASELINE)})
    found: dict[str, list[Measurement]] = {CANDIDATE: [], BASELINE: []}
    for number in range(rounds):
        progress(f"bench: {case}, round {number + 1} of {rounds}")
        order = (CANDIDATE, BASELINE) if number % 2 == 0 else (BASELINE, CANDIDATE)
        both = {role: measured(case, role, place) for role in order}
        _agree(case, both)
        for role, measurement in both.items():
            found[role].append(measurement)
    return asdict(summarise(found[CANDIDATE], found[BASELINE]))


@dataclass(frozen=True)
class Comparison:
    """Medians over the rounds. ratio: median of the rounds' candidate / baseline seconds, with its extremes."""

    ratio: float
    ratio_lowest: float
    ratio_highest: float
    rounds: int
    candidate_seconds: float
    baseline_seconds: float
    candidate_peak_mib: float
    baseline_peak_mib: float
    outcome: dict[str, Any]


def summarise(candidates: Sequence[Measurement], baselines: Sequence[Measurement]) -> Comparison:
    """Medians of paired rounds; ratios are taken within a round, since the machine's speed drifts between them."""
    ratios = [
        candidate.seconds / max(baseline.seconds, 1e-9)
        for candidate, baseline in zip(candidates, baselines, strict=True)
    ]
    return Comparison(
        ratio=round(median(ratios), 3),
        ratio_lowest=round(min(ratios), 3),
        ratio_highest=round(max(ratios), 3),
        rounds=len(ratios),
        candidate_seconds=round(median(one.seconds for one in candidates), 3),
        baseline_seconds=round(median(one.seconds for one in baselines), 3),
        candidate_peak_mib=round(median(one.peak_mib for one in candidates)),
        baseline_peak_mib=round(median(one.peak_mib for one in baselines)),
        outcome=candidates[0].outcome,
    )


def _agree(case: str, both: dict[str, Measurement]) -> None:
    candidate, baseline = both[CANDIDATE].outcome, both[BASELINE].outcome
    if candidate != baseline:
        raise PermanentError(
            f"The measurement of {case} means nothing: ours found {candidate}, the baseline {baseline}."
        )
