"""The faults of a row as SQL: what is looked for, in the columns' order, and the reason that its sender is given.

Belongs here: required values, untypable values, ranges, nested lines. Does not belong here: how a value is typed
(values.py). Conditions may see `text_`, `value_`, `wrong_` and `codes_` columns (parse.py, validate.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.feeds.contract import Column, Feed
from pipelines.feeds.sql import quoted
from pipelines.feeds.values import nested_value


@dataclass(frozen=True)
class Fault:
    """One way in which a row can be wrong. `code` marks it in SQL; `child` is set for a value in a nested line."""

    code: int
    column: str | None
    child: str | None
    reason: str


class Ladder:
    """The faults of a feed, in the order in which they are looked for: the columns' order."""

    def __init__(self, feed: Feed, absent: tuple[str, ...]) -> None:
        self.faults: list[Fault] = []
        self._whens = ["WHEN broken IS NOT NULL THEN 1"]
        self._values: list[str] = []
        self._lists: list[tuple[Column, int, list[str]]] = []
        self._add(None, None, "")
        for column in feed.columns:
            self._add_column(feed, column, absent)

    def case(self) -> str:
        return "CASE " + "\n".join(self._whens) + " END"

    def element_codes(self) -> str:
        """Per nested list, per element: 0 or the code of its first fault; null where no element can be faulty."""
        lists = [
            f"CASE WHEN list_contains(list_transform(text_{column.name}, lambda item: {_may_be_faulty(column)}), TRUE) "
            f"THEN list_transform(text_{column.name}, lambda item: CASE {' '.join(whens)} ELSE 0 END) END "
            f"AS codes_{column.name}"
            for column, _, whens in self._lists
        ]
        return ", ".join(lists) or "0 AS no_nested_lists"

    def element(self) -> str:
        """Index, from 0, of the first faulty element where the fault is a nested one."""
        whens = [
            f"WHEN _fault BETWEEN {first} AND {first + len(codes) - 1} THEN {_first_faulty(column)} - 1"
            for column, first, codes in self._lists
        ]
        return f"CASE {' '.join(whens)} END" if whens else "CAST(NULL AS INTEGER)"

    def value(self) -> str:
        return f"CASE _fault {' '.join(self._values)} END" if self._values else "CAST(NULL AS VARCHAR)"

    def _add(self, column: str | None, child: str | None, reason: str) -> int:
        code = len(self.faults) + 1
        self.faults.append(Fault(code, column, child, reason))
        return code

    def _check(self, column: Column, condition: str, reason: str) -> None:
        code = self._add(column.name, None, reason)
        self._whens.append(f"WHEN {condition} THEN {code}")
        self._values.append(f"WHEN {code} THEN CAST(text_{column.name} AS VARCHAR)")

    def _add_column(self, feed: Feed, column: Column, absent: tuple[str, ...]) -> None:
        text, value = f"text_{column.name}", f"value_{column.name}"
        if column.kind in ("id_list", "struct_list", "json", "id", "text"):
            self._check(
                column, f"wrong_{column.name}", _SHAPES.get(column.kind, "must be one value, not a list or object")
            )
        if column.required and column.name not in absent:
            self._check(column, f"{text} IS NULL", "is missing; every row needs it")
        if column.kind == "id_list":
            nested = f"len(list_filter({text}, lambda item: is_nested_json(item))) > 0"
            self._check(column, nested, "must be a list of plain values")
        elif column.kind == "struct_list":
            self._add_nested(column)
            if feed.name == "orders" and column.required:
                self._check(column, f"len({text}) = 0", "is empty; an order needs at least one line")
        elif column.kind not in ("id", "text", "json"):
            for condition, reason in _value_faults(column, text, value):
                self._check(column, condition, reason)

    def _add_nested(self, column: Column) -> None:
        first = len(self.faults) + 1
        whens: list[str] = []

        def check(child: str | None, condition: str, reason: str) -> None:
            code = self._add(column.name, child, reason)
            whens.append(f"WHEN {condition} THEN {code}")
            shown = f"text_{column.name}[{_first_faulty(column)}]" + (f'."{child}"' if child else "")
            self._values.append(f"WHEN {code} THEN CAST({shown} AS VARCHAR)")

        check(None, "item IS NULL", "must be an object")
        for child in column.children:
            text, value = f"unless_blank(item.{quoted(child.name)})", nested_value(child)
            if child.required:
                check(child.name, f"{text} IS NULL", "is missing; every line needs it")
            if child.kind in ("id", "text"):
                check(child.name, f"is_nested_json({text})", "must be one value, not a list or object")
            else:
                for condition, reason in _value_faults(child, text, value):
                    check(child.name, condition, reason)
        self._lists.append((column, first, whens))
        self._whens.append(f"WHEN list_max(codes_{column.name}) > 0 THEN codes_{column.name}[{_first_faulty(column)}]")


_SHAPES = {
    "id_list": "must be a JSON list of values",
    "struct_list": "must be a JSON list of objects",
    "json": "must be a JSON object",
}


def _first_faulty(column: Column) -> str:
    return f"list_position(list_transform(codes_{column.name}, lambda code: code > 0), TRUE)"


def _may_be_faulty(column: Column) -> str:
    """A cheap condition that every faulty element meets, so that the ladder is climbed for hardly any."""
    conditions = ["item IS NULL"]
    for child in column.children:
        text, value = f"item.{quoted(child.name)}", nested_value(child)
        conditions.append(f"{value} IS NULL" if child.required else f"({value} IS NULL AND {text} IS NOT NULL)")
        if child.kind in ("id", "text"):
            conditions.append(f"coalesce(is_container({value}), FALSE)")
        elif child.kind in ("amount", "decimal", "quantity"):
            conditions.append(f"({text} IS NOT NULL AND NOT is_money({text}))")
        if child.kind == "quantity":
            conditions.append(f"coalesce({value} <= 0, FALSE)")
    return " OR ".join(conditions)


def _value_faults(column: Column, text: str, value: str) -> list[tuple[str, str]]:
    """Conditions under which a value that is there is wrong, and the reason for its sender."""
    untyped = f"{text} IS NOT NULL AND {value} IS NULL"
    match column.kind:
        case "amount" | "decimal" | "quantity":
            inexact = f"{text} IS NOT NULL AND ({value} IS NULL OR NOT is_money({text}))"
            faults = [
                (f"{inexact} AND NOT is_number({text})", "is not a decimal number"),
                (inexact, "has more than 4 decimals, or more than 14 digits before them"),
            ]
            return [*faults, (f"{value} <= 0", "must be above 0")] if column.kind == "quantity" else faults
        case "fx_rate":
            return [(untyped, "is not a decimal number"), (f"{value} <= 0", "must be above 0")]
        case "rating":
            outside = f"TRY_CAST({text} AS DOUBLE) NOT BETWEEN 1 AND 5"
            return [(outside, "must be from 1 to 5"), (untyped, "is not a number")]
        case "timestamp":
            return [(untyped, "is not an ISO 8601 time such as 2024-05-01T10:00:00+08:00, or is an impossible one")]
        case "date":
            return [(untyped, "is not a date such as 2024-05-01, or is an impossible one")]
        case "boolean":
            return [(untyped, "is neither true nor false")]
        case "currency":
            return [(untyped, "is not an ISO 4217 currency code such as CNY")]
        case "timezone":
            return [(untyped, "is not an IANA time zone such as Asia/Shanghai")]
        case "choice":
            return [(untyped, f"is none of {', '.join(column.choices)}")]
        case _:
            return [(untyped, "is not a number")]
