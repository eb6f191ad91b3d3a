"""Callers: kept connections that send one request after the other, as lean as can be, for they share the cores."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What callers saw. milliseconds: of every whole answer. acknowledged: what was answered with 200."""

    statuses: dict[int, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    broken: int = 0
    seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """Of the milliseconds; 0 without any."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def figures(self) -> dict[str, object]:
        """Answers a second, percentiles, statuses."""
        return {
            "answers": len(self.milliseconds),
            "per_second": round(len(self.milliseconds) / self.seconds, 1),
            "p50_ms": round(self.percentile(0.5), 2),
            "p99_ms": round(self.percentile(0.99), 2),
            "statuses": self.statuses,
            "broken_connections": self.broken,
        }


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: load", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def call_for(
    port: int, seconds: float, callers: int, make: Callable[[int], bytes], *, patient: bool = False
) -> Tally:
    """Call for so long. make: the request of a running number. patient: a lost connection is made anew (the server was
    killed); else it ends its caller."""
    tally = Tally()
    numbers = iter(range(1, 10**9))
    started = time.perf_counter()
    until = started + seconds

    async def call() -> None:
        while time.perf_counter() < until:
            try:
                await _calls(port, until, make, numbers, tally)
            except (OSError, asyncio.IncompleteReadError):
                tally.broken += 1
                if not patient:
                    return
                await asyncio.sleep(0.05)

    await asyncio.gather(*(call() for _ in range(callers)))
    tally.seconds = time.perf_counter() - started
    return tally


async def _calls(port: int, until: float, make: Callable[[int], bytes], numbers: object, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until:
            number = next(numbers)  # type: ignore[call-overload]
            sent_at = time.perf_counter()
            writer.write(make(number))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            await reader.readexactly(_length(head))
            tally.milliseconds.append((time.perf_counter() - sent_at) * 1000)
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            if status == 200:
                tally.acknowledged.append(number)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
