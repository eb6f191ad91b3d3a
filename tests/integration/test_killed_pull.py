"""Pulls that are really killed (SIGKILL), over real HTTP: nothing is lost or kept half, and the end is the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pipelines.settings import Settings
from tests.support.corner_server import KEY, CornerServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RECORDS, KILLS, SEED = 4000, 8, 20
NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)

PULL = """
import sys
from datetime import datetime
from pathlib import Path
from pipelines.channels import load_channels
from pipelines.connectors import registry
from pipelines.pulling import feed_pull, landing_writer, pull_all
from pipelines.settings import Settings
from pipelines.state import state
from tests.examples import corner_connector

landing_writer.FILE_ROWS = feed_pull.FILE_ROWS = 200
registry.KINDS["corner"] = corner_connector.connect
settings = Settings(home=Path(sys.argv[1]))
print("pulling", flush=True)
with state(settings) as engine:
    print(pull_all(settings, load_channels(settings), engine, datetime.fromisoformat(sys.argv[2])).landed)
"""


def start(settings: Settings, at: datetime) -> subprocess.Popen[str]:
    """A pull in a process of its own, which has imported everything when this returns."""
    environment = {"CORNER_KEY": KEY, "PYTHONPATH": str(Path.cwd()), "PATH": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", PULL, settings.home, at.isoformat()], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "pulling\n"
    return process


def landed(settings: Settings) -> list[dict[str, str]]:
    files = sorted((settings.landing / "mall" / "orders").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_pull_killed_again_and_again_ends_as_an_undisturbed_one(settings: Settings):
    path = settings.home / "reference" / "channels.yml"
    path.parent.mkdir(parents=True)
    chance = random.Random(SEED)
    with CornerServer() as server:
        corner = {"id": "mall", "kind": "pc_web", "connector": "corner", "url": server.url, "api_key_env": "CORNER_KEY"}
        path.write_text(yaml.safe_dump({"channels": [corner | {"since": "2026-03-30"}]}))
        ids = server.seed(RECORDS, NOW)
        killed = 0
        for kill in range(KILLS):
            process = start(settings, NOW + timedelta(minutes=kill))
            time.sleep(chance.uniform(0.05, 0.9))
            killed += process.poll() is None
            process.kill()
            process.wait()
        last = start(settings, NOW + timedelta(minutes=KILLS))
        assert last.wait() == 0
        again = start(settings, NOW + timedelta(minutes=KILLS + 1))
        output, _ = again.communicate()

    rows = landed(settings)
    assert killed >= KILLS // 2
    assert {row["order_id"] for row in rows} == set(ids)
    assert len({json.dumps(row, sort_keys=True) for row in rows}) == RECORDS
    assert len(rows) <= RECORDS + killed * 200 + killed * 50
    assert output.strip() == "0"
    assert list(settings.landing.rglob("*.part")) == []
