"""What a role of a case hands back, and the clock that it uses.

Belongs here: the shape of a case. Does not belong here: any case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines.settings import Settings

SETTINGS_FILE = "bench.json"


@dataclass
class Measured:
    """Seconds inside `clock`, and the figures that candidate and baseline must agree on."""

    seconds: float = 0.0
    outcome: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Time what happens inside; everything else is set-up or check."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


@dataclass(frozen=True)
class Case:
    """One comparison.

    prepare: makes the input in a place, for so many orders. roles: candidate and baseline; both read the place and
    leave it as it was. question: what the ratio says. good: what PERFORMANCE calls good.
    """

    name: str
    question: str
    good: str
    prepare: Callable[[Path, int], None]
    roles: dict[str, Callable[[Path], Measured]]


@dataclass(frozen=True)
class Resources:
    """Memory and threads that both sides of every case may use."""

    memory_limit: str
    threads: int

    def settings(self, home: Path, **more: Any) -> Settings:
        """Settings of a home of its own."""
        return Settings(home=home, memory_limit=self.memory_limit, threads=self.threads, **more)


def write_resources(place: Path, resources: Resources) -> None:
    """Leave the resources for the workers, which are processes of their own."""
    (place / SETTINGS_FILE).write_text(json.dumps(asdict(resources)))


def read_resources(place: Path) -> Resources:
    """What `write_resources` left in the place or above it."""
    for folder in (place, *place.parents):
        if (folder / SETTINGS_FILE).exists():
            return Resources(**json.loads((folder / SETTINGS_FILE).read_text()))
    raise FileNotFoundError(f"no {SETTINGS_FILE} in or above {place}")
