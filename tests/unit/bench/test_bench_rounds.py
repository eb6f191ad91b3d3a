"""Rounds are interleaved, compared within themselves, and mean nothing where both sides differ."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.bench.rounds import BASELINE, CANDIDATE, Measurement, compare, run_process, summarise
from pipelines.errors import PermanentError


def measurement(seconds: float, peak_mib: float = 10.0, **outcome: Any) -> Measurement:
    return Measurement(seconds, peak_mib, outcome or {"rows": 1})


class Script:
    """Answers measurements in order and remembers who was asked."""

    def __init__(self, seconds: dict[str, list[float]], outcomes: dict[str, list[int]] | None = None) -> None:
        self.asked: list[str] = []
        self._seconds = {role: list(values) for role, values in seconds.items()}
        self._outcomes = outcomes

    def __call__(self, case: str, role: str, place: Path) -> Measurement:
        self.asked.append(role)
        rows = self._outcomes[role].pop(0) if self._outcomes else 1
        return measurement(self._seconds[role].pop(0), rows=rows)


def silent(_: str) -> None:
    """Takes progress and shows none."""


def test_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    candidates = [measurement(2.0), measurement(30.0), measurement(3.0)]
    baselines = [measurement(1.0), measurement(10.0), measurement(2.0)]
    summary = summarise(candidates, baselines)
    assert (summary.ratio, summary.ratio_lowest, summary.ratio_highest) == (2.0, 1.5, 3.0)
    assert summary.candidate_seconds == 3.0
    assert summary.baseline_seconds == 2.0


def test_candidate_and_baseline_take_turns_to_go_first(tmp_path: Path) -> None:
    script = Script({CANDIDATE: [9, 2, 2, 2], BASELINE: [9, 1, 1, 1]})
    compare("case", tmp_path, 3, silent, script)
    assert script.asked[2:] == [CANDIDATE, BASELINE, BASELINE, CANDIDATE, CANDIDATE, BASELINE]


def test_first_round_is_not_counted(tmp_path: Path) -> None:
    script = Script({CANDIDATE: [900, 2], BASELINE: [1, 1]})
    result = compare("case", tmp_path, 1, silent, script)
    assert result["ratio"] == 2.0
    assert result["rounds"] == 1


def test_sides_that_differ_are_refused_before_any_timing(tmp_path: Path) -> None:
    script = Script({CANDIDATE: [1, 1], BASELINE: [1, 1]}, {CANDIDATE: [10, 10], BASELINE: [11, 11]})
    with pytest.raises(PermanentError, match="case means nothing"):
        compare("case", tmp_path, 1, silent, script)
    assert len(script.asked) == 2


def test_sides_that_differ_in_a_later_round_are_refused(tmp_path: Path) -> None:
    script = Script({CANDIDATE: [1, 1], BASELINE: [1, 1]}, {CANDIDATE: [10, 10], BASELINE: [10, 9]})
    with pytest.raises(PermanentError, match="means nothing"):
        compare("case", tmp_path, 1, silent, script)


def test_peak_memory_is_that_of_the_command_and_not_of_who_started_it() -> None:
    ballast = bytearray(300 * 1024 * 1024)
    _, small = run_process([sys.executable, "-c", "pass"], "small")
    _, large = run_process([sys.executable, "-c", "held = b'x' * (200 * 1024 * 1024)"], "large")
    assert len(ballast) > 0
    assert small < 100
    assert 200 < large < 300


def test_output_of_a_command_is_handed_back() -> None:
    printed, _ = run_process([sys.executable, "-c", "print('done')"], "printing")
    assert printed == "done\n"


def test_failed_command_is_reported_with_its_last_words() -> None:
    with pytest.raises(PermanentError, match=r"measurement of rfm failed \(exit code 3\): no room"):
        run_process([sys.executable, "-c", "import sys; sys.stderr.write('no room'); sys.exit(3)"], "rfm")


def test_killed_command_is_reported_as_failed() -> None:
    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(PermanentError, match="exit code 137"):
        run_process([sys.executable, "-c", suicide], "ingest")


def test_command_that_does_not_exist_is_reported() -> None:
    with pytest.raises(PermanentError, match="measurement of dbt failed"):
        run_process(["/nowhere/dbt", "parse"], "dbt")
