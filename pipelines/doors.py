"""Who may come in by HTTP: of every channel its webhooks' verifier and the key of its look-ups.

Belongs here: reading them from channels.yml and the environment, and comparing in constant time. Does not belong here:
HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.channels import Channel, Channels
from pipelines.connectors.protocol import BadSignatureError, Connector
from pipelines.connectors.registry import FILES
from pipelines.errors import ConfigurationError

LOOKUP_KEY = "lookup_key_env"
HOOK_SECRET = "webhook_secret_env"  # noqa: S105 - the name of a setting
SIGNATURE_HEADER = "x-omnilake-signature"


@dataclass(frozen=True)
class Door:
    """One channel's way in. hook_secret: of signed rows, for channels that deliver files. lookup_key: None: the
    channel has no look-ups."""

    channel: str
    connector: Connector | None = None
    hook_secret: bytes | None = field(default=None, repr=False)
    lookup_key: bytes | None = field(default=None, repr=False)

    @property
    def has_webhooks(self) -> bool:
        """Whether its platform's own webhooks can be verified."""
        return self.connector is not None and self.connector.capabilities().has_webhooks

    def verify_rows(self, signature: str, body: bytes) -> None:
        """Raises BadSignatureError unless `signature` is the hex HMAC-SHA256 of the raw body under the secret."""
        wanted = hmac.new(self.hook_secret or b"", body, hashlib.sha256).hexdigest()
        given = signature.strip().lower().removeprefix("sha256=")
        if self.hook_secret is None or not hmac.compare_digest(wanted.encode(), given.encode()):
            raise BadSignatureError("The signature is not that of the body.")


def open_doors(channels: Channels, connectors: Mapping[str, Connector], environ: Mapping[str, str]) -> dict[str, Door]:
    """Every channel's door. Raises ConfigurationError for a variable that is not set, or a key that two share."""
    doors = {
        channel.id: Door(
            channel.id,
            connectors.get(channel.id),
            _secret(channel, HOOK_SECRET, environ) if channel.connector == FILES else None,
            _secret(channel, LOOKUP_KEY, environ),
        )
        for channel in channels.channels.values()
    }
    _refuse_shared_keys(doors.values())
    return doors


def channel_of_key(doors: Iterable[Door], given: str) -> str | None:
    """The channel whose look-up key this is; None: nobody's. Takes the same time whichever it is."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    found: str | None = None
    for door in doors:
        key = door.lookup_key
        if hmac.compare_digest(hashlib.sha256(key or b"").digest(), digest) and key:
            found = door.channel
    return found


def _secret(channel: Channel, setting: str, environ: Mapping[str, str]) -> bytes | None:
    variable = channel.settings.get(setting)
    if variable is None:
        return None
    value = environ.get(str(variable), "").strip()
    if not value:
        raise ConfigurationError(
            f"{variable} is not set, which channel {channel.id!r} names as its {setting}; set it in the environment "
            "(see .env.example), or take the setting away."
        )
    return value.encode()


def _refuse_shared_keys(doors: Iterable[Door]) -> None:
    owners: dict[bytes, str] = {}
    for door in doors:
        if door.lookup_key is None:
            continue
        first = owners.setdefault(door.lookup_key, door.channel)
        if first != door.channel:
            raise ConfigurationError(
                f"Channels {first!r} and {door.channel!r} have the same look-up key; give each its own."
            )
