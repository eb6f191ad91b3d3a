"""Identity kinds, and the reference file identity.yml that says how far each may link.

Belongs here: the closed list of kinds and the checked configuration. Does not belong here: any SQL.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ConfigurationError
from pipelines.identity.linkage.settings import LinkageRules, read_linkage
from pipelines.settings import Settings


@dataclass(frozen=True)
class Kind:
    """One linking kind. `number` is its code in the tables and its rank when several identifiers could decide."""

    number: int
    name: str
    is_global: bool


KINDS = tuple(
    Kind(number, name, is_global)
    for number, (name, is_global) in enumerate(
        (
            ("phone", True),
            ("email", True),
            ("wechat_openid", False),
            ("wechat_unionid", True),
            ("alipay_uid", True),
            ("qq_openid", False),
            ("card_no", True),
        )
    )
)
KIND = {kind.name: kind for kind in KINDS}
DEVICE = "device_id"
LIMITED = (*KIND, DEVICE)


@dataclass(frozen=True)
class IdentityRules:
    """Checked content of identity.yml.

    limits: the most members a value may be on, by kind (device_id too).
    household_kinds, recycled_kinds: kinds whose shared value can belong to two persons.
    recycled_after_days: a value unseen for more days than this may have a new owner.
    linkage: who is linked though no identifier says so.
    """

    limits: dict[str, int]
    household_kinds: tuple[str, ...]
    recycled_kinds: tuple[str, ...]
    recycled_after_days: int
    linkage: LinkageRules = field(default_factory=LinkageRules)

    def fingerprint(self) -> str:
        """Equal digests mean equal exact links: a change of their rules calls for a full rebuild."""
        rules = (sorted(self.limits.items()), self.household_kinds, self.recycled_kinds, self.recycled_after_days)
        return hashlib.sha256(repr(rules).encode()).hexdigest()


def load_rules(settings: Settings) -> IdentityRules:
    """Read and check identity.yml. Raises ConfigurationError naming the file, the entry and the remedy."""
    path = settings.reference("identity.yml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}); restore it or give your own.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    content = {} if content is None else content
    known = {"limits", "household_kinds", "recycled_kinds", "recycled_after_days", "linkage"}
    if not isinstance(content, dict) or set(content) - known:
        raise ConfigurationError(f"{path} may hold only {', '.join(sorted(known))}.")
    return IdentityRules(
        limits=_limits(path, content.get("limits")),
        household_kinds=_kinds(path, "household_kinds", content),
        recycled_kinds=_kinds(path, "recycled_kinds", content),
        recycled_after_days=_whole(path, "recycled_after_days", content.get("recycled_after_days", 365)),
        linkage=read_linkage(path, content.get("linkage")),
    )


def _limits(path: Path, given: Any) -> dict[str, int]:
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: limits must map kinds to whole numbers.")
    for name in given:
        if name != "default" and name not in LIMITED:
            raise ConfigurationError(f"{path}: limits names {name!r}; choose of default, {', '.join(LIMITED)}.")
    default = _whole(path, "limits.default", given.get("default", 10))
    return {name: _whole(path, f"limits.{name}", given.get(name, default)) for name in LIMITED}


def _kinds(path: Path, entry: str, content: dict[str, Any]) -> tuple[str, ...]:
    names = content.get(entry, ["phone"])
    if not isinstance(names, list) or not all(isinstance(name, str) and name in KIND for name in names):
        raise ConfigurationError(f"{path}: {entry} must be a list out of {', '.join(KIND)}.")
    return tuple(sorted(set(names)))


def _whole(path: Path, entry: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{path}: {entry} is {value!r}; give a whole number of 1 or more.")
    return value
