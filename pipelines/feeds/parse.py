"""SQL that turns what a file holds into *text records*: the contract's columns, still as text.

A text record has `file_no`, `line`, `raw`, `broken` (null, or why it is no record), `long_number` (parse_jsonl),
`extra` (JSON of what the contract does not know, or null), `unknown` (the names of that), and for every column of the
feed `text_<name>` (VARCHAR, a list, or a list of structs of VARCHAR) and, where a value can have the wrong shape,
`wrong_<name>`.
Belongs here: the three formats. Does not belong here: types (values.py), vocabularies, required values (ladder.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from pipelines.feeds.contract import FEEDS, Column, Feed
from pipelines.feeds.sql import literal, quoted

NESTED = ("id_list", "struct_list", "json")
_EXACT_DIGITS = 14
NUMBER_KINDS = ("amount", "decimal", "quantity", "fx_rate", "tax_rate", "coordinate", "rating")
_ANY_TEXT_KINDS = ("id", "text")


def macros() -> list[str]:
    """What the generated SQL calls; define on the connection once."""
    names = [f"CREATE TYPE {_names_type(feed)} AS ENUM ({_names(feed)})" for feed in FEEDS.values()]
    return [
        *names,
        # Numbers in quotes, and nothing else changed. Each match runs from where the last ended over whole strings up
        # to a number or to the end, so a number within a string is never touched; the end leaves "" behind.
        r"""
        CREATE OR REPLACE MACRO numbers_as_text(document) AS regexp_replace(
            regexp_replace(
                document, '((?:[^"0-9-]|"(?:[^"\\]|\\.)*")*)(-?[0-9][0-9.eE+-]*|$)', '\1"\2"', 'g'
            ),
            '""$', ''
        )
        """,
        # DuckDB's parser lets `,}` pass. Where it may stand, strings are emptied first, as they may hold anything.
        r"""
        CREATE OR REPLACE MACRO has_trailing_comma(document) AS CASE
            WHEN regexp_matches(document, ',\s*[\]}]')
                THEN regexp_matches(regexp_replace(document, '"(?:[^"\\]|\\.)*"', '0', 'g'), ',\s*[\]}]')
            ELSE FALSE
        END
        """,
        # A field that is null says nothing, so it is no drift; the fast lane counts none either (outline.py).
        """
        CREATE OR REPLACE MACRO is_filled(document, field) AS coalesce(
            CAST(json_extract(document, '/' || replace(replace(field, '~', '~0'), '/', '~1')) AS VARCHAR), 'null'
        ) <> 'null'
        """,
        """
        CREATE OR REPLACE MACRO unknown_of(keys, elements, known) AS CASE
            WHEN len(list_filter(flatten(keys), lambda field: NOT list_contains(known, field))) > 0
                THEN list_distinct(flatten(list_transform(elements, lambda element: list_filter(
                    json_keys(element), lambda field: NOT list_contains(known, field) AND is_filled(element, field)
                ))))
        END
        """,
        "CREATE OR REPLACE MACRO is_container(plain) AS starts_with(plain, '{') OR starts_with(plain, '[')",
        """
        CREATE OR REPLACE MACRO is_nested_json(plain) AS
            CASE WHEN is_container(plain) THEN json_valid(plain) ELSE FALSE END
        """,
        # Only what begins with a space or a control character can be blank.
        "CREATE OR REPLACE MACRO unless_blank(plain) AS CASE WHEN plain >= '!' OR trim(plain) <> '' THEN plain END",
    ]


def parse_jsonl(feed: Feed, source: str, *, exact: bool = False) -> str:
    """Text records of `source` (file_no, line, raw), one JSON object a line; blank lines are none.

    The parser reads numbers as doubles, which keep 15 digits; `_long_number` marks rows where more may be at stake.
    With `exact` every number is read as the text that it is, at some cost.
    """
    structure = literal(json.dumps({column.name: _json_type(column) for column in feed.columns}))
    numbers = [_digits(column) for column in feed.columns if column.kind in NUMBER_KINDS]
    numbers += [_nested_digits(column) for column in feed.columns if column.kind == "struct_list"]
    long_number = f"greatest({', '.join(numbers)}, 0) >= {_EXACT_DIGITS}" if numbers and not exact else "FALSE"
    text = "numbers_as_text(document)" if exact else "document"
    columns = ",\n".join(_json_column(column) for column in feed.columns)
    # A name that is no value of the feed's type becomes null, and null is not counted.
    is_known = f"TRY_CAST(fields AS {_names_type(feed)}[])"
    named = f"lambda field: TRY_CAST(field AS {_names_type(feed)}) IS NULL AND is_filled(document, field)"
    unknown = _joined(
        f"CASE WHEN list_count({is_known}) < len(fields) THEN list_filter(fields, {named}) END",
        *(_nested_unknown(column, f"$.{column.name}[*]", "document") for column in _lists(feed)),
    )
    return f"""
    SELECT
        file_no, line, raw, broken, unknown,
        {long_number} AS long_number,
        CASE WHEN unknown IS NOT NULL THEN raw END AS extra,
        {columns}
    FROM (
        SELECT
            file_no, line, raw, record, fields,
            CASE
                WHEN fields IS NULL OR NOT starts_with(ltrim(raw, ' \t'), '{{') OR has_trailing_comma(raw)
                    THEN 'is not a JSON object on one line; check the writer'
            END AS broken,
            {unknown} AS unknown
        FROM (
            SELECT
                file_no, line, raw, document,
                -- After one error TRY works on, a row at a time: what is no JSON at all must not get that far.
                TRY(json_transform({text}, {structure})) AS record,
                TRY(json_keys(document)) AS fields
            FROM (
                SELECT *, CASE WHEN json_valid(raw) THEN raw END AS document
                FROM {source}
                -- Hardly a line needs to be trimmed to see that it is not blank.
                WHERE CASE WHEN starts_with(raw, '{{') THEN TRUE ELSE trim(raw, ' \t\r\n') <> '' END
            )
        )
    )
    """


def parse_csv(feed: Feed, source: str, header: Sequence[str]) -> str:
    """Text records of `source` (file_no, line, raw, broken, and one text column a header name)."""
    unknown = [name for name in header if name not in feed.names]
    cells = {column: _cell(column.name) for column in _lists(feed) if column.name in header}
    columns = ",\n".join(
        _cell_column(column, _cell(column.name)) if column.name in header else _absent_column(column)
        for column in feed.columns
    )
    return f"""
    SELECT
        file_no, line, raw, broken, FALSE AS long_number,
        {_extra({name: _cell(name) for name in unknown}, cells)},
        {columns}
    FROM {source}
    """


def parse_parquet(feed: Feed, source: str, schema: pa.Schema) -> str:
    """Text records of `source` (file_no, line, and one column a Parquet column, named like a CSV cell).

    `raw` is the row as JSON of text, so that a row from quarantine can be read again without its file.
    """
    types = {field.name: field.type for field in schema}
    unknown = {name: _text(_cell(name), types[name]) for name in types if name not in feed.names}
    cells: dict[Column, str] = {}
    for column in _lists(feed):
        kind = types.get(column.name)
        if kind is not None and _is_textual(kind):
            cells[column] = f"CAST({_cell(column.name)} AS VARCHAR)"
        elif kind is not None and _is_list(kind) and pa.types.is_struct(kind.value_type):
            cells[column] = f"CAST(to_json({_cell(column.name)}) AS VARCHAR)"
    columns = ",\n".join(
        _physical_column(column, types[column.name]) if column.name in types else _absent_column(column)
        for column in feed.columns
    )
    fields = ", ".join(
        f"{quoted(column.name)} := text_{column.name}" for column in feed.columns if column.name in types
    )
    return f"""
    SELECT *, CAST(to_json(struct_pack({fields})) AS VARCHAR) AS raw
    FROM (
        SELECT
            file_no, line, CAST(NULL AS VARCHAR) AS broken, FALSE AS long_number,
            {_extra(unknown, cells)},
            {columns}
        FROM {source}
    )
    """


def cell_names(names: Sequence[str]) -> list[str]:
    """Names under which cells and Parquet columns are registered, so that none collides with ours."""
    return [f"cell_{name}" for name in names]


def _names_type(feed: Feed) -> str:
    return f"{feed.name}_column"


def _names(feed: Feed) -> str:
    return ", ".join(literal(column.name) for column in feed.columns)


def _cell(name: str) -> str:
    return quoted(cell_names([name])[0])


def _json_type(column: Column) -> object:
    match column.kind:
        case "id_list":
            return ["VARCHAR"]
        case "struct_list":
            return [{child.name: "VARCHAR" for child in column.children}]
        case "json":
            return "JSON"
        case _:
            return "VARCHAR"


def text_type(column: Column) -> str:
    """DuckDB type of `text_<name>`."""
    match column.kind:
        case "id_list":
            return "VARCHAR[]"
        case "struct_list":
            return f"STRUCT({', '.join(f'{quoted(child.name)} VARCHAR' for child in column.children)})[]"
        case _:
            return "VARCHAR"


def _digits(column: Column) -> str:
    return f"coalesce(strlen(record.{quoted(column.name)}), 0)"


def _nested_digits(column: Column) -> str:
    numbers = [child for child in column.children if child.kind in NUMBER_KINDS]
    lengths = ", ".join(f"coalesce(strlen(item.{quoted(child.name)}), 0)" for child in numbers)
    return f"coalesce(list_max(list_transform(record.{quoted(column.name)}, lambda item: greatest({lengths}, 0))), 0)"


def _json_column(column: Column) -> str:
    name, value = column.name, f"record.{quoted(column.name)}"
    path = literal(f"$.{name}")
    if column.kind in ("id_list", "struct_list"):
        # A broken line has no record, and its type can't be asked for; one without that name need not be asked.
        absent = f"record IS NOT NULL AND {value} IS NULL AND list_contains(fields, {literal(name)})"
        missing = f"CASE WHEN {absent} THEN json_type(raw, {path}) END"
        return f"{value} AS text_{name}, broken IS NULL AND coalesce({missing}, 'NULL') <> 'NULL' AS wrong_{name}"
    if column.kind == "json":
        text = f"nullif(CAST({value} AS VARCHAR), 'null')"
        return f"{text} AS text_{name}, NOT starts_with({text}, '{{') AS wrong_{name}"
    if column.kind in _ANY_TEXT_KINDS:
        shape = f"CASE WHEN is_container({value}) THEN json_type(raw, {path}) IN ('OBJECT', 'ARRAY') ELSE FALSE END"
        return f"unless_blank({value}) AS text_{name}, {shape} AS wrong_{name}"
    return f"unless_blank({value}) AS text_{name}"


def _cell_column(column: Column, cell: str) -> str:
    name = column.name
    if column.kind in ("id_list", "struct_list"):
        structure = literal(json.dumps(_json_type(column)))
        # A broken or differently shaped cell becomes null; numbers keep their text as in JSONL.
        value = f"TRY(json_transform(numbers_as_text({cell}), {structure}))"
        return f"{value} AS text_{name}, unless_blank({cell}) IS NOT NULL AND {value} IS NULL AS wrong_{name}"
    if column.kind == "json":
        wrong = f"NOT (starts_with(ltrim({cell}), '{{') AND json_valid({cell}))"
        return f"unless_blank({cell}) AS text_{name}, {wrong} AS wrong_{name}"
    if column.kind in _ANY_TEXT_KINDS:
        return f"unless_blank({cell}) AS text_{name}, FALSE AS wrong_{name}"
    return f"unless_blank({cell}) AS text_{name}"


def _absent_column(column: Column) -> str:
    wrong = f", FALSE AS wrong_{column.name}" if column.kind in (*NESTED, *_ANY_TEXT_KINDS) else ""
    return f"CAST(NULL AS {text_type(column)}) AS text_{column.name}{wrong}"


def _physical_column(column: Column, kind: pa.DataType) -> str:
    cell = _cell(column.name)
    if _is_textual(kind):
        return _cell_column(column, f"CAST({cell} AS VARCHAR)")
    if column.kind == "json":
        value = f"CAST(to_json({cell}) AS VARCHAR)"
        return f"{value} AS text_{column.name}, NOT starts_with({value}, '{{') AS wrong_{column.name}"
    if column.kind in ("id_list", "struct_list"):
        if not _is_list(kind) or (column.kind == "struct_list") != pa.types.is_struct(kind.value_type):
            empty = f"CAST(NULL AS {text_type(column)})"
            return f"{empty} AS text_{column.name}, {cell} IS NOT NULL AS wrong_{column.name}"
        return f"{_physical_list(column, cell, kind.value_type)} AS text_{column.name}, FALSE AS wrong_{column.name}"
    value = f"unless_blank({_text(cell, kind)})"
    if column.kind in _ANY_TEXT_KINDS:
        wrong = f"{cell} IS NOT NULL" if _is_nested(kind) else "FALSE"
        return f"{value} AS text_{column.name}, {wrong} AS wrong_{column.name}"
    return f"{value} AS text_{column.name}"


def _physical_list(column: Column, cell: str, item: pa.DataType) -> str:
    if column.kind == "id_list":
        return f"list_transform({cell}, lambda item: {_text('item', item)})"
    present = {item.field(position).name: item.field(position).type for position in range(item.num_fields)}
    fields = ", ".join(
        f"{quoted(child.name)} := "
        + (
            _text(f"item.{quoted(child.name)}", present[child.name])
            if child.name in present
            else "CAST(NULL AS VARCHAR)"
        )
        for child in column.children
    )
    return f"list_transform({cell}, lambda item: CASE WHEN item IS NOT NULL THEN struct_pack({fields}) END)"


def _text(value: str, kind: pa.DataType) -> str:
    """A physical value as the text that JSONL would hold."""
    if _is_nested(kind):
        return f"CAST(to_json({value}) AS VARCHAR)"
    if pa.types.is_floating(kind):
        # A column of whole numbers with gaps is often stored as floats: an id 12345 must not become 12345.0.
        whole = f"{value} = trunc({value}) AND abs({value}) < 9007199254740992"
        return f"CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS VARCHAR) ELSE CAST({value} AS VARCHAR) END"
    return f"CAST({value} AS VARCHAR)"


def _is_textual(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_nested(kind: pa.DataType) -> bool:
    return _is_list(kind) or pa.types.is_struct(kind) or pa.types.is_map(kind)


def _lists(feed: Feed) -> list[Column]:
    return [column for column in feed.columns if column.kind == "struct_list"]


def _nested_unknown(column: Column, path: str, document: str) -> str:
    """Names of filled fields that the elements at the path have and the contract has not, like `lines[].colour`."""
    known = ", ".join(literal(child.name) for child in column.children)
    keys, elements = (f"{function}({document}, {literal(path)})" for function in ("json_keys", "json_extract"))
    prefix = literal(f"{column.name}[].")
    return f"list_transform(unknown_of({keys}, {elements}, [{known}]), lambda field: {prefix} || field)"


def _joined(*lists: str) -> str:
    """One list of several, each perhaps null; null if nothing is in them."""
    return f"nullif(flatten([{', '.join(f'coalesce({names}, [])' for names in lists)}]), [])" if lists else "NULL"


def _extra(unknown: dict[str, str], cells: dict[Column, str]) -> str:
    """`unknown` and `extra` of a layout: its unknown columns, and cells whose elements have unknown fields."""
    nested = {
        column: _nested_unknown(column, "$[*]", f"CASE WHEN json_valid({cell}) THEN {cell} END")
        for column, cell in cells.items()
    }
    if not unknown and not nested:
        return "CAST(NULL AS VARCHAR[]) AS unknown, CAST(NULL AS VARCHAR) AS extra"
    own = f"[{', '.join(literal(name) for name in unknown)}]" if unknown else "CAST([] AS VARCHAR[])"
    names = _joined(own, *nested.values())
    fields = [f"{quoted(name)} := {value}" for name, value in unknown.items()]
    fields += [
        f"{quoted(column.name)} := CASE WHEN len({names}) > 0 THEN {cells[column]} END"
        for column, names in nested.items()
    ]
    extra = f"CAST(to_json(struct_pack({', '.join(fields)})) AS VARCHAR)"
    return f"{names} AS unknown, CASE WHEN {names} IS NOT NULL THEN {extra} END AS extra"
