"""How often a key may ask: a bucket of calls that fills steadily."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Bucket:
    """`per_second` calls on average, twice as many at once. For threads."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._capacity = 2 * per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._left = self._capacity
        self._at = clock()

    def take(self) -> float:
        """0 if the call may go on, else the seconds until one may."""
        with self._lock:
            now = self._clock()
            self._left = min(self._capacity, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left >= 1:
                self._left -= 1
                return 0.0
            return (1 - self._left) / self._per_second
