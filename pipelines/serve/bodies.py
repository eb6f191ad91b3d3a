"""Reading a request's body within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from pipelines.serve.problems import ProblemError

BODY_SECONDS = 30.0
"""A body that takes longer is given up."""

_DRAINED_BYTES = 4_000_000
_DRAINED_SECONDS = 2.0


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body. Raises ProblemError: 413 beyond `limit` bytes, 408 if it comes too slowly, 400 if it breaks off."""
    stream = request.stream()
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        await _drain(stream)
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in stream:
                size += len(part)
                if size > limit:
                    parts.clear()
                    await _drain(stream)
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"The body took more than {BODY_SECONDS:.0f} s.", {"Connection": "close"}
        ) from error
    except ClientDisconnect as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The body broke off.") from error
    return b"".join(parts)


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
