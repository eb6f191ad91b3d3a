"""`omnilake serve` as a process: killed it loses nothing, asked to end it finishes what is under way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import inbox
from pipelines.settings import Settings
from tests.load.clients import call_for, request
from tests.load.homes import CHANNELS, SECRETS
from tests.load.serve import notice, posted_row, served

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "channels.yml").write_text(CHANNELS)
    return Settings(home=tmp_path)


def test_no_acknowledged_webhook_is_lost_when_it_is_killed(home: Settings) -> None:
    with served(home) as server:

        async def killed_twice() -> tuple[set[str], set[int]]:
            calls = [
                asyncio.create_task(call_for(server.port, 8, 8, make, patient=True)) for make in (notice, posted_row)
            ]
            for _ in range(2):
                await asyncio.sleep(2)
                server.kill()
                await asyncio.to_thread(server.start)
            notices, rows = await asyncio.gather(*calls)
            return {str(number) for number in notices.acknowledged}, set(rows.acknowledged)

        notices, rows = asyncio.run(killed_twice())
    kept = {event.source_id for event in inbox.take(home, "mall").events}
    landed = "".join(path.read_text() for path in (home.landing / "pos" / "orders").glob("hook-*.jsonl"))
    assert len(notices) > 20
    assert len(rows) > 20
    assert notices <= kept
    assert {number for number in rows if f'"order_id": "{number}"' not in landed} == set()


def test_asked_to_end_it_finishes_the_request_under_way(home: Settings) -> None:
    with served(home) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        whole = notice(1)
        connection.sendall(whole[:-10])
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(whole[-10:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        server.process.wait(timeout=20)
    assert [event.source_id for event in inbox.take(home, "mall").events] == ["1"]


def test_neither_secrets_nor_ids_nor_queries_reach_the_log(home: Settings) -> None:
    with served(home) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            request("GET", "/v1/customers/mall/13912345678?sign=abcdef", {"X-API-Key": SECRETS["LOAD_MALL_KEY"]})
        )
        assert connection.recv(2000).startswith(b"HTTP/1.1 503")
        connection.sendall(b"NONSENSE /13912345678 HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(2000)
    log = (home.logs / "serve.log").read_text()
    assert "GET /v1/customers/{channel}/{member_id:path} mall 503" in log
    assert "13912345678" not in log
    assert "abcdef" not in log
    assert not any(secret in log for secret in SECRETS.values())


@pytest.mark.parametrize(("missing", "code"), [("LOAD_MALL_KEY", 2), ("LOAD_POS_HOOK", 2), (None, 1)])
def test_what_keeps_it_from_starting_is_one_line(home: Settings, missing: str | None, code: int) -> None:
    environment = os.environ | {name: value for name, value in SECRETS.items() if name != missing}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-c", "from pipelines.cli import main; main()", "--home", str(home.home), "serve",
             "--port", port],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert ended.returncode == code
    assert (missing or port) in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
