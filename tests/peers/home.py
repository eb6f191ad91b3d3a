"""A home folder of omnilake for a test with real servers, and its command line as a user calls it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

OMNILAKE = Path(sys.executable).parent / "omnilake"
HEAD = "reporting_currency: CNY\ntimezone: Asia/Shanghai\nchannels:\n"
CAMPAIGNS = """\
campaigns:
  welcome:
    name: {{zh: 新客礼, en: Welcome}}
    kind: welcome
    audience: {{lifecycle: [new, active]}}
    offer: {{kind: amount_off, value: "30.00", threshold: "199.00", currency: CNY, valid_days: 30}}
    budget: {{coupons: 10}}
    priority: monetary
    destinations: [{destinations}]
    wave: "1"
"""


@dataclass(frozen=True)
class Home:
    """secrets: environment variables of the channels; never shown."""

    path: Path
    secrets: Mapping[str, str] = field(repr=False)

    @classmethod
    def make(cls, path: Path, channels: list[str], destinations: Mapping[str, str], secrets: Mapping[str, str]) -> Home:
        """channels: entries of channels.yml in braces. destinations: kind by channel, which names the entry too."""
        reference = path / "reference"
        reference.mkdir(parents=True)
        (path / "landing").mkdir()
        (reference / "channels.yml").write_text(HEAD + "".join(f"  - {one}\n" for one in channels), encoding="utf-8")
        entries = "".join(f"  {name}: {{kind: {kind}, channel: {name}}}\n" for name, kind in destinations.items())
        (reference / "destinations.yml").write_text(f"destinations:\n{entries}", encoding="utf-8")
        campaigns = CAMPAIGNS.format(destinations=", ".join(destinations))
        (reference / "campaigns.yml").write_text(campaigns, encoding="utf-8")
        return cls(path, secrets)

    def omnilake(self, *arguments: str) -> str:
        """What the command prints; anything but success fails the test with the command's own words."""
        done = subprocess.run([OMNILAKE, "--home", self.path, *arguments], capture_output=True, text=True, check=False,
                              env=os.environ | dict(self.secrets))  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def run(self) -> None:
        """One night; the business day is the one on which the test's shoppers bought."""
        self.omnilake("run", "--as-of", str(datetime.now(ZoneInfo("Asia/Shanghai")).date()))

    def query(self, sql: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.omnilake("query", "--format", "csv", sql))))

    def landed(self, channel: str, feed: str) -> list[dict[str, Any]]:
        """Every row that a pull has landed, in order."""
        files = sorted((self.path / "landing" / channel / feed).glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
