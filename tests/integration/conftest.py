"""One simulated retailer, run once through the whole job, for the tests that look at the result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

OMNILAKE = Path(sys.executable).parent / "omnilake"
CUSTOMERS, DAYS, SEED = 400, 60, 11
AS_OF = "2026-06-30"


@dataclass(frozen=True)
class Home:
    """A home folder with its landing and truth folders, and the command line bound to it."""

    path: Path
    landing: Path
    truth: Path

    def omnilake(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Call the installed command, as a user would."""
        return subprocess.run(
            [OMNILAKE, "--home", self.path, *map(str, arguments)], capture_output=True, text=True, check=False
        )

    def run(self, *more: object) -> subprocess.CompletedProcess[str]:
        """The nightly job on this home's landing folder."""
        return self.omnilake("run", "--landing", self.landing, "--as-of", AS_OF, *more)


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Home]:
    """Folders for a further home; nothing is in them yet."""

    def make(name: str) -> Home:
        folder = tmp_path_factory.mktemp(name)
        return Home(folder / "home", folder / "landing", folder / "truth")

    return make


@pytest.fixture(scope="session")
def home(make_home: Callable[[str], Home]) -> Home:
    """The simulated retailer after one nightly run. Tests only read it."""
    from datetime import date

    from pipelines.simulation import simulate

    made = make_home("nightly")
    simulate(made.landing, made.truth, CUSTOMERS, DAYS, SEED, None, date.fromisoformat(AS_OF))
    done = made.run()
    assert done.returncode == 0, done.stderr
    return made
