"""Which record of a person survives: golden_record.yml and consent.yml, checked, as tables for dbt.

Belongs here: the two files and their rules. Does not belong here: applying them (dbt: golden_record,
customer_consents).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipelines.channels import KINDS, Channels
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

ATTRIBUTES = (
    "name", "phone", "email", "birthday", "birth_month", "gender", "province", "city", "level", "home_store_id",
)  # fmt: skip
"""Attributes of the golden record, in the order of the mart."""

CRITERIA = ("valid", "source", "latest", "earliest")
CONSENT_RULES = ("stricter", "latest")

Table = tuple[str, list[tuple[Any, ...]]]
"""Columns as DDL, and rows."""


def survivorship_tables(settings: Settings, channels: Channels) -> dict[str, Table]:
    """Tables `golden_rules` (attribute, criteria in order), `golden_sources` (attribute, channel, rank; lower is
    better) and `consent_rules` (one row). Raises ConfigurationError naming the file, the entry and the remedy.
    """
    rules, sources = _golden(settings, channels)
    return {
        "golden_rules": (
            "attribute VARCHAR, first_criterion VARCHAR, second_criterion VARCHAR, third_criterion VARCHAR, "
            "rule VARCHAR",
            [(name, *_padded(by), " > ".join(by)) for name, by in rules.items()],
        ),
        "golden_sources": ("attribute VARCHAR, channel VARCHAR, source_rank INTEGER", sources),
        "consent_rules": ("rule VARCHAR", [(_consent_rule(settings),)]),
    }


def _golden(settings: Settings, channels: Channels) -> tuple[dict[str, list[str]], list[tuple[str, str, int]]]:
    path = settings.reference("golden_record.yml")
    content = _read(path)
    if set(content) - {"sources", "attributes"}:
        raise ConfigurationError(f"{path} may hold only sources and attributes.")
    entries = content.get("attributes")
    if not isinstance(entries, dict) or set(entries) - set(ATTRIBUTES):
        raise ConfigurationError(f"{path}: attributes must map names to rules; choose of {', '.join(ATTRIBUTES)}.")
    usual = _sources(path, "sources", content.get("sources", []), channels)
    rules: dict[str, list[str]] = {}
    ranks: list[tuple[str, str, int]] = []
    for name in ATTRIBUTES:
        entry = entries.get(name, {})
        if not isinstance(entry, dict) or set(entry) - {"by", "sources"}:
            raise ConfigurationError(f"{path}: attribute {name} may hold only by and sources.")
        rules[name] = _criteria(path, name, entry.get("by", ["latest"]))
        order = _sources(path, f"{name}.sources", entry["sources"], channels) if "sources" in entry else usual
        ranks += [(name, channel.id, _rank(order, channel.id, channel.kind)) for channel in channels.channels.values()]
    return rules, ranks


def _criteria(path: Path, name: str, by: Any) -> list[str]:
    known = isinstance(by, list) and bool(by) and all(one in CRITERIA for one in by) and len(set(by)) == len(by)
    if not known or len(by) > 3 or {"latest", "earliest"} <= set(by):
        raise ConfigurationError(
            f"{path}: {name}.by is {by!r}; list up to three of {', '.join(CRITERIA)}, latest or earliest but not both."
        )
    return list(by)


def _sources(path: Path, where: str, names: Any, channels: Channels) -> list[str]:
    known = {word for channel in channels.channels.values() for word in (channel.id, channel.kind)}
    if not isinstance(names, list) or any(name not in known and name not in KINDS for name in names):
        raise ConfigurationError(
            f"{path}: {where} is {names!r}; list channels ({', '.join(channels.channels)}) or kinds of channels "
            f"({', '.join(KINDS)})."
        )
    return [str(name) for name in names]


def _rank(order: list[str], channel: str, kind: str) -> int:
    """A channel's own place before its kind's; who is not named comes last."""
    named = channel if channel in order else kind
    return order.index(named) if named in order else len(order)


def _padded(by: list[str]) -> list[str | None]:
    return [*by, *([None] * (3 - len(by)))]


def _consent_rule(settings: Settings) -> str:
    path = settings.reference("consent.yml")
    content = _read(path)
    entry = content.get("consent")
    rule = entry.get("rule") if isinstance(entry, dict) else None
    if set(content) != {"consent"} or not isinstance(entry, dict) or set(entry) != {"rule"}:
        raise ConfigurationError(f"{path} must hold `consent: {{rule: …}}` and nothing else.")
    if rule not in CONSENT_RULES:
        raise ConfigurationError(f"{path}: consent.rule is {rule!r}; choose one of: {', '.join(CONSENT_RULES)}.")
    return str(rule)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must be a mapping of names to values; see the one that comes with omnilake.")
    return content
