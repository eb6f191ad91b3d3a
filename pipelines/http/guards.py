"""What must be right before the first call: the address, headers that can be sent, trust, and silent libraries."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import httpx

from pipelines.errors import ConfigurationError

_LOUD_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


def checked_url(base_url: str) -> httpx.URL:
    """The address of a server. Raises ConfigurationError if it is none, or holds credentials."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        raise ConfigurationError("The url of a server can't be read; write it as https://host/path.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError("The url of a server must begin with http:// or https:// and name a host.")
    if url.userinfo:
        raise ConfigurationError(f"The url of {url.host} holds credentials; name their variables by settings in _env.")
    return url


def checked_headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    """Headers that can be sent. Raises ConfigurationError naming the header, never its value."""
    for name, value in headers.items():
        if not value.isascii() or any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ConfigurationError(
                f"The header {name} for {host} can't be sent: its value, perhaps a secret, holds a line break or a "
                "character beyond ASCII."
            )
    return dict(headers)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies against the public CAs and those of ca_file. Raises ConfigurationError if that is no PEM file."""
    if ca_file is None:
        return _public_context()
    context = httpx.create_ssl_context()
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(f"ca_file {ca_file} is no readable PEM file of certificates.") from None
    return context


@cache
def _public_context() -> ssl.SSLContext:
    """Reading all public CAs takes longer than many a call; contexts may be shared."""
    return httpx.create_ssl_context()


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False


_NOTHING = _Nothing()
_SILENCING = threading.Lock()


def silence_libraries() -> None:
    """The libraries beneath log whole addresses and headers, where secrets stand: whatever the level, they don't."""
    with _SILENCING:
        for name in _LOUD_LOGGERS:
            logger = logging.getLogger(name)
            if _NOTHING not in logger.filters:
                logger.addFilter(_NOTHING)
