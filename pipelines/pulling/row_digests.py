"""Telling whether a row was landed as it is now, without keeping the row.

Belongs here: what makes two rows the same row and the same content. Does not belong here: where digests are kept
(pull_state). Digests are keyed with the home's token key: nobody without it can try out phone numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipelines.feeds.contract import FEEDS
from pipelines.http import exact_json

_COUNTED = {"inventory": "counted_at"}
"""Feeds of measurements: the instant of measuring is part of the row's key, but no change."""

REPEATED_AFTER = timedelta(hours=20)
"""An unchanged measurement is landed again after so long: it says that this is still so."""


@dataclass(frozen=True)
class RowDigests:
    """Digests of the rows of one channel on one server."""

    token_key: bytes = field(repr=False)
    place: str

    def key(self, feed: str, row: Mapping[str, Any]) -> bytes:
        """The same for all versions of a row. A row without its whole key is known by its content alone."""
        values = [row.get(name) for name in FEEDS[feed].key if name != _COUNTED.get(feed)]
        optional = feed == "prices"  # a price of every store names none
        if any(value in (None, "") for value in values) and not (optional and row.get("sku")):
            return self._digest("content", feed, exact_json.encode(row, sort_keys=True))
        return self._digest("key", feed, exact_json.encode([str(value) for value in values]))

    def content(self, feed: str, row: Mapping[str, Any]) -> bytes:
        """The same as long as nothing in the row changes."""
        told = {name: value for name, value in row.items() if name != _COUNTED.get(feed)}
        return self._digest("content", feed, exact_json.encode(told, sort_keys=True))

    def _digest(self, what: str, feed: str, text: bytes) -> bytes:
        digest = hashlib.blake2b(text, digest_size=16, key=self.token_key[:64], person=b"omnilake-pull")
        digest.update(f"\n{what}\n{feed}\n{self.place}".encode())
        return digest.digest()


def is_repeated(feed: str, age: timedelta) -> bool:
    """Whether an unchanged row that was landed so long ago is landed again."""
    return feed in _COUNTED and age >= REPEATED_AFTER
