"""From a platform's records to rows of the landing contract, without losing one and without losing a field.

Belongs here: what every translation does with a record it can't read and with fields it doesn't know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

Rows = dict[str, list[dict[str, Any]]]
"""Rows of the landing contract by feed."""

_OUR_CODE = re.compile(r"[0-9a-hjkmnp-tv-z]{14}", re.IGNORECASE)


def translated(feed: str, payload: Any, translate: Callable[[Any], Rows]) -> Rows:
    """The rows of one record. One that can't be translated becomes a row of its feed with the record as it came in
    `untranslated`: lacking what the contract requires, it goes to quarantine, where it is seen and kept."""
    try:
        return translate(payload)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ArithmeticError):
        return {feed: [{"untranslated": payload}]}


def gather(feeds: Collection[str], many: Collection[Rows]) -> Rows:
    """All rows by feed; every feed of `feeds` is there, if need be without a row."""
    rows: Rows = {feed: [] for feed in feeds}
    for one in many:
        for feed, more in one.items():
            rows.setdefault(feed, []).extend(more)
    return rows


def unknown_fields(payload: Mapping[str, Any], known: Collection[str], within: str = "") -> dict[str, Any]:
    """Fields that the translation doesn't know, to go along and be reported as drift. Their names say where they
    stood, so that none is taken for a column of the contract."""
    return {f"platform_{within}{name}": value for name, value in payload.items() if name not in known}


def said(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what is not said."""
    return {name: value for name, value in row.items() if value is not None and value != ""}


def coupon_code(code: Any) -> str:
    """A coupon code as it was issued: some platforms fold the case, and codes of ours are upper case."""
    text = str(code)
    return text.upper() if _OUR_CODE.fullmatch(text) else text


def text_id(value: Any) -> str | None:
    """An id as text; None for nothing and for 0, which platforms use for nobody."""
    return None if value in (None, "", 0, "0") else str(value)
