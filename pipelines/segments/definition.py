"""A segment's definition: a small JSON tree, checked whole before anything is made of it. Pure.

A node is one of
  {"all": [node, …]}                  every one holds
  {"any": [node, …]}                  at least one holds
  {"not": node}                       it does not hold
  {"column": C, "op": O, "value": V}  a column of the customer
  {"tag": T}                          the customer has the tag; with "value": with that value
  {"events": M, "op": O, "value": N}  so many orders, days, quantity or net_amount of the customer's events; optional
                                      "within_days" (up to the as-of date) and "where": {"channel": [...], …}

A comparison with nothing (null) does not hold, so that a node and its "not" never both hold or both fail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from pipelines.errors import ConfigurationError
from pipelines.segments.catalogue import EVENT_FILTERS, EVENT_MEASURES, Column, Kind

DEEPEST = 8
MOST_CONDITIONS = 60
MOST_VALUES = 1_000
LONGEST_TEXT = 200

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
OPERATORS: dict[Kind, tuple[str, ...]] = {
    "text": ("in", "not_in", "contains", "starts_with", "is_null", "is_not_null"),
    "number": (*COMPARISONS, "between", "is_null", "is_not_null"),
    "boolean": ("is", "is_null", "is_not_null"),
    "date": (*COMPARISONS, "between", "within_days", "not_within_days", "is_null", "is_not_null"),
    "instant": (*COMPARISONS, "between", "within_days", "not_within_days", "is_null", "is_not_null"),
}
"""What can be asked of a column. within_days: in the last so many days up to the as-of date, that one included."""

Value: TypeAlias = str | bool | Decimal | date | tuple[str, ...] | tuple[Decimal, ...] | tuple[date, ...] | int | None


@dataclass(frozen=True)
class Every:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True)
class Compare:
    """A column of the customer compared with a value."""

    column: str
    kind: Kind
    op: str
    value: Value


@dataclass(frozen=True)
class HasTag:
    """The customer has a tag, with a certain value if one is given."""

    tag: str
    value: str | None


@dataclass(frozen=True)
class CountEvents:
    """A measure of the customer's events compared with a number. where: values by column, any of each."""

    measure: str
    op: str
    value: Decimal
    within_days: int | None
    where: tuple[tuple[str, tuple[str, ...]], ...]


Node: TypeAlias = Every | Some | Not | Compare | HasTag | CountEvents


def parse(text: str) -> Any:
    """JSON as a definition file holds it. Raises ConfigurationError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=lambda word: word)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"The definition is not JSON ({type(error).__name__}).") from error


def canonical(tree: Any) -> str:
    """One text for one tree; two definitions are the same if these are."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def check(tree: Any, columns: Mapping[str, Column]) -> Node:
    """The tree as nodes. Raises ConfigurationError that says where and lists what would be right."""
    budget = [MOST_CONDITIONS]
    return _node(tree, columns, "definition", 1, budget)


def _node(tree: Any, columns: Mapping[str, Column], where: str, depth: int, budget: list[int]) -> Node:
    if depth > DEEPEST:
        raise ConfigurationError(f"{where}: conditions lie more than {DEEPEST} deep; flatten them.")
    budget[0] -= 1
    if budget[0] < 0:
        raise ConfigurationError(f"A segment has at most {MOST_CONDITIONS} conditions; make two of it.")
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{where} must be an object with all, any, not, column, tag or events.")
    heads = [head for head in ("all", "any", "not", "column", "tag", "events") if head in tree]
    if len(heads) != 1:
        raise ConfigurationError(f"{where} must have exactly one of all, any, not, column, tag, events.")
    (head,) = heads
    here = f"{where}.{head}"
    if head == "not":
        _only(tree, here, {"not"})
        return Not(_node(tree["not"], columns, here, depth + 1, budget))
    if head in ("all", "any"):
        _only(tree, here, {head})
        listed = tree[head]
        if not isinstance(listed, list) or not listed:
            raise ConfigurationError(f"{here} must be a list of at least one condition.")
        parts = tuple(_node(part, columns, f"{here}[{place}]", depth + 1, budget) for place, part in enumerate(listed))
        return Every(parts) if head == "all" else Some(parts)
    if head == "column":
        return _compare(tree, columns, here)
    return _tag(tree, here) if head == "tag" else _events(tree, here)


