"""What traces of a person look like in tables and texts: patterns and replacements.

Belongs here: recognising customer ids, tokens and memberships wherever they stand. Does not belong here: which tables
and files there are.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.feeds.erasing import LOCAL_KINDS, SEPARATOR
from pipelines.feeds.erasure_order import ErasureOrder
from pipelines.feeds.sql import literal, quoted

FACTS = ("campaign_coupons", "order_events", "orders")
"""Marts whose rows stay as nobody's; rows of a person go from every other mart."""

_MEMBER_COLUMNS = ("member_id", "identity", "source_member", "address")
_CHANNEL_COLUMNS = ("channel", "source_channel")
_BEFORE, _AFTER = r"(^|[^0-9A-Za-z_/-])", r"($|[^0-9A-Za-z_/-])"


@dataclass(frozen=True)
class Traces:
    """The traces of the persons of some orders."""

    orders: Sequence[ErasureOrder]

    @cached_property
    def customers(self) -> tuple[str, ...]:
        return tuple(sorted({one for order in self.orders for one in order.customers}))

    @cached_property
    def members(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted({one for order in self.orders for one in order.members}))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({key for order in self.orders for key in order.keys}))

    @cached_property
    def long_names(self) -> tuple[str, ...]:
        """Customer ids, tokens and what identity makes of tokens: long enough to be meant wherever they stand."""
        tokens = [token for order in self.orders for token in order.tokens]
        names = {*self.customers, *(token.token for token in tokens)}
        for token in tokens:
            if token.kind in LOCAL_KINDS:
                text = SEPARATOR.join((token.kind, token.channel or "", token.token))
                names.add(str(uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())))
            elif re.fullmatch("[0-9a-f]{32}", token.token):
                names.add(str(uuid.UUID(token.token)))
        return tuple(sorted(names))

    @cached_property
    def pattern(self) -> str:
        """A regular expression (RE2 and Python's) that finds the person in a text; matches nothing without traces."""
        memberships = [
            form
            for channel, member_id in self.members
            for form in (
                _BEFORE + re.escape(f"{channel}/{member_id}") + _AFTER,
                re.escape(f'"{channel}"') + ", ?" + re.escape(f'"{member_id}"'),
            )
        ]
        return "|".join([*map(re.escape, self.long_names), *memberships]) or r"[^\s\S]"

    def scrubbed(self, text: str) -> str:
        """The text with names that lead nowhere in the person's place."""
        nobody = f"erased-{secrets.token_hex(6)}"
        for channel, member_id in self.members:
            text = re.sub(
                _BEFORE + re.escape(f"{channel}/{member_id}") + _AFTER,
                lambda found: f"{found.group(1)}{nobody}{found.group(2)}",
                text,
            )
            text = re.sub(
                re.escape(f'"{channel}"') + ", ?" + re.escape(f'"{member_id}"'), f'"erased", "{nobody}"', text
            )
        for name in self.long_names:
            text = text.replace(name, nobody)
        return text

    def select(self, table: str, source: str, columns: Sequence[tuple[str, str]], *, keep: bool) -> str:
        """SQL: the rows of a mart or log without the person. columns: names and types.

        keep: the person's rows stay, with what names them emptied.
        """
        conditions = {name: condition for name, kind in columns if (condition := self._condition(name, kind, columns))}
        if not conditions:
            return f"SELECT * FROM {source}"
        if not keep:
            return f"SELECT * FROM {source} WHERE NOT coalesce({' OR '.join(conditions.values())}, FALSE)"
        emptied = ", ".join(
            f"CASE WHEN coalesce({condition}, FALSE) THEN NULL ELSE {quoted(name)} END AS {quoted(name)}"
            for name, condition in conditions.items()
        )
        return f"SELECT * REPLACE ({emptied}) FROM {source}"

    def _condition(self, name: str, kind: str, columns: Sequence[tuple[str, str]]) -> str | None:
        """SQL condition that the column names the person; None for columns that can't. Null columns name nobody."""
        is_text = kind == "VARCHAR" or kind == "UUID"
        if not is_text and not any(mark in kind for mark in ("VARCHAR", "JSON")):
            return None
        value = quoted(name) if is_text else f"CAST({quoted(name)} AS VARCHAR)"
        if name.endswith("customer_id"):
            chosen = ", ".join(map(literal, self.customers)) or "NULL"
            return f"coalesce({value} IN ({chosen}), FALSE)"
        condition = f"regexp_matches({value}, {literal(self.pattern)})"
        channel = next((one for one, _ in columns if one in _CHANNEL_COLUMNS), None)
        if name in _MEMBER_COLUMNS and channel and self.members:
            chosen = ", ".join(literal(SEPARATOR.join(member)) for member in self.members)
            condition = f"({condition} OR {quoted(channel)} || chr(31) || {value} IN ({chosen}))"
        return f"coalesce({condition}, FALSE)"
