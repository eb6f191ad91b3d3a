"""A proxy on 127.0.0.1 between us and a real server that does to requests what networks and servers do.

Belongs here: the faults and their seeded choice. Does not belong here: any knowledge of the platform behind it, but for
the body with which it says no under HTTP 200, which is given.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


class Fault(StrEnum):
    """What can befall a request. Those before the effect never reach the server; those after it always do."""

    BUSY = "429 with Retry-After"
    FAILED_BEFORE = "500 before the effect"
    FAILED_AFTER = "500 after the effect"
    RESET_BEFORE = "reset before the effect"
    RESET_AFTER = "reset after the effect"
    TIMED_OUT_AFTER = "time-out after the effect"
    DOUBLED = "doubled request"
    ERRORS_IN_200 = "HTTP 200 with errors"
    TRUNCATED = "truncated JSON"
    CUT_SHORT = "body cut short"
    SLOW = "slow bytes"
    EXPIRED = "expired token"


class FaultProxy:
    """Forwards to upstream, with a fault at the given share of requests; a context manager.

    share: of requests that meet a fault, 0 to 1. hang: seconds that a timed-out request hangs; longer than the client
    waits. errors, expired: bodies with which this server refuses under HTTP 200. spare: requests (by path and body)
    that are always forwarded. counts: faults done so far.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        seed: int,
        share: float,
        errors: bytes,
        expired: bytes,
        hang: float = 6.0,
        spare: Callable[[str, bytes], bool] = lambda _path, _body: False,
    ) -> None:
        self.counts: Counter[Fault] = Counter()
        self.requests = 0
        self.share = share
        self._upstream = upstream
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._errors = errors
        self._expired = expired
        self._hang = hang
        self._spare = spare
        self._closing = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy._serve(self, body)

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - names that http.server asks for

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _choose(self, path: str, body: bytes) -> Fault | None:
        with self._lock:
            self.requests += 1
            if self._spare(path, body) or self._random.random() >= self.share:
                return None
            # The rarest so far, so that every kind comes often enough; which of several, by the seed.
            fewest = min(self.counts[fault] for fault in Fault)
            fault = self._random.choice([fault for fault in Fault if self.counts[fault] == fewest])
            self.counts[fault] += 1
            return fault

    def _serve(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        fault = self._choose(request.path, body)
        match fault:
            case Fault.BUSY:
                return _answer(request, 429, {"Retry-After": "1"}, b'{"message":"too many requests"}')
            case Fault.FAILED_BEFORE:
                return _answer(request, 500, {}, b"<html>Internal Server Error</html>")
            case Fault.ERRORS_IN_200:
                return _answer(request, 200, {"Content-Type": "application/json"}, self._errors)
            case Fault.EXPIRED:
                return _answer(request, 200, {"Content-Type": "application/json"}, self._expired)
            case Fault.RESET_BEFORE:
                return _reset(request)
        status, headers, content = self._forward(request, body)
        if fault is Fault.DOUBLED:
            self._forward(request, body)
        match fault:
            case Fault.FAILED_AFTER:
                return _answer(request, 500, {}, b"<html>Internal Server Error</html>")
            case Fault.RESET_AFTER:
                return _reset(request)
            case Fault.TIMED_OUT_AFTER:
                self._closing.wait(self._hang)
                return _reset(request)
            case Fault.TRUNCATED:
                return _answer(request, status, headers, content[: len(content) // 2])
            case Fault.CUT_SHORT:
                return _answer(request, status, headers, content, sent=len(content) // 2)
            case Fault.SLOW:
                return _answer(request, status, headers, content, pause=0.02)
        return _answer(request, status, headers, content)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self._upstream, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
            headers["Accept-Encoding"] = "identity"
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in HOP_BY_HOP | {"content-length", "date", "server"}
            }
            return answer.status, kept, content
        finally:
            connection.close()


def _answer(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    content: bytes,
    sent: int | None = None,
    pause: float = 0.0,
) -> None:
    """sent: so many bytes only, then the connection ends. pause: seconds between pieces."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    shown = content if sent is None else content[:sent]
    pieces = [shown] if not pause else [shown[start : start + 997] for start in range(0, len(shown), 997)][:50]
    if pause and len(shown) > 997 * 50:
        pieces.append(shown[997 * 50 :])
    for piece in pieces:
        request.wfile.write(piece)
        request.wfile.flush()
        time.sleep(pause)
    if sent is not None:
        request.close_connection = True


def _reset(request: BaseHTTPRequestHandler) -> None:
    """End the connection with RST rather than FIN."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.connection.close()
