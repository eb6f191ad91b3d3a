"""Text into SQL, safely: names and literals of the statements that are generated here."""

from __future__ import annotations


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'
