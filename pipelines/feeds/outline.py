"""What a line of JSON holds, told from its bytes alone: how many fields are filled.

Belongs here: that count, over a whole block at once. Does not belong here: reading the fields (parse.py), and what the
count proves (plain.py).
"""

from __future__ import annotations

import numpy as np

UNTOLD = -1
"""The count of a line whose bytes leave it open; no row has so many fields."""

_WINDOW = 2**19
_QUOTE, _COLON, _SPACE, _BACKSLASH = (ord(character) for character in '": \\')
_NULL, _LIST, _OBJECT = (ord(character) for character in "n[{")


def filled_fields(data: bytes, starts: np.ndarray) -> np.ndarray:
    """Per line (`starts` as of TextBlock.line_starts) its fields that are neither null nor "", at any depth, as int32.

    A field that holds a list or an object counts twice, which tells it from one that holds a plain value. A text that
    begins with a colon may count as a field, so the count is never too low. UNTOLD where a string may hide a quote
    (backslashes), where spaces stand before a colon or more than one behind it, or where a text begins with a space.
    """
    text = np.frombuffer(data, np.uint8)
    keys, unclear = _colons(text, has_backslash=b"\\" in data)
    values = _values(text, keys)
    first = text[values]
    strings = values[first == _QUOTE]
    inner = text[np.minimum(strings + 1, len(text) - 1)]
    counts = _per_line(keys, starts)
    counts -= _per_line(values[first == _NULL], starts) + _per_line(strings[inner == _QUOTE], starts)
    counts += _per_line(values[(first == _LIST) | (first == _OBJECT)], starts)
    unclear = np.concatenate((unclear, values[first <= _SPACE], strings[inner <= _SPACE]))
    if len(unclear):
        counts[_per_line(np.sort(unclear), starts) > 0] = UNTOLD
    return counts


def _colons(text: np.ndarray, *, has_backslash: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where colons follow a quote, and where something makes the line unclear. Window by window, within the cache."""
    keys, unclear = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(1, len(text), _WINDOW):
        before, here = text[start - 1 : start + _WINDOW - 1], text[start : start + _WINDOW]
        before = before[: len(here)]
        colon = here == _COLON
        keys.append(np.flatnonzero(colon & (before == _QUOTE)) + start)
        strange = colon & (before <= _SPACE)
        if has_backslash:
            strange |= here == _BACKSLASH
        if strange.any():
            unclear.append(np.flatnonzero(strange) + start)
    return np.concatenate(keys), np.concatenate(unclear)


def _values(text: np.ndarray, colons: np.ndarray) -> np.ndarray:
    """Where the value behind each colon begins, with or without a single space between."""
    last = len(text) - 1
    places = np.minimum(colons + 1, last)
    places += text[places] == _SPACE
    return np.minimum(places, last)


def _per_line(positions: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.diff(np.searchsorted(positions, starts)).astype(np.int32)
