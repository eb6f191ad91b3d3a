"""destinations.yml: which destinations this home has, as checked configuration.

Belongs here: reading the file, the settings that every kind shares, and building each destination by its kind. A new
kind is one file beside this one with a `connect`, and one line in `KINDS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from pipelines.channels import load_channels
from pipelines.connectors.options import read_secrets
from pipelines.connectors.protocol import Options
from pipelines.connectors.registry import channel_options
from pipelines.destinations import files, odoo, rest, shopify, vendure, wechat, woocommerce, youzan
from pipelines.destinations.protocol import Destination, Operation
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

PREFIX = "omnilake:"
"""Begins every name we make in a destination, unless the entry says another: what doesn't begin so is not ours."""

CONCURRENCY = 4
MOST_CONCURRENCY = 64
MAX_DELETES_SHARE = Decimal("0.2")
DELETES_ALWAYS_ALLOWED = 50

Connect = Callable[[str, Iterable[Operation], Options, str], Destination]
"""connect(name, operations, options, prefix): a destination, without a call to it. Raises ConfigurationError naming
the setting and the remedy; a setting it doesn't know is an error too."""

KINDS: dict[str, Connect] = {
    "files": files.connect,
    "odoo": odoo.connect,
    "rest": rest.connect,
    "shopify": shopify.connect,
    "vendure": vendure.connect,
    "wechat": wechat.connect,
    "woocommerce": woocommerce.connect,
    "youzan": youzan.connect,
}

_GENERIC = ("files", "rest")
"""Kinds that are no platform, so that what a channel says of its own platform is nothing to them."""

_SHARED = ("kind", "operations", "tags", "channel", "prefix", "concurrency", "max_deletes_share", "max_deletes_floor")


@dataclass(frozen=True)
class DestinationSettings:
    """One entry of destinations.yml.

    tags: names of the tags to send; None sends all.
    options: what the kind itself is told: the settings and secrets of `channel`, if it names one, and its own on top.
    prefix: begins the names of everything that is ours there.
    concurrency: calls at a time, at most.
    max_deletes_share: largest share of what is held that one push may delete; max_deletes_floor: as many are always
    allowed, so that a handful of customers can leave.
    """

    name: str
    kind: str
    operations: tuple[Operation, ...] = tuple(Operation)
    tags: tuple[str, ...] | None = None
    options: Options = field(default_factory=lambda: Options(""))
    prefix: str = PREFIX
    concurrency: int = CONCURRENCY
    max_deletes_share: Decimal = MAX_DELETES_SHARE
    max_deletes_floor: int = DELETES_ALWAYS_ALLOWED


@dataclass(frozen=True)
class Configured:
    """A destination with what the retailer wants it to get."""

    destination: Destination
    settings: DestinationSettings

    def wants(self, operation: Operation) -> bool:
        """Whether the operation is both asked for and supported; who gets coupons must bear their being taken back."""
        wanted = Operation.COUPON if operation is Operation.REVOKE else operation
        return wanted in self.settings.operations and operation in self.destination.capabilities().operations


def load_destinations(
    settings: Settings, only: str | None = None, environ: Mapping[str, str] = os.environ
) -> dict[str, Configured]:
    """All destinations by name, or the one called `only`. Secrets are read from `environ`.

    Raises ConfigurationError naming the file, the entry, the setting and the remedy.
    """
    path = settings.reference("destinations.yml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    entries = content.get("destinations") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{path} needs a top-level mapping `destinations:` of name to settings.")
    configured = {}
    for name, entry in entries.items():
        parsed = _Entry(settings, path, name, entry, environ).parse()
        made = KINDS[parsed.kind](parsed.name, parsed.operations, parsed.options, parsed.prefix)
        configured[parsed.name] = Configured(made, parsed)
    if only is None:
        return configured
    if only not in configured:
        names = ", ".join(sorted(configured)) or "none"
        raise ConfigurationError(f"There is no destination {only!r} in {path}; choose one of: {names}.")
    return {only: configured[only]}


