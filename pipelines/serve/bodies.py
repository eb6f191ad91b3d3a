"""Reading a request's body within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from pipelines.serve.problems import ProblemError

BODY_SECONDS = 30.0
"""A body that takes longer is given up."""

ALL_BODIES_BYTES = 64_000_000
"""What the bodies of all requests under way may hold together."""

_DRAINED_BYTES = 4_000_000
_DRAINED_SECONDS = 2.0


class Bodies:
    """Reads bodies of at most `limit` bytes each and `budget` bytes together; of one event loop."""

    def __init__(self, limit: int, budget: int = ALL_BODIES_BYTES) -> None:
        self._limit = limit
        self._left = max(budget, limit)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The raw body, which counts against the budget until the block ends.

        Raises ProblemError: 413 beyond the limit, 408 if it comes too slowly, 400 if it breaks off, 503 while other
        bodies use the budget up.
        """
        stream = request.stream()
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            await _drain(stream)
            raise _too_large(self._limit)
        parts: list[bytes] = []
        size = 0
        try:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    async for part in stream:
                        if size + len(part) > self._limit:
                            await _drain(stream)
                            raise _too_large(self._limit)
                        if len(part) > self._left:
                            raise _busy()
                        self._left -= len(part)
                        size += len(part)
                        parts.append(part)
            except TimeoutError as error:
                raise ProblemError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"The body took more than {BODY_SECONDS:.0f} s.",
                    {"Connection": "close"},
                ) from error
            except ClientDisconnect as error:
                raise ProblemError(HTTPStatus.BAD_REQUEST, "The body broke off.") from error
            yield b"".join(parts)
        finally:
            self._left += size


def _busy() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many bodies are under way; nothing was kept, send it again.",
        {"Retry-After": "1", "Connection": "close"},
    )


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {limit} bytes.", {"Connection": "close"}
    )


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Throw a little more away, so that a sender that reads only after it has sent gets to see the answer."""
    drained = 0
    try:
        async with asyncio.timeout(_DRAINED_SECONDS):
            async for part in stream:
                drained += len(part)
                if drained > _DRAINED_BYTES:
                    return
    except (TimeoutError, ClientDisconnect):
        return
