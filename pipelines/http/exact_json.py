"""JSON whose numbers keep every digit: a number with a fraction is a Decimal on both ways, never a float."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_LONGEST_PLAIN = 40
"""Powers of ten; a number beyond keeps its exponent, for 1e999999 written out would fill the memory."""


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """Compact JSON text; a Decimal becomes a plain number.

    Raises ValueError for a number that JSON can't hold (NaN, infinite) and TypeError for what is no JSON value.
    """
    return _dumps(value, ensure_ascii=False, sort_keys=sort_keys)


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """The same as UTF-8; half a surrogate pair, which UTF-8 can't hold, stays an escape."""
    try:
        return dumps(value, sort_keys=sort_keys).encode()
    except UnicodeEncodeError:
        return _dumps(value, ensure_ascii=True, sort_keys=sort_keys).encode()


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError if it is none.

    What a sloppy server writes into single values is let through, for one bad record must not stop its page: NaN and
    infinities become texts of their names, raw control characters stay, bytes that are no UTF-8 become U+FFFD.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    try:
        return _loads(text, int)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of thousands of digits, which int refuses
        return _loads(text, Decimal)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None


def _loads(text: str, parse_int: Callable[[str], Any]) -> Any:
    return json.loads(text, strict=False, parse_float=Decimal, parse_int=parse_int, parse_constant=str)


def _dumps(value: Any, *, ensure_ascii: bool, sort_keys: bool) -> str:
    text = json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        sort_keys=sort_keys,
        allow_nan=False,
        separators=(",", ":"),
        default=_mark,
    )
    return _MARKED.sub(r"\1", text)


def _mark(value: Any) -> str:
    # The encoder has no way to write a Decimal as a number: it writes marked text, whose quotes are then taken off.
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    if not value.is_finite():
        raise ValueError("JSON holds no NaN and no infinity")
    plain = abs(value.adjusted()) <= _LONGEST_PLAIN
    return _MARK + (format(value, "f") if plain else str(value))
