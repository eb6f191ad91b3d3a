"""The application: routes, faults, the access log, and its OpenAPI document."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.doors import Door
from pipelines.keys import Keys
from pipelines.serve.lookup_routes import Lookups, lookup_router
from pipelines.serve.problems import SCHEMA, ProblemError, answer_problem
from pipelines.serve.reader import SnapshotReader
from pipelines.serve.webhooks import Receiver, webhook_router
from pipelines.settings import Settings

access_log = logging.getLogger("pipelines.serve.access")

BODY_LIMIT = 2_000_000
LOOKUPS_PER_SECOND = 200

DESCRIPTION = """Webhooks in, look-ups out. Faults are problem details (RFC 9457). Webhooks are durable on disk before
their 200; look-ups read the newest published snapshot and hold no personal data."""


def create_app(
    settings: Settings,
    doors: Mapping[str, Door],
    keys: Keys,
    reader: SnapshotReader,
    *,
    body_limit: int = BODY_LIMIT,
    lookups_per_second: int = LOOKUPS_PER_SECOND,
) -> FastAPI:
    """The application of one home. body_limit: bytes of a webhook's body at most. lookups_per_second: of each key."""
    app = FastAPI(title="omnilake", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.include_router(webhook_router(Receiver(settings, doors, body_limit)))
    app.include_router(lookup_router(Lookups(reader, keys, doors, lookups_per_second)))
    for fault in (ProblemError, RequestValidationError, HTTPException):
        app.add_exception_handler(fault, answer_problem)
    app.add_middleware(AccessLog, channels=frozenset(doors))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class AccessLog:
    """A line a request: method, route, status, milliseconds. Never the path itself, whose ids may be a person's, nor
    the query, which holds signatures. Outermost, so that a fault of ours is a 500 without its message in the log."""

    def __init__(self, app: ASGIApp, channels: frozenset[str]) -> None:
        self._app = app
        self._channels = channels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception as error:  # noqa: BLE001 - the last resort: an answer without a trace, a log without data
            access_log.error("%s at %s", type(error).__name__, _place(error))
            if not status:
                await answer_problem(Request(scope), error)(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "-")
            named = scope.get("path_params", {}).get("channel")
            channel = named if named in self._channels else "-"
            elapsed = (time.perf_counter() - started) * 1000
            access_log.info("%s %s %s %d %.1f ms", scope["method"], route, channel, status, elapsed)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return ", ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes,
            tags=[
                {"name": "webhooks", "description": "What changed at the platforms, and rows of channels without one."},
                {"name": "look-ups", "description": "What we know of a member, for the channel that asks."},
            ],
        )  # fmt: skip
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["ProblemDetails"] = SCHEMA
        components.setdefault("securitySchemes", {})["signature"] = {
            "type": "apiKey",
            "in": "header",
            "name": "X-Omnilake-Signature",
            "description": "Hex HMAC-SHA256 of the raw body under the channel's webhook secret.",
        }
        app.openapi_schema = document
    return app.openapi_schema
