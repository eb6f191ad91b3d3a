"""What a line of JSON holds, told from its bytes alone: how many fields are filled.

Belongs here: that count, over a whole block at once. Does not belong here: reading the fields (parse.py), and what the
count proves (plain.py).
"""

from __future__ import annotations

import numpy as np

UNTOLD = -1
"""The count of a line whose bytes leave it open; no row has so many fields."""

_WINDOW = 2**19
"""Bytes looked at in one go: small enough for the temporaries to stay in the cache."""

_QUOTE, _COLON, _SPACE, _BACKSLASH = (ord(character) for character in '": \\')
_NULL, _LIST, _OBJECT = (ord(character) for character in "n[{")


def filled_fields(data: bytes, starts: np.ndarray) -> np.ndarray:
    """Per line (`starts` as of TextBlock.line_starts) its fields that are not null, at any depth, as int32.

    A field that holds a list or an object counts twice, which tells it from one that holds a plain value. A text that
    begins with a colon may count as a field, so the count is never too low. UNTOLD where a string may hide a quote
    (backslashes), where spaces stand before a colon or more than one behind it, or where a text begins with a space.
    """
    text = np.frombuffer(data, np.uint8)
    has_backslash = b"\\" in data
    keys, weights, unclear = [], [], []
    for start in range(1, len(text), _WINDOW):
        here, before = text[start : start + _WINDOW], text[start - 1 : start + _WINDOW - 1][: len(text) - start]
        colon = here == _COLON
        found = np.flatnonzero(colon & (before == _QUOTE)) + start
        weight, is_unclear = _weights(text, found)
        keys.append(found.astype(np.int32))
        weights.append(weight)
        strange = colon & (before <= _SPACE)
        if has_backslash:
            strange |= here == _BACKSLASH
        if strange.any():
            unclear.append(np.flatnonzero(strange) + start)
        if is_unclear.any():
            unclear.append(found[is_unclear])
    if not keys:
        return np.zeros(len(starts) - 1, np.int32)
    totals = np.concatenate(([0], np.cumsum(np.concatenate(weights), dtype=np.int32)))
    counts = np.diff(totals[np.searchsorted(np.concatenate(keys), starts.astype(np.int32))]).astype(np.int32)
    for positions in unclear:
        counts[np.searchsorted(starts, positions, side="right") - 1] = UNTOLD
    return counts


def _weights(text: np.ndarray, colons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the field of each colon counts, and whether its value leaves that open."""
    last = len(text) - 1
    places = np.minimum(colons + 1, last)
    first = text[places]
    if (first == _SPACE).any():
        places = np.minimum(places + (first == _SPACE), last)
        first = text[places]
    is_string = first == _QUOTE
    # The byte behind the first matters in strings only.
    inner = text[np.minimum(places + 1, last)]
    weights = np.ones(len(colons), np.int8)
    weights[first == _NULL] = 0
    weights[(first == _LIST) | (first == _OBJECT)] = 2
    return weights, (first <= _SPACE) | (is_string & (inner <= _SPACE))
