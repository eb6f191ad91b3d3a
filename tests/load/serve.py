"""The load that `omnilake serve` bears on this machine.

`python -m tests.load.serve [--customers 100000] [--seconds 10] [--callers 32]` prints figures as JSON and exits 1 if
an acknowledged webhook was lost. Server and callers share the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import inbox
from pipelines.feeds.hooks import seal_hooks
from pipelines.settings import Settings
from tests.load.clients import Tally, call_for, request
from tests.load.homes import SECRETS, make_home, publish_again

START_SECONDS = 60
KILLS = 3


@dataclass
class Served:
    """A running server of a home."""

    settings: Settings
    port: int
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        self.process = _process(self.settings, self.port)
        _wait(self.port)


def notice(number: int) -> bytes:
    """A webhook of the mall about order `number`."""
    body = json.dumps({"id": number, "note": "x" * 900}).encode()
    digest = hmac.new(SECRETS["LOAD_MALL_HOOK"].encode(), body, hashlib.sha256).digest()
    headers = {
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Topic": "orders/updated",
        "X-Shopify-Event-Id": f"e{number}",
    }
    return request("POST", "/v1/webhooks/mall", headers, body)


def posted_row(number: int) -> bytes:
    """A ticket that the tills post."""
    body = json.dumps({"order_id": str(number), "status": "paid", "lines": [{"sku": "S", "note": "x" * 800}]}).encode()
    signature = hmac.new(SECRETS["LOAD_POS_HOOK"].encode(), body, hashlib.sha256).hexdigest()
    return request("POST", "/v1/webhooks/pos/orders", {"X-Omnilake-Signature": signature}, body)


def measure(home: Path, customers: int, seconds: float, callers: int) -> dict[str, Any]:
    """Every figure. Raises AssertionError if an acknowledged webhook was lost."""
    settings = make_home(home, customers)
    figures: dict[str, Any] = {"customers": customers, "callers": callers, "cores": os.cpu_count()}
    with served(settings) as server:
        figures["webhooks"] = asyncio.run(call_for(server.port, seconds, callers, notice)).figures()
        figures["posted_rows"] = asyncio.run(call_for(server.port, seconds, callers, posted_row)).figures()
        _forget(settings)
        figures["webhooks_while_killed"] = _none_lost_when_killed(server, seconds, callers)
        draw = random.Random(7)

        def lookup(path: str) -> Any:
            headers = {"X-API-Key": SECRETS["LOAD_MALL_KEY"]}
            return lambda _number: request("GET", f"/v1/{path}/mall/M{draw.randrange(customers):09d}", headers)

        for path in ("customers", "recommendations"):
            asyncio.run(call_for(server.port, 1.0, 4, lookup(path)))
            alone = asyncio.run(call_for(server.port, seconds / 2, 1, lookup(path)))
            many = asyncio.run(call_for(server.port, seconds, callers, lookup(path)))
            figures[path] = {"one_caller": alone.figures(), "all_callers": many.figures()}
        figures["customers_while_published"] = asyncio.run(_published_meanwhile(server, seconds, lookup("customers")))
        figures["server_memory_mb"] = _memory_mb(server.process.pid)
    return figures


def _none_lost_when_killed(server: Served, seconds: float, callers: int) -> dict[str, Any]:
    """Kill the server in the midst of the load, start it again; every acknowledged order must be in the inbox."""

    async def under_load() -> Tally:
        calling = asyncio.create_task(call_for(server.port, seconds * 2, callers, notice, patient=True))
        for _ in range(KILLS):
            await asyncio.sleep(seconds * 2 / (KILLS + 1))
            server.kill()
            await asyncio.to_thread(server.start)
        return await calling

    tally = asyncio.run(under_load())
    kept: set[str] = set()
    while (taken := inbox.take(server.settings, "mall")).files:
        kept.update(event.source_id for event in taken.events)
        inbox.done(server.settings, taken)
    lost = {str(number) for number in tally.acknowledged} - kept
    return tally.figures() | {"kills": KILLS, "acknowledged": len(tally.acknowledged), "lost": len(lost)}


async def _published_meanwhile(server: Served, seconds: float, make: Any) -> dict[str, Any]:
    calling = asyncio.create_task(call_for(server.port, seconds, 4, make))
    await asyncio.sleep(seconds / 4)
    await asyncio.to_thread(publish_again, server.settings)
    return (await calling).figures()


def _forget(settings: Settings) -> None:
    seal_hooks(settings)
    while (taken := inbox.take(settings, "mall")).files:
        inbox.done(settings, taken)


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """A server of that home on a free port, ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Served(settings, port, _process(settings, port))
    try:
        _wait(port)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(timeout=START_SECONDS)


def _process(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from pipelines.cli import main; main()", "--home", str(settings.home), "serve",
         "--port", str(port), "--rate", "1000000"],
        env=os.environ | SECRETS, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _wait(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request("GET", "/v1/health", {"Connection": "close"}))
            if b" 200 " in connection.recv(100):
                return
        time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def main() -> int:
    """Exit code 1 if something acknowledged was lost."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--callers", type=int, default=32)
    given = options.parse_args()
    home = Path(tempfile.mkdtemp(prefix="omnilake-load-"))
    try:
        figures = measure(home, given.customers, given.seconds, given.callers)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures, indent=2))
    return 1 if figures["webhooks_while_killed"]["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
