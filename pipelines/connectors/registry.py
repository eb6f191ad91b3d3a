"""channels.yml's connectors: which channels are pulled, each connector built from checked settings and its secrets.

Belongs here: reading `connector:` and its settings, secrets by the names of their variables. Does not belong here:
which settings a platform knows (its own file says). A new platform is one file beside this one and one line in `KINDS`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipelines.channels import Channels
from pipelines.connectors import odoo, shopify, vendure, wechat, woocommerce, youzan
from pipelines.connectors.options import read_secrets
from pipelines.connectors.protocol import Connector, Options
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

FILES = "files"
"""The connector of a channel whose records others lay into the landing folder."""

PULL_SETTINGS = frozenset({"since"})
"""Settings of a channel that belong to the pull itself, so that no platform needs to know them."""

_IDENTIFYING = ("url", "database", "channel_token", "client_id", "grant_id", "app_id")
"""Settings that say which shop on which server; none of them is a secret."""

SERVE_SECRETS = frozenset({"lookup_key_env"})
"""Secrets of a channel that belong to `omnilake serve`: neither a platform nor a pull asks for them."""

KINDS: dict[str, Callable[[Options], Connector]] = {
    "odoo": odoo.connect,
    "shopify": shopify.connect,
    "vendure": vendure.connect,
    "wechat": wechat.connect,
    "woocommerce": woocommerce.connect,
    "youzan": youzan.connect,
}


def load_connectors(
    settings: Settings, channels: Channels, environ: Mapping[str, str] | None = None
) -> dict[str, Connector]:
    """The connector of each channel that has one, by channel, in the order of channels.yml. Calls nobody.

    Raises ConfigurationError naming the channel, the setting and the remedy.
    """
    connectors = {}
    for channel in channels.channels.values():
        if channel.connector != FILES:
            connectors[channel.id] = connector_of(channels, channel.id, environ)
            first_since(channels, channel.id)
    return connectors


def first_since(channels: Channels, channel: str) -> datetime | None:
    """Where the channel's first pull begins, UTC; None: with everything there is.

    A date is that day's beginning, and a time without an offset is local, in the channel's time zone. Raises
    ConfigurationError if `since` is neither.
    """
    entry = channels.channels[channel]
    given = entry.settings.get("since")
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(str(given))
        local = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(entry.timezone))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{channels.path}: channel {channel!r} has since {given!r}; write a date such as 2026-01-01."
        ) from None


def server_of(channels: Channels, channel: str) -> str:
    """A digest of which server the channel's records come from; how far it was read says nothing of another one."""
    entry = channels.channels[channel]
    named = [entry.connector, *(str(entry.settings.get(name, "")) for name in _IDENTIFYING)]
    return hashlib.sha256("\n".join(named).encode()).hexdigest()


def connector_of(channels: Channels, channel: str, environ: Mapping[str, str] | None = None) -> Connector:
    """The connector of one channel. Raises ConfigurationError as `load_connectors` does, and for a channel of files."""
    entry = channels.channels[channel]
    if entry.connector not in KINDS:
        raise ConfigurationError(
            f"{channels.path}: channel {channel!r} has connector {entry.connector!r}; choose one of "
            f"{', '.join(sorted([FILES, *KINDS]))}."
        )
    return KINDS[entry.connector](channel_options(channels, channel, environ))


def channel_options(channels: Channels, channel: str, environ: Mapping[str, str] | None = None) -> Options:
    """What channels.yml says of the channel's platform, secrets read. A destination of the channel takes the same.

    A relative `ca_file` lies beside channels.yml. Raises ConfigurationError if the variable of a secret is not set.
    """
    entry = channels.channels[channel]
    settings = {
        name: value for name, value in entry.settings.items() if name not in PULL_SETTINGS and not name.endswith("_env")
    }
    if isinstance(settings.get("ca_file"), str):
        settings["ca_file"] = str(channels.path.parent / Path(settings["ca_file"]).expanduser())
    secrets = {name: value for name, value in entry.settings.items() if name not in SERVE_SECRETS}
    where = f"{channels.path}: channel {channel!r}"
    return Options(channel, settings, read_secrets(where, secrets, os.environ if environ is None else environ))
