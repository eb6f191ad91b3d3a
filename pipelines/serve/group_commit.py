"""Group commit: many requests that wait for the disk share one write and one sync."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Items of concurrent callers, written together: while one group is being synced, the next one gathers.

    write: keeps a group durably or raises; it runs in a thread, never twice at a time. Of one event loop.
    """

    def __init__(self, write: Callable[[list[Item]], None]) -> None:
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def keep(self, item: Item) -> None:
        """Returns when the item is durable. Raises what `write` raised for its group."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, kept))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_groups())
        await kept

    async def _write_groups(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            fault: Exception | None = None
            try:
                await asyncio.to_thread(self._write, [item for item, _ in group])
            except Exception as error:  # noqa: BLE001 - it belongs to the callers, who wait for it
                fault = error
            for _, kept in group:
                if kept.done():  # its caller has given up
                    continue
                if fault is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(fault)
        self._writer = None
