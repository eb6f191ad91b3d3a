"""The proxy of the chaos tests does what its faults are called, and what it claims reaches the server does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.chaos.proxy import Fault, FaultProxy

BEFORE = {Fault.BUSY, Fault.FAILED_BEFORE, Fault.RESET_BEFORE, Fault.ERRORS_IN_200, Fault.EXPIRED}
ANSWER = {"data": {"text": "x" * 3000}}


class Upstream:
    def __init__(self) -> None:
        self.effects = 0
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                upstream.effects += 1
                content = json.dumps(ANSWER).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.server.shutdown()
    made.server.server_close()


def through(upstream: Upstream, share: float, seed: int = 1) -> FaultProxy:
    address = ("127.0.0.1", upstream.server.server_address[1])
    return FaultProxy(address, seed, share, errors=b'{"errors":[1]}', expired=b'{"errors":["expired"]}', hang=0.6)


def outcome(url: str) -> str:
    try:
        reply = httpx.post(f"{url}/admin-api", json={"query": "{a}"}, timeout=0.4)
        return f"{reply.status_code} {json.dumps(reply.json())[:20]}"
    except httpx.HTTPError as error:
        return type(error).__name__
    except json.JSONDecodeError:
        return "no JSON"


def test_every_fault_is_met_and_reaches_the_server_or_not_as_it_says(upstream: Upstream) -> None:
    met = {}
    with through(upstream, share=1.0) as proxy:
        for _ in range(len(Fault)):
            before, effects = dict(proxy.counts), upstream.effects
            seen = outcome(proxy.url)
            fault = next(fault for fault in Fault if proxy.counts[fault] > before.get(fault, 0))
            expected = 0 if fault in BEFORE else 2 if fault is Fault.DOUBLED else 1
            assert upstream.effects - effects == expected, fault
            met[fault] = seen

    good = f"200 {json.dumps(ANSWER)[:20]}"
    assert met == {
        Fault.BUSY: '429 {"message": "too man',
        Fault.FAILED_BEFORE: "no JSON",
        Fault.FAILED_AFTER: "no JSON",
        Fault.RESET_BEFORE: "ReadError",
        Fault.RESET_AFTER: "ReadError",
        Fault.TIMED_OUT_AFTER: "ReadTimeout",
        Fault.DOUBLED: good,
        Fault.ERRORS_IN_200: '200 {"errors": [1]}',
        Fault.TRUNCATED: "no JSON",
        Fault.CUT_SHORT: "RemoteProtocolError",
        Fault.SLOW: good,
        Fault.EXPIRED: '200 {"errors": ["expired',
    }


def test_without_a_share_nothing_happens_to_requests(upstream: Upstream) -> None:
    with through(upstream, share=0.0) as proxy:
        assert {outcome(proxy.url) for _ in range(5)} == {f"200 {json.dumps(ANSWER)[:20]}"}
    assert (upstream.effects, sum(proxy.counts.values()), proxy.requests) == (5, 0, 5)


def test_the_same_seed_gives_the_same_faults(upstream: Upstream) -> None:
    orders = []
    for _ in range(2):
        with through(upstream, share=0.5, seed=7) as proxy:
            kinds = []
            for _ in range(12):
                outcome(proxy.url)
                kinds.append(sorted(proxy.counts.items()))
            orders.append(kinds)
    assert orders[0] == orders[1]
