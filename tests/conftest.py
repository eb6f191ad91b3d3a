"""Fixtures that every area uses."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from pipelines.settings import Settings

# How long an example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("omnilake", deadline=None)
hypothesis.settings.load_profile("omnilake")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home folder of its own, with little memory."""
    return Settings(home=tmp_path / "home", memory_limit="500MB", threads=1)
