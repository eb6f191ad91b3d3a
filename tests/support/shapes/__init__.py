"""Recorded shapes: JSON as the platforms' documentation describes it, with data of ours. `shape` reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.http import exact_json


def shape(platform: str, name: str) -> Any:
    """A fresh copy of tests/support/shapes/<platform>/<name>.json."""
    return exact_json.loads((Path(__file__).parent / platform / f"{name}.json").read_bytes())
