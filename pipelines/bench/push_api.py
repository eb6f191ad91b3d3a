"""A retailer's own API for measuring and testing a push: it keeps every effect, and misbehaves when told to.

Belongs here: the server of docs/platforms/rest.md's contract, but for one thing: it takes a key as often as it is sent
and counts, so that a duplicate shows. Run as a file it is a process of its own that prints its port. It speaks just
enough HTTP, so that it is not what a bench measures; no import but of Python's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from typing import Any


class Effects:
    """What the API was given: how often each key took effect. behave: one of `BEHAVIOURS`.

    first_at, last_at: when the first and the last record took effect, monotonic seconds.
    poison: customers whose record breaks the call; they are refused (`refuses`) or end in a fault (`fails`).
    left: the behaviour lasts for so many calls; None for ever.
    """

    BEHAVIOURS = ("answers", "takes_but_hangs_up", "hangs_up", "is_busy", "fails", "refuses_the_token")

    def __init__(self) -> None:
        self.applied: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.behave = "answers"
        self.left: int | None = None
        self.poison: frozenset[str] = frozenset()
        self.poison_answer = 422
        self.keeps_bodies = False
        self.first_at = self.last_at = 0.0

    @property
    def duplicates(self) -> int:
        """Effects beyond the first of each key."""
        return sum(self.applied.values()) - len(self.applied)

    def configure(self, settings: dict[str, Any]) -> None:
        """Set attributes by name; `forget` begins anew."""
        if settings.pop("forget", False):
            vars(self).update(vars(Effects()))
        for name, value in settings.items():
            setattr(self, name, frozenset(value) if name == "poison" else value)

    def answer(self, path: str, body: bytes) -> tuple[int, bytes] | None:
        """Status and body; None: the connection is closed without an answer."""
        if path == "/control":
            self.configure(json.loads(body))
            return 200, b"{}"
        if path == "/counts":
            counts = {"applied": len(self.applied), "duplicates": self.duplicates}
            return 200, json.dumps({**counts, "first_at": self.first_at, "last_at": self.last_at}).encode()
        given = json.loads(body)
        if path.endswith("/found"):
            self.calls["found"] += 1
            return 200, json.dumps({"keys": [key for key in given["keys"] if key in self.applied]}).encode()
        self.calls[path] += 1
        behave = self._behaviour()
        if behave == "hangs_up":
            return None
        if behave == "is_busy":
            return 429, b""
        if behave == "fails":
            return 500, b""
        if behave == "refuses_the_token":
            return 401, b""
        records = given.get("records", [given])
        if self.poison and any(record["customer"] in self.poison for record in records):
            return self.poison_answer, b""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.applied.update(record["key"] for record in records)
        if self.keeps_bodies:
            self.bodies.update((record["key"], record) for record in records)
        return None if behave == "takes_but_hangs_up" else (200, b"{}")

    def _behaviour(self) -> str:
        if self.behave != "answers" and self.left is not None:
            if self.left == 0:
                self.behave, self.left = "answers", None
            else:
                self.left -= 1
        return self.behave


class _Connection(asyncio.Protocol):
    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        waiting = self._waiting + data if self._waiting else data
        while True:
            end = waiting.find(b"\r\n\r\n")
            if end < 0:
                break
            head = waiting[:end]
            marker = head.lower().find(b"content-length:")
            length = int(head[marker + 15 :].split(b"\r\n", 1)[0]) if marker >= 0 else 0
            whole = end + 4 + length
            if len(waiting) < whole:
                break
            reply = self._effects.answer(head.split(b" ", 2)[1].decode(), waiting[end + 4 : whole])
            waiting = waiting[whole:]
            if reply is None:
                self._transport.abort()
                return
            status, body = reply
            self._transport.write(
                b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )
        self._waiting = waiting


class PushApi:
    """The API in a thread of this process, for tests. `with PushApi() as api: api.url, api.effects`."""

    def __init__(self) -> None:
        self.effects = Effects()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> PushApi:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(_listen(self.effects), self._loop).result()
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _listen(effects: Effects) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(effects), "127.0.0.1", 0)


async def _serve() -> None:
    server = await _listen(Effects())
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
