"""Nights killed at any instant and run again give what undisturbed ones give. `make chaos` kills 20 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kill import kill_and_compare

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("killed"), pytest.mark.timeout(1200)]


def test_a_killed_job_run_again_equals_an_undisturbed_one(tmp_path: Path) -> None:
    assert kill_and_compare(tmp_path, kills=3, customers=60, days=56) == []
