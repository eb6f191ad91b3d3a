"""A small server that speaks like one platform over real HTTP, and misbehaves when told to.

A platform's server subclasses `PlatformServer`: `answer` speaks its API over records in memory, `seed` and `move`
change them, `options` says how to connect. Faults of the transport are served here, the same for all. The contract
tests of connectors and destinations need nothing else.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from pipelines.connectors.protocol import Connector, Options
from pipelines.http import exact_json


class Fault(StrEnum):
    """How a call can go wrong. The first group never reaches the platform's records; LOST does, and says nothing."""

    BUSY = "429 with Retry-After"
    BROKEN = "500"
    RESET = "connection reset"
    ERROR_PAGE = "HTTP 200 with an HTML page"
    REFUSED = "HTTP 200 with errors"
    EXPIRED = "expired token"
    TRUNCATED = "truncated JSON"
    LOST = "effect made, answer lost"


@dataclass(frozen=True)
class Call:
    """A request as it came. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return exact_json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What is sent back. body: a JSON value, or bytes as they are."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else exact_json.encode(self.body)


@dataclass(frozen=True)
class SignedWebhook:
    """A webhook as the platform sends it. Header names are in lower case."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


class PlatformServer(ABC):
    """Use as a context manager. `calls` holds every request, `after_answer` is called once each answer is sent."""

    feed = "orders"
    """The feed that `seed` and `move` speak of."""
    secrets: tuple[str, ...] = ()
    """Every secret that a client of this server holds, tokens it hands out included: no text of ours may show them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.after_answer: Callable[[Call], None] = lambda _call: None
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    # What a platform's server says itself

    @abstractmethod
    def connect(self, options: Options) -> Connector:
        """The platform's own `connect`."""

    @abstractmethod
    def options(self) -> Options:
        """Settings (with `self.url`) and secrets of a channel "mall" on this server."""

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """The platform's API. Runs under `self.lock`. An unknown address is a 404."""

    @abstractmethod
    def seed(self, count: int, at: datetime) -> list[str]:
        """So many records of `feed` more (with PII where the platform has any), each changed a second after the one
        before, the last at `at`. Answers their source ids, oldest first: the first key column of the landed rows."""

    @abstractmethod
    def move(self, source_id: str, at: datetime) -> None:
        """That record changes at `at`, visibly in its row, and moves to the end of what is sorted by change."""

    @abstractmethod
    def refused(self) -> Answer:
        """The platform's way to refuse a call: with HTTP 200 where it has one."""

    @abstractmethod
    def expired(self) -> Answer:
        """The platform's answer to a token that has expired or is unknown."""

    def webhook(self, source_id: str) -> SignedWebhook | None:
        """A rightly signed webhook about that record of `feed`; None: the platform has no webhooks."""
        return None

    # What the tests do with every server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """The next calls go wrong in this way."""
        with self.lock:
            self._faults += [fault] * times

    def heal(self) -> None:
        """No fault is left."""
        with self.lock:
            self._faults.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, call: Call) -> tuple[Answer, Fault | None]:
        """The answer to a call, and the fault that the transport adds to it."""
        with self.lock:
            self.calls.append(call)
            fault = self._faults.pop(0) if self._faults else None
            match fault:
                case Fault.BUSY:
                    return Answer({"error": "slow down"}, 429, {"retry-after": "1"}), None
                case Fault.BROKEN:
                    return Answer({"error": "internal"}, 500), None
                case Fault.ERROR_PAGE:
                    return Answer(b"<html>Maintenance</html>", 200, {"content-type": "text/html"}), None
                case Fault.REFUSED:
                    return self.refused(), None
                case Fault.EXPIRED:
                    return self.expired(), None
                case Fault.RESET:
                    return Answer(), fault
                case _:
                    return self.answer(call), fault


def _handler(server: PlatformServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            address = urlsplit(self.path)
            call = Call(
                self.command,
                address.path,
                dict(parse_qsl(address.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("content-length") or 0)),
            )
            answer, fault = server.respond(call)
            if fault in (Fault.RESET, Fault.LOST):
                # Linger 0: closing sends RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            content = answer.content
            if fault is Fault.TRUNCATED:
                content = content[: len(content) // 2]
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            server.after_answer(call)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - the names are http.server's

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ValueError):  # the client left, or the connection was reset on purpose
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """A test's server is silent."""

    return Handler


def json_text(value: Any) -> bytes:
    """A body as a platform would write it, for signing."""
    return json.dumps(value, ensure_ascii=False).encode()