def _only(tree: dict[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(str(name) for name in tree.keys() - known)
    if unknown:
        raise ConfigurationError(f"{where} has {', '.join(unknown)}; known there: {', '.join(sorted(known))}.")


def _compare(tree: dict[str, Any], columns: Mapping[str, Column], where: str) -> Compare:
    _only(tree, where, {"column", "op", "value"})
    name, op = tree["column"], tree.get("op")
    column = columns.get(name) if isinstance(name, str) else None
    if column is None:
        raise ConfigurationError(f"{where} is {_shown(name)}; choose one of: {', '.join(sorted(columns))}.")
    if op not in OPERATORS[column.kind]:
        raise ConfigurationError(f"{where} {name}: op is {_shown(op)}; choose of: {', '.join(OPERATORS[column.kind])}.")
    return Compare(name, column.kind, op, _value(tree.get("value"), column.kind, op, f"{where} {name} {op}"))


def _value(value: Any, kind: Kind, op: str, where: str) -> Value:
    if op in ("is_null", "is_not_null"):
        if value is not None:
            raise ConfigurationError(f"{where} takes no value.")
        return None
    if op in ("within_days", "not_within_days"):
        return _days(value, where)
    if op == "is":
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where} takes true or false, not {_shown(value)}.")
        return value
    if op in ("in", "not_in"):
        return _texts(value, where)
    if op == "between":
        if not isinstance(value, list) or len(value) != 2:
            raise ConfigurationError(f"{where} takes a list of two, from and to (both included).")
        if kind == "number":
            return (_number(value[0], where), _number(value[1], where))
        return (_date(value[0], where), _date(value[1], where))
    if kind == "text":
        return _text(value, where)
    return _number(value, where) if kind == "number" else _date(value, where)


def _tag(tree: dict[str, Any], where: str) -> HasTag:
    _only(tree, where, {"tag", "value"})
    value = tree.get("value")
    return HasTag(_text(tree["tag"], where), None if value is None else _text(value, where))


def _events(tree: dict[str, Any], where: str) -> CountEvents:
    _only(tree, where, {"events", "op", "value", "within_days", "where"})
    measure, op, filters = tree["events"], tree.get("op"), tree.get("where", {})
    if not isinstance(measure, str) or measure not in EVENT_MEASURES:
        raise ConfigurationError(f"{where} is {_shown(measure)}; choose one of: {', '.join(EVENT_MEASURES)}.")
    if op not in COMPARISONS:
        raise ConfigurationError(f"{where} {measure}: op is {_shown(op)}; choose of: {', '.join(COMPARISONS)}.")
    if not isinstance(filters, dict) or not filters.keys() <= EVENT_FILTERS.keys():
        raise ConfigurationError(f"{where}.where takes lists by name, of: {', '.join(EVENT_FILTERS)}.")
    days = tree.get("within_days")
    return CountEvents(
        measure,
        op,
        _number(tree.get("value"), where),
        None if days is None else _days(days, f"{where}.within_days"),
        tuple(sorted((name, _texts(values, f"{where}.where.{name}")) for name, values in filters.items())),
    )


def _days(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 36_500:
        raise ConfigurationError(f"{where} takes a whole number of days from 1 to 36500, not {_shown(value)}.")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
        raise ConfigurationError(f"{where} takes a list of 1 to {MOST_VALUES} texts.")
    return tuple(_text(item, where) for item in value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT or not _can_be_stored(value):
        raise ConfigurationError(f"{where} takes a text of 1 to {LONGEST_TEXT} characters, not {_shown(value)}.")
    return value


def _can_be_stored(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _number(value: Any, where: str) -> Decimal:
    """Up to 15 digits before the point and 4 after it, as money has."""
    if not isinstance(value, bool) and isinstance(value, int | Decimal | str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite() and abs(number) < 10**15 and number == round(number, 4):
            return round(number, 4)
    raise ConfigurationError(f"{where} takes a number with at most 4 decimals, not {_shown(value)}.")


def _date(value: Any, where: str) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{where} takes a date such as 2026-06-30, not {_shown(value)}.") from error


def _shown(value: Any) -> str:
    return repr(value)[:60]
