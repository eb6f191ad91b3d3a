"""Words of the pages in Chinese and English, and the definitions every number links to.

Belongs here: reading `locales/*.yml` and `definitions.yml` and looking words up. Does not belong here: the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from dashboards.formats import LanguageCode

_HERE = Path(__file__).resolve().parent
LANGUAGES: tuple[LanguageCode, ...] = ("zh", "en")


@lru_cache(maxsize=len(LANGUAGES))
def words(language: LanguageCode) -> dict[str, str]:
    """All words of a language, flat: `overview.title` to its text."""
    content = yaml.safe_load((_HERE / "locales" / f"{language}.yml").read_text(encoding="utf-8"))
    return dict(_flatten(content, ""))


def _flatten(content: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in content.items():
        key = f"{prefix}{name}"
        pairs += _flatten(value, f"{key}.") if isinstance(value, dict) else [(key, str(value))]
    return pairs


@lru_cache(maxsize=1)
def definitions() -> dict[str, dict[LanguageCode, dict[str, str]]]:
    """Every metric by id: for each language its `name`, `text` and `formula`."""
    content: dict[str, dict[LanguageCode, dict[str, str]]] = yaml.safe_load(
        (_HERE / "definitions.yml").read_text(encoding="utf-8")
    )
    return content


@lru_cache(maxsize=len(LANGUAGES))
def _reasons(language: LanguageCode) -> list[tuple[re.Pattern[str], str]]:
    path = _HERE / "locales" / f"reasons.{language}.yml"
    if not path.exists():  # English: as the platform gives them
        return []
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [(re.compile(entry["en"]), entry[language]) for entry in entries]


@dataclass(frozen=True)
class Language:
    """The reader's language."""

    code: LanguageCode

    def text(self, key: str, **values: object) -> str:
        """The words of a key with `{name}` filled in. Raises KeyError for a key no locale has: a programming error."""
        return words(self.code)[key].format(**values)

    def name_of(self, group: str, value: str | None) -> str:
        """The name of a coded value such as a lifecycle stage; a value without one reads as itself."""
        if value is None:
            return self.text("common.none")
        return words(self.code).get(f"{group}.{value}", value)

    def reason(self, reason: str | None) -> str:
        """A reason that the platform gave, in the reader's language where it has words for it."""
        if reason is None:
            return self.text("common.none")
        for pattern, words_of_it in _reasons(self.code):
            if found := pattern.fullmatch(reason):
                return words_of_it.format(*found.groups())
        return reason

    def metric(self, metric: str) -> str:
        """The name of a defined metric."""
        return definitions()[metric][self.code]["name"]

    def tooltip(self, metric: str) -> str:
        """What the metric is, how it is computed, and a link to its place on the page of definitions."""
        entry = definitions()[metric][self.code]
        link = f"[{self.text('common.definition')}](definitions?lang={self.code}#{anchor(metric)})"
        return f"{entry['text']}\n\n`{entry['formula']}`\n\n{link}"


def anchor(metric: str) -> str:
    """The id of the metric's heading on the page of definitions."""
    return metric.replace("_", "-")
