"""destinations.yml: which destinations this home has, as checked configuration.

Belongs here: reading the file and building each destination by its kind. A new kind is one file beside this one and
one line in `KINDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.destinations.files import FilesDestination
from pipelines.destinations.protocol import Destination, Operation
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings


@dataclass(frozen=True)
class DestinationSettings:
    """One entry of destinations.yml. tags: names of the tags to send; None sends all."""

    name: str
    kind: str
    operations: tuple[Operation, ...]
    tags: tuple[str, ...] | None
    options: dict[str, Any]


@dataclass(frozen=True)
class Configured:
    """A destination with what the retailer wants it to get."""

    destination: Destination
    settings: DestinationSettings

    def wants(self, operation: Operation) -> bool:
        """Whether the operation is both asked for and supported."""
        return operation in self.settings.operations and operation in self.destination.capabilities().operations


def _files(settings: Settings, entry: DestinationSettings) -> Destination:
    if entry.options:
        unknown = ", ".join(sorted(map(str, entry.options)))
        raise ConfigurationError(f"Destination {entry.name!r} of kind files does not know the setting(s): {unknown}.")
    return FilesDestination(entry.name, settings.outbound / entry.name, entry.operations)


KINDS: dict[str, Callable[[Settings, DestinationSettings], Destination]] = {"files": _files}


def load_destinations(settings: Settings, only: str | None = None) -> dict[str, Configured]:
    """All destinations by name, or the one called `only`.

    Raises ConfigurationError naming the file, the entry and the valid values.
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
        parsed = _entry(path, name, entry)
        configured[parsed.name] = Configured(KINDS[parsed.kind](settings, parsed), parsed)
    if only is None:
        return configured
    if only not in configured:
        names = ", ".join(sorted(configured)) or "none"
        raise ConfigurationError(f"There is no destination {only!r} in {path}; choose one of: {names}.")
    return {only: configured[only]}


def _entry(path: Path, name: Any, entry: Any) -> DestinationSettings:
    where = f"{path}: destination {name!r}"
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigurationError(f"{where} has an unusable name; use letters, digits, _ and -.")
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} needs settings, at least `kind`.")
    kind = entry.get("kind")
    if kind not in KINDS:
        raise ConfigurationError(f"{where} has kind {kind!r}; choose one of: {', '.join(sorted(KINDS))}.")
    valid = [operation.value for operation in Operation]
    operations = entry.get("operations", valid)
    if not isinstance(operations, list) or not set(map(str, operations)) <= set(valid):
        raise ConfigurationError(f"{where} has operations {operations!r}; give a list of: {', '.join(valid)}.")
    tags = entry.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise ConfigurationError(f"{where} has tags {tags!r}; give a list of tag names, or leave it out for all.")
    options = {key: value for key, value in entry.items() if key not in ("kind", "operations", "tags")}
    return DestinationSettings(
        name, kind, tuple(Operation(str(value)) for value in operations), None if tags is None else tuple(tags), options
    )
