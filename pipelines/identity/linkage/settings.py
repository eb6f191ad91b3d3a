"""Section `linkage` of identity.yml, checked.

Belongs here: its entries and their limits. Does not belong here: the rest of the file (config.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError

LINKABLE_FIELDS = ("name", "birthday", "gender", "city", "address", "phone", "email")
"""What the vault and the members feed say of a person."""
SURE_BITS = 7.0
"""128 to 1: of the pairs just above it, fewer than one in a hundred is expected to be wrong."""
REVIEW_BITS = 0.0


@dataclass(frozen=True)
class LinkageRules:
    """enabled: whether to link at all. sure_bits: from this score on pairs join by themselves. review_bits: above this
    one a person is asked; 0 is "likelier than not". fields: what may be compared."""

    enabled: bool = True
    sure_bits: float = SURE_BITS
    review_bits: float = REVIEW_BITS
    fields: tuple[str, ...] = LINKABLE_FIELDS


def read_linkage(path: Path, given: Any) -> LinkageRules:
    """The section as it stands in the file. Raises ConfigurationError naming the file, the entry and the remedy."""
    given = {} if given is None else given
    known = {"enabled", "sure_bits", "review_bits", "fields"}
    if not isinstance(given, dict) or set(given) - known:
        raise ConfigurationError(f"{path}: linkage may hold only {', '.join(sorted(known))}.")
    enabled = given.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ConfigurationError(f"{path}: linkage.enabled is {enabled!r}; give true or false.")
    sure = _bits(path, "sure_bits", given.get("sure_bits", SURE_BITS))
    review = _bits(path, "review_bits", given.get("review_bits", REVIEW_BITS))
    if review > sure:
        raise ConfigurationError(
            f"{path}: linkage.review_bits is {review:g}, above sure_bits, {sure:g}; nothing would be left to review."
        )
    fields = given.get("fields", list(LINKABLE_FIELDS))
    if not isinstance(fields, list) or not fields or set(map(str, fields)) - set(LINKABLE_FIELDS):
        raise ConfigurationError(f"{path}: linkage.fields must be a list out of {', '.join(LINKABLE_FIELDS)}.")
    return LinkageRules(enabled, sure, review, tuple(field for field in LINKABLE_FIELDS if field in fields))


def _bits(path: Path, entry: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise ConfigurationError(
            f"{path}: linkage.{entry} is {value!r}; give a number from 0 (as likely as not) to 100; 10 is 1,000 to 1."
        )
    return float(value)
