"""Addresses of platforms that are sent credentials over the internet: TLS, or this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pipelines.errors import ConfigurationError


def require_tls(url: str, channel: str) -> str:
    """The address, if it begins with https:// or names this machine. Raises ConfigurationError otherwise."""
    parts = urlsplit(url)
    if parts.scheme == "https" or _is_here(parts.hostname or ""):
        return url
    raise ConfigurationError(
        f"channels.yml: channel {channel!r} has the url http://{parts.hostname}; write https://, for credentials are "
        "sent there."
    )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
