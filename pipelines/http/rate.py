"""Pacing: how many calls a second, or how much cost, a platform lets one client spend."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Rate:
    """A bucket that refills. Shared by all threads, and by all clients that spend the same allowance.

    per_second: calls (or points of cost) that come back a second. burst: what the full bucket holds.
    """

    def __init__(
        self,
        per_second: float,
        burst: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if per_second <= 0 or burst <= 0:
            raise ValueError("A rate needs more than nothing a second.")
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._available = burst
        self._filled_at = clock()
        self._held_until = float("-inf")

    def take(self, cost: float = 1.0) -> None:
        """Wait until `cost` may be spent, and spend it. Callers are served in the order they came."""
        with self._lock:
            now = self._refill()
            self._available -= min(cost, self._burst)
            wait = max(-self._available / self._per_second, self._held_until - now, 0.0)
        if wait:
            self._sleep(wait)

    def learn(self, available: float, per_second: float | None = None, burst: float | None = None) -> None:
        """Take over what an answer says of the bucket; it knows better than we do."""
        with self._lock:
            self._refill()
            self._per_second = max(per_second or self._per_second, 1e-3)
            self._burst = max(burst or self._burst, 1e-3)
            self._available = min(available, self._burst)

    def hold(self, seconds: float) -> None:
        """Nobody calls for so long: one thread was asked to wait, the others would be asked too."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def _refill(self) -> float:
        now = self._clock()
        self._available = min(self._burst, self._available + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        return now
