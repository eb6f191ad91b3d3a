"""The fast lane: JSON lines that are plainly in order, recognised and typed in one cheap pass.

A line is *plain* if each of its filled fields (outline.py counts them from the bytes) turned up as a typed value: then
none is unknown, twice there, of a wrong shape or untypable, at any depth. Whatever is not plain is no fault: it goes
through the ladder (validate.py), which alone decides. A plain row is one that the ladder would accept, with the same
values; a property test holds the two equal.
Belongs here: the layout of a chunk, and the SQL of the lane. Does not belong here: reasons, quarantine, drift.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.feeds.contract import Column, Feed
from pipelines.feeds.parse import NESTED, NUMBER_KINDS, text_type
from pipelines.feeds.sql import literal, quoted
from pipelines.feeds.validate import judged_outputs, typed_columns
from pipelines.feeds.values import typed_value

SAMPLE_LINES = 40

KEPT_AS_WRITTEN = ("filter_pushdown", "in_clause")
"""DuckDB's optimizers that must let the lane's statement be: a filter moved down would parse every line twice, and a
join for each vocabulary costs more than it saves."""

_NUMBER = r"-?[0-9]{1,7}(?:\.[0-9]{1,4})?"
_POSITIVE = r"[1-9][0-9]{0,6}(?:\.[0-9]{1,4})?|0\.(?:[1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9])"
"""Shorter than what a double keeps, with no more decimals than money may have."""

_TELLTALE = -1_000_000
"""Makes a count of fields that no line can have."""


@dataclass(frozen=True)
class Layout:
    """What a sample of the lines fills.

    children: for a struct_list, which fields of its elements; utc: times that all ended with Z; blank: columns that
    were an empty text somewhere.
    """

    columns: tuple[Column, ...]
    children: dict[str, tuple[str, ...]]
    utc: frozenset[str]
    blank: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def layout_of(feed: Feed, lines: pa.ChunkedArray) -> Layout | None:
    """The layout that a sample of the lines shows; None if they lack what the feed requires, or are no objects."""
    values: dict[str, list[Any]] = {}
    for position in range(0, len(lines), max(len(lines) // SAMPLE_LINES, 1)):
        for name, value in _fields(lines[position].as_py()):
            values.setdefault(name, []).append(value)
    children: dict[str, tuple[str, ...]] = {}
    for column in feed.columns:
        if column.kind == "struct_list" and column.name in values:
            elements = [element for value in values[column.name] if isinstance(value, list) for element in value]
            seen = {name for element in elements if isinstance(element, dict) for name in element}
            children[column.name] = tuple(child.name for child in column.children if child.name in seen)
    columns = tuple(
        column
        for column in feed.columns
        if column.name in values and column.kind != "json" and children.get(column.name, True)
    )
    if not set(feed.required) <= {column.name for column in columns}:
        return None
    times = [column.name for column in columns if column.kind == "timestamp"]
    return Layout(
        columns,
        children,
        frozenset(name for name in times if all(str(value).endswith("Z") for value in values[name] if value)),
        frozenset(name for name, found in values.items() if "" in found),
    )


def plain_rows(feed: Feed, layout: Layout, source: str, channel: str, promoted: Sequence[str]) -> str:
    """SELECT of the plain rows of `source` (file_no, line, raw, position, filled): columns as of `judged_outputs`.

    Left out are those that a plain row leaves null. To be run without the optimizers KEPT_AS_WRITTEN.
    """
    present = set(layout.names)
    structure = literal(json.dumps({column.name: _json_type(column, layout) for column in layout.columns}))
    texts = ", ".join(f"{_text(column, layout)} AS text_{column.name}" for column in feed.columns)
    blanks = [f"record.{quoted(column.name)} = '' AS blank_{column.name}" for column in _blank(layout)]
    typed = ", ".join(
        expression
        for column in feed.columns
        for expression in typed_columns(
            column, _value(column, layout) if column.name in present else None, utc=column.name in layout.utc
        )
    )
    found = " + ".join(_found(column, layout) for column in layout.columns)
    conditions = [f"value_{column.name} IS NOT NULL" for column in feed.columns if column.required]
    conditions += [f"len(value_{name}) > 0" for name in layout.children if name in feed.required]
    return f"""
    SELECT position AS _position, {judged_outputs(feed, channel, promoted, present)}
    FROM (
        SELECT *, {typed}
        FROM (
            SELECT file_no, line, position, filled, CAST(NULL AS VARCHAR) AS extra, {", ".join([texts, *blanks])}
            FROM (
                SELECT
                    file_no, line, position, filled,
                    json_transform(CASE WHEN json_valid(raw) THEN raw END, {structure}) AS record
                FROM {source}
                WHERE filled > 0 AND starts_with(raw, '{{') AND NOT regexp_matches(raw, ',\\s*[\\]}}]')
            )
        )
    )
    WHERE {found} = filled AND {" AND ".join(conditions)}
    """


def _fields(line: str) -> Sequence[tuple[str, Any]]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    return tuple(document.items()) if isinstance(document, dict) else ()


def _json_type(column: Column, layout: Layout) -> object:
    match column.kind:
        case "id_list":
            return ["VARCHAR"]
        case "struct_list":
            return [dict.fromkeys(layout.children[column.name], "VARCHAR")]
        case _:
            return "VARCHAR"


def _text(column: Column, layout: Layout) -> str:
    if column.name not in layout.names:
        return f"CAST(NULL AS {text_type(column)})"
    value = f"record.{quoted(column.name)}"
    return f"nullif({value}, '')" if column in _blank(layout) else value


def _blank(layout: Layout) -> list[Column]:
    return [column for column in layout.columns if column.name in layout.blank and column.kind not in NESTED]


def _value(column: Column, layout: Layout) -> str:
    """The typed value of `text_<name>`."""
    text = f"text_{column.name}"
    if column.kind == "struct_list":
        fields = ", ".join(
            f"{quoted(child.name)} := "
            + (
                _plain_value(child, f"item.{quoted(child.name)}")
                if child.name in layout.children[column.name]
                else f"CAST(NULL AS {child.sql_type()})"
            )
            for child in column.children
        )
        return f"list_transform({text}, lambda item: struct_pack({fields}))"
    if column.kind == "id_list":
        return f"list_filter({text}, lambda item: trim(item) <> '')"
    if column.name in layout.utc:
        # The length leaves no room for a missing digit.
        return f"CASE WHEN strlen({text}) = 20 THEN try_strptime({text}, '%Y-%m-%dT%H:%M:%SZ') END"
    return _plain_value(column, text)


def _plain_value(column: Column, text: str) -> str:
    """Typed value of a text of which `_is_plain` holds; of others it does not matter."""
    if column.kind in NUMBER_KINDS:
        return f"TRY_CAST({text} AS {column.sql_type()})"
    match column.kind:
        case "currency" | "choice" | "timezone":
            return text
        case "boolean":
            return f"{text} = 'true'"
        case _:
            return typed_value(column, text)


def _is_plain(column: Column, text: str, value: str) -> str:
    """Condition: the text surely is a value of its type. False or null where a second look is due."""
    match column.kind:
        case "quantity" | "fx_rate":
            return f"regexp_full_match({text}, '{_POSITIVE}')"
        case "rating":
            return f"regexp_full_match({text}, '5(?:\\.0{{1,2}})?|[1-4](?:\\.[0-9]{{1,2}})?')"
        case "tax_rate":
            return f"regexp_full_match({text}, '[0-9]{{1,2}}(?:\\.[0-9]{{1,6}})?')"
        case "coordinate":
            return f"regexp_full_match({text}, '-?[0-9]{{1,3}}(?:\\.[0-9]{{1,8}})?')"
        case kind if kind in NUMBER_KINDS:
            return f"regexp_full_match({text}, '{_NUMBER}')"
        case "boolean":
            return f"{text} IN ('true', 'false')"
        case "currency" | "choice" | "timezone":
            return f"{typed_value(column, text)} IS NOT NULL"
        case "id" | "text":
            return f"{text} <> ''"
        case _:
            return f"{value} IS NOT NULL"


def _found(column: Column, layout: Layout) -> str:
    """How many filled fields the column accounts for, counted as outline.py counts."""
    text, value = f"text_{column.name}", f"value_{column.name}"
    if column.kind == "id_list":
        strange = f"len(list_filter({text}, lambda item: is_container(item))) > 0"
        return f"CASE WHEN {value} IS NULL THEN 0 WHEN {strange} THEN {_TELLTALE} ELSE 2 END"
    if column.kind == "struct_list":
        present = [child for child in column.children if child.name in layout.children[column.name]]
        fields = " + ".join(_one_if(_is_plain(child, item, item)) for child in present for item in [_item(child)])
        missing = " OR ".join(
            f"{_item(child)} IS NULL" if child in present else "TRUE" for child in column.children if child.required
        )
        element = f"CASE WHEN {missing} THEN {_TELLTALE} ELSE {fields} END"
        elements = f"coalesce(list_sum(list_transform({text}, lambda item: {element})), 0)"
        return f"CASE WHEN {value} IS NULL THEN 0 ELSE 2 + {elements} END"
    is_plain = _is_plain(column, text, value)
    return _one_if(f"blank_{column.name} OR {is_plain}" if column in _blank(layout) else is_plain)


def _item(child: Column) -> str:
    return f"item.{quoted(child.name)}"


def _one_if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"