@dataclass(frozen=True)
class _Entry:
    settings: Settings
    path: Path
    name: Any
    entry: Any
    environ: Mapping[str, str]

    @property
    def where(self) -> str:
        return f"{self.path}: destination {self.name!r}"

    def parse(self) -> DestinationSettings:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise ConfigurationError(f"{self.where} has an unusable name; use letters, digits, _ and -.")
        if not isinstance(self.entry, dict):
            raise ConfigurationError(f"{self.where} needs settings, at least `kind`.")
        kind = self.entry.get("kind")
        if kind not in KINDS:
            raise ConfigurationError(f"{self.where} has kind {kind!r}; choose one of: {', '.join(sorted(KINDS))}.")
        return DestinationSettings(
            name=self.name,
            kind=kind,
            operations=self._operations(),
            tags=self._tags(),
            options=self._options(kind),
            prefix=self._prefix(),
            concurrency=self._whole("concurrency", CONCURRENCY, 1, MOST_CONCURRENCY),
            max_deletes_share=self._share(),
            max_deletes_floor=self._whole("max_deletes_floor", DELETES_ALWAYS_ALLOWED, 0, None),
        )

    def _operations(self) -> tuple[Operation, ...]:
        valid = [operation.value for operation in Operation]
        operations = self.entry.get("operations", valid)
        if not isinstance(operations, list) or not set(map(str, operations)) <= set(valid):
            raise ConfigurationError(f"{self.where} has operations {operations!r}; give a list of: {', '.join(valid)}.")
        chosen = {Operation(str(value)) for value in operations}
        if Operation.COUPON in chosen:
            chosen.add(Operation.REVOKE)
        return tuple(operation for operation in Operation if operation in chosen)

    def _tags(self) -> tuple[str, ...] | None:
        tags = self.entry.get("tags")
        if tags is None:
            return None
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise ConfigurationError(
                f"{self.where} has tags {tags!r}; give a list of tag names, or leave it out for all."
            )
        return tuple(tags)

    def _prefix(self) -> str:
        prefix = self.entry.get("prefix", PREFIX)
        if not isinstance(prefix, str) or not prefix.strip():
            raise ConfigurationError(
                f"{self.where} has prefix {prefix!r}; give a text that begins nothing of anybody else's, "
                f"such as {PREFIX!r}."
            )
        return prefix

    def _whole(self, name: str, default: int, least: int, most: int | None) -> int:
        value = self.entry.get(name, default)
        if type(value) is not int or value < least or (most is not None and value > most):
            limits = f"from {least} to {most}" if most is not None else f"of {least} or more"
            raise ConfigurationError(f"{self.where} has {name} {value!r}; give a whole number {limits}.")
        return value

    def _share(self) -> Decimal:
        value = self.entry.get("max_deletes_share", MAX_DELETES_SHARE)
        try:
            # YAML reads 0.1 as a float; its shortest text is what was written.
            share = Decimal(str(value))
        except InvalidOperation:
            share = Decimal(-1)
        if isinstance(value, bool) or share.is_nan() or not 0 <= share <= 1:
            raise ConfigurationError(f"{self.where} has max_deletes_share {value!r}; give a share from 0 to 1.")
        return share

    def _options(self, kind: str) -> Options:
        own = {str(name): value for name, value in self.entry.items() if name not in _SHARED}
        if kind == "files":
            own = {"directory": str(self.settings.outbound / self.name), **own}
        settings = {name: value for name, value in own.items() if not name.endswith("_env")}
        secrets = read_secrets(self.where, own, self.environ)
        channel = self.entry.get("channel")
        if channel is None:
            return Options("", settings, secrets)
        channels = load_channels(self.settings)
        if channel not in channels.channels:
            known = ", ".join(channels.channels) or "none"
            raise ConfigurationError(f"{self.where} names channel {channel!r}; {channels.path} has: {known}.")
        if kind in _GENERIC:
            return Options(channel, settings, secrets)
        its = channel_options(channels, channel, self.environ)
        return Options(
            channel,
            {**its.settings, **settings},
            {**its.secrets, **secrets},
            frozenset({*its.settings, *its.secrets} - {*settings, *secrets}),
        )
