"""Fixtures that every area uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home folder of its own, with little memory."""
    return Settings(home=tmp_path / "home", memory_limit="500MB", threads=1)
