"""Kill the nightly job at many instants on two nights, run it again, and compare with undisturbed nights.

`python -m tests.chaos.kill [--kills 20]` prints a line a kill and exits 1 if there was any difference.
Kills alternate between the first night and the second, which brings new and changed data; and between instants just
before a lasting change (a rename, a removal, a commit) and instants spread over the time of each step. Now and then
only the job's own process is killed, as the kernel does when memory is short, and its children are left to themselves.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.compare import differences, received
from tests.chaos.nights import NIGHTS, make_home, make_landings

GOLDEN = 0.6180339887
"""Multiples of it, less their whole part, spread evenly however many there are."""


@dataclass
class Night:
    """One night's landing folder and what an undisturbed run on it looks like."""

    number: int
    landing: Path
    environment: dict[str, str]
    undisturbed: Path
    changes: list[str] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)

    def start(self, home: Path, strike_at: int = 0) -> subprocess.Popen[bytes]:
        """A run in a process group of its own; it strikes itself before that lasting change, 0 for never."""
        command = [
            sys.executable, "-m", "tests.chaos.doomed", str(strike_at), f"{home}.journal", "--", "--home", home,
            "run", "--landing", self.landing, "--as-of", NIGHTS[self.number].isoformat(),
        ]  # fmt: skip
        with Path(f"{home}.log").open("wb") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def finish(self, home: Path) -> None:
        """Run to the end. Raises RuntimeError with the run's own words if it fails."""
        if self.start(home).wait() != 0:
            raise RuntimeError(_words(home)[-2000:])

    def observe(self) -> None:
        """Run undisturbed; note the lasting changes and the seconds of each step."""
        Path(f"{self.undisturbed}.journal").unlink(missing_ok=True)
        process, marks, began = self.start(self.undisturbed), {"begin": 0.0}, time.monotonic()
        while process.poll() is None:
            for step in re.findall(r"^([a-z]+):", _words(self.undisturbed), re.MULTILINE):
                marks.setdefault(step, time.monotonic() - began)
            time.sleep(0.02)
        if process.returncode != 0:
            raise RuntimeError(_words(self.undisturbed)[-2000:])
        ends = [*list(marks.values())[1:], time.monotonic() - began]
        self.steps = [(step, end - start) for (step, start), end in zip(marks.items(), ends, strict=True)]
        self.changes = Path(f"{self.undisturbed}.journal").read_text().splitlines()

    def kill_before_change(self, home: Path, fraction: float) -> str:
        """SIGKILL everything just before a lasting change; which one, in words."""
        number = int(fraction * len(self.changes)) + 1
        ended = self.start(home, number).wait() >= 0
        words = f"before change {number} of {len(self.changes)}, {self.changes[number - 1]}"
        return f"{words} (had ended)" if ended else words

    def kill_in_step(self, home: Path, step: int, fraction: float, alone: bool) -> str:
        """SIGKILL after that part of a step's usual time; alone: only the job's own process. When, in words."""
        name, seconds = self.steps[step % len(self.steps)]
        process = self.start(home)
        while process.poll() is None and name != "begin" and f"{name}:" not in _words(home):
            time.sleep(0.01)
        words = f"{fraction:.0%} into {name}{', children left alone' if alone else ''}"
        try:
            process.wait(seconds * fraction)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL) if alone else os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return words
        return f"{words} (had ended)"

    def kill(self, home: Path, turn: int) -> str:
        """The turn-th kill of this night; when it struck, in words."""
        fraction = (turn + 1) * GOLDEN % 1
        if turn % 2 == 0:
            return self.kill_before_change(home, fraction)
        # Steps from the last backwards: the later ones have more behind them that must not be done twice.
        return self.kill_in_step(home, -1 - turn // 2, fraction, alone=turn % 4 == 3)


def make_nights(folder: Path, customers: int, days: int) -> list[Night]:
    """Both nights of a small simulated retailer, run undisturbed. The second goes on from a copy of the first."""
    keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("OMNILAKE_TOKEN_KEY", "OMNILAKE_VAULT_KEY")}
    nights = []
    for number, landing in enumerate(make_landings(folder, customers, days)):
        home = folder / f"undisturbed-{number + 1}"
        if nights:
            shutil.copytree(nights[-1].undisturbed, home, symlinks=True)
        else:
            make_home(home)
        night = Night(number, landing, os.environ | keys, home)
        night.observe()
        print(
            f"night {number + 1}: {sum(seconds for _, seconds in night.steps):.1f} s, {len(night.changes)} lasting "
            f"changes, {len(received(home))} records received so far",
            flush=True,
        )
        nights.append(night)
    return nights


def kill_and_compare(folder: Path, kills: int, customers: int, days: int) -> list[str]:
    """The whole experiment; the differences found, each with its instant."""
    nights = make_nights(folder, customers, days)
    found = []
    for life in range((kills + 1) // 2):
        home = make_home(folder / f"life-{life + 1:02d}")
        for night in nights[: kills - 2 * life]:
            when = f"night {night.number + 1}, {night.kill(home, life)}"
            try:
                night.finish(home)
                different = differences(night.undisturbed, home)
            except RuntimeError as error:
                different = [f"the run after the kill failed: {error}"]
            print(f"kill {2 * life + night.number + 1:2d}: {when}: {'; '.join(different) or 'equal'}", flush=True)
            found += [f"{when}: {difference}" for difference in different]
            if different:
                break
        shutil.rmtree(home)
    return found


def _words(home: Path) -> str:
    return Path(f"{home}.log").read_text(encoding="utf-8", errors="replace")


def main() -> None:
    """The command of `make chaos`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--customers", type=int, default=100)
    parser.add_argument("--days", type=int, default=56)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_compare(Path(folder), arguments.kills, arguments.customers, arguments.days)
    print(f"{arguments.kills} kills, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
