"""Running the application: its socket, its logs, what happens at start, at intervals and at the end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler

import uvicorn
from fastapi import FastAPI

from pipelines.channels import load_channels
from pipelines.connectors.registry import load_connectors
from pipelines.doors import open_doors
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.hooks import seal_hooks
from pipelines.keys import ensure_keys
from pipelines.serve.app import BODY_LIMIT, LOOKUPS_PER_SECOND, create_app
from pipelines.serve.reader import SnapshotReader
from pipelines.settings import Settings

log = logging.getLogger(__name__)

SEAL_SECONDS = 15.0
"""How long posted rows wait for their landing file's final name."""

CONCURRENT_REQUESTS = 512
GRACE_SECONDS = 20
_LOG_BYTES = 10_000_000
_KEPT_LOGS = 5


@dataclass(frozen=True)
class Options:
    """host, port: where to listen. body_limit: bytes of a webhook's body at most. lookups_per_second: of each key."""

    host: str = "127.0.0.1"
    port: int = 8000
    body_limit: int = BODY_LIMIT
    lookups_per_second: int = LOOKUPS_PER_SECOND


def serve(settings: Settings, options: Options, say: Callable[[str], None]) -> None:
    """Serve until a signal; requests under way are finished. `say` gets lines for whoever started it.

    Raises ConfigurationError for a wrong setting, PermanentError if the port can't be had.
    """
    channels = load_channels(settings)
    doors = open_doors(channels, load_connectors(settings, channels), os.environ)
    reader = SnapshotReader(settings)
    app = create_app(
        settings,
        doors,
        ensure_keys(settings),
        reader,
        body_limit=options.body_limit,
        lookups_per_second=options.lookups_per_second,
    )
    app.router.lifespan_context = _lifespan(settings, reader)
    _log_to_file(settings)
    with _listen(options) as listening:
        if not _is_loopback(options.host):
            say(f"Warning: {options.host} can be reached from outside without TLS; put a reverse proxy before it.")
        port = listening.getsockname()[1]
        taking = [door.channel for door in doors.values() if door.has_webhooks or door.hook_secret]
        asking = [door.channel for door in doors.values() if door.lookup_key]
        say(
            f"Serving {settings.home} at http://{options.host}:{port} (document: /openapi.json). "
            f"Webhooks of: {', '.join(taking) or 'no channel'}. Look-ups of: {', '.join(asking) or 'no channel'}."
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONCURRENT_REQUESTS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws="none",
        )
        uvicorn.Server(config).run(sockets=[listening])


def _lifespan(
    settings: Settings, reader: SnapshotReader
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sealing = asyncio.create_task(_seal_at_intervals(settings))
        try:
            yield
        finally:
            sealing.cancel()
            await _seal(settings)
            reader.close()

    return lifespan


async def _seal_at_intervals(settings: Settings) -> None:
    while True:
        await _seal(settings)
        await asyncio.sleep(SEAL_SECONDS)


async def _seal(settings: Settings) -> None:
    try:
        await asyncio.to_thread(seal_hooks, settings)
    except OSError as error:
        log.error("posted rows can't be given to the next run: %s", error.strerror)


def _listen(options: Options) -> socket.socket:
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(f"--host {options.host} is no address of this machine; try 127.0.0.1.") from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise PermanentError(
            f"Cannot listen on {options.host}, port {options.port} ({error.strerror}); choose another with --port."
        ) from error
    return listening


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log_to_file(settings: Settings) -> None:
    """HOME/logs/serve.log: a line a request, and what went wrong."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        settings.logs / "serve.log", maxBytes=_LOG_BYTES, backupCount=_KEPT_LOGS, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("pipelines.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
