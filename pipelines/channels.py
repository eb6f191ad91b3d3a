"""channels.yml: the doors of the retailer, as checked configuration."""

from __future__ import annotations

import codecs
import functools
import zoneinfo
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ConfigurationError
from pipelines.feeds.contract import SHARED
from pipelines.feeds.currencies import CURRENCIES
from pipelines.settings import Settings

KINDS = ("pc_web", "h5", "mini_program", "app", "pos", "kiosk", "marketplace", "social", "live")
LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Channel:
    """One door. `business_day_cutoff` is the local time at which a business day begins."""

    id: str
    name: str
    kind: str
    brand: str | None
    online: bool
    timezone: str
    business_day_cutoff: time
    currency: str
    encoding: str = "utf-8"
    connector: str = "files"
    promote_attributes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Channels:
    """The whole file. `channels` by id, in the order of the file; `language` is the shoppers' (zh or en)."""

    path: Path
    reporting_currency: str
    timezone: str
    channels: dict[str, Channel]
    promote_attributes: tuple[str, ...] = ()
    language: str = "zh"


def find_channels_file(settings: Settings) -> Path:
    """`--config`, else HOME/reference/channels.yml, else the one that lies in the landing folder.

    Raises ConfigurationError if there is none.
    """
    candidates = [settings.home / "reference" / "channels.yml", settings.landing / "channels.yml"]
    if settings.channels_file:
        candidates = [settings.channels_file]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " or ".join(str(candidate) for candidate in candidates)
    raise ConfigurationError(f"No channels.yml at {places}; write one (see README) or name it with --config.")


def load_channels(settings: Settings) -> Channels:
    """Read and check channels.yml. Raises ConfigurationError naming the file, the entry and the remedy."""
    path = find_channels_file(settings)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("channels"), list):
        raise ConfigurationError(f"{path} needs a top-level list `channels:`.")
    timezone = _timezone(path, "timezone", content.get("timezone", "Asia/Shanghai"))
    currency = _currency(path, "reporting_currency", content.get("reporting_currency", "CNY"))
    channels: dict[str, Channel] = {}
    for number, entry in enumerate(content["channels"], start=1):
        channel = _channel(path, number, entry, timezone, currency)
        if channel.id in channels:
            raise ConfigurationError(f"{path}: channel {channel.id!r} is defined twice.")
        channels[channel.id] = channel
    language = content.get("language", "zh")
    if language not in LANGUAGES:
        raise ConfigurationError(f"{path}: language is {language!r}; choose one of {', '.join(LANGUAGES)}.")
    return Channels(path, currency, timezone, channels, _names(path, "promote_attributes", content), language)


_KNOWN = {
    "id", "name", "kind", "brand", "online", "timezone", "business_day_cutoff", "currency", "encoding", "connector",
    "promote_attributes",
}  # fmt: skip


def _channel(path: Path, number: int, entry: Any, timezone: str, currency: str) -> Channel:
    if not isinstance(entry, dict) or not entry.get("id"):
        raise ConfigurationError(f"{path}: channel number {number} has no `id`.")
    channel_id = str(entry["id"])
    where = f"channel {channel_id!r}"
    if channel_id == SHARED or "/" in channel_id or channel_id.startswith("."):
        raise ConfigurationError(f"{path}: {where} has a reserved id; choose letters, digits, _ and -.")
    kind = entry.get("kind")
    if kind not in KINDS:
        raise ConfigurationError(f"{path}: {where} has kind {kind!r}; choose one of {', '.join(KINDS)}.")
    online = entry.get("online", kind not in ("pos", "kiosk"))
    if not isinstance(online, bool):
        raise ConfigurationError(f"{path}: {where} has online {online!r}; write true or false.")
    encoding = str(entry.get("encoding", "utf-8"))
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ConfigurationError(f"{path}: {where} has the unknown encoding {encoding!r}.") from error
    brand = entry.get("brand")
    return Channel(
        id=channel_id,
        name=str(entry.get("name") or channel_id),
        kind=kind,
        brand=None if brand is None else str(brand),
        online=online,
        timezone=_timezone(path, f"{where} timezone", entry.get("timezone", timezone)),
        business_day_cutoff=_cutoff(path, where, entry.get("business_day_cutoff", "00:00")),
        currency=_currency(path, f"{where} currency", entry.get("currency", currency)),
        encoding=encoding,
        connector=str(entry.get("connector", "files")),
        promote_attributes=_names(path, f"{where} promote_attributes", entry),
        settings={name: value for name, value in entry.items() if name not in _KNOWN},
    )


def _names(path: Path, where: str, entry: dict[str, Any]) -> tuple[str, ...]:
    names = entry.get("promote_attributes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{path}: {where} must be a list of attribute names.")
    return tuple(names)


@functools.cache
def timezone_names() -> frozenset[str]:
    """The IANA names this machine knows; looked up once, for Python walks a folder each time it is asked."""
    return frozenset(zoneinfo.available_timezones())


def _timezone(path: Path, where: str, value: Any) -> str:
    if value not in timezone_names():
        raise ConfigurationError(f"{path}: {where} is {value!r}; give an IANA name such as Asia/Shanghai.")
    return str(value)


def _currency(path: Path, where: str, value: Any) -> str:
    if value not in CURRENCIES:
        raise ConfigurationError(f"{path}: {where} is {value!r}; give an ISO 4217 code such as CNY.")
    return str(value)


def _cutoff(path: Path, where: str, value: Any) -> time:
    # Unquoted 04:00 is the number 240 to YAML 1.1.
    text = f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) else str(value)
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f'{path}: {where} has business_day_cutoff {value!r}; write it as "04:00".') from error
