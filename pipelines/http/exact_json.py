"""JSON whose numbers keep every digit: a number with a fraction is a Decimal on both ways, never a float."""

from __future__ import annotations

import json
import re
import secrets
from decimal import Decimal
from typing import Any

_MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_LONGEST_PLAIN = 40
"""Powers of ten; a number beyond keeps its exponent, for 1e999999 written out would fill the memory."""


def dumps(value: Any) -> str:
    """Compact JSON text; a Decimal becomes a plain number.

    Raises ValueError for a number that JSON can't hold (NaN, infinite) and TypeError for what is no JSON value.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_mark)
    return _MARKED.sub(r"\1", text)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError if it is none, NaN and infinities included."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None


def _mark(value: Any) -> str:
    # The encoder has no way to write a Decimal as a number: it writes marked text, whose quotes are then taken off.
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    if not value.is_finite():
        raise ValueError("JSON holds no NaN and no infinity")
    plain = abs(value.adjusted()) <= _LONGEST_PLAIN
    return _MARK + (format(value, "f") if plain else str(value))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
