"""The contract as SQL: text records (parse.py) become typed rows, each with the first thing that is wrong with it.

Belongs here: the columns of a judged row, its tokens and what is handed to the vault, generated from contract.py. Does
not belong here: reading files (parse.py), types (values.py), faults (ladder.py), writing (intake.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipelines.feeds.contract import Column, Feed
from pipelines.feeds.identifiers import kind_of
from pipelines.feeds.ladder import Fault, Ladder
from pipelines.feeds.sql import literal
from pipelines.feeds.values import nested_value, typed_value
from pipelines.vault import PROFILE_FIELDS


@dataclass(frozen=True)
class Validation:
    """sql: SELECT over `records` (parse.py) and `files`; faults: what its `_fault` codes mean."""

    sql: str
    faults: tuple[Fault, ...]


def validation(feed: Feed, channel: str, *, promoted: tuple[str, ...] = (), absent: tuple[str, ...] = ()) -> Validation:
    """The SQL for one feed. promoted: attribute names that may stay; absent: required columns a CSV may do without.

    Its columns are those of `judged_outputs` and, for what happens next: `_fault` (0: accepted); `_element`, the index
    of the faulty nested line; `_value`, `_raw` and `_broken` of a faulty row; `_long_number`; `_unknown`.
    """
    ladder = Ladder(feed, absent)
    typed = ",\n".join(expression for column in feed.columns for expression in typed_columns(column, _value(column)))
    sql = f"""
    SELECT
        {judged_outputs(feed, channel, promoted, feed.names)},
        _fault,
        CASE WHEN _fault > 0 THEN {ladder.element()} END AS _element,
        CASE WHEN _fault > 0 THEN {ladder.value()} END AS _value,
        CASE WHEN _fault > 0 THEN rtrim(raw, '\r\n') END AS _raw,
        broken AS _broken,
        long_number AS _long_number,
        unknown AS _unknown
    FROM (
        SELECT *, coalesce({ladder.case()}, 0) AS _fault
        FROM (
            SELECT *, {ladder.element_codes()}
            FROM (SELECT *,\n{typed}\nFROM records)
        )
    )
    """
    return Validation(sql, tuple(ladder.faults))


def judged_outputs(feed: Feed, channel: str, promoted: Sequence[str], present: Collection[str]) -> str:
    """The columns of a judged row, from `text_`, `value_`, `normal_` and `local_` columns, `extra`, file_no and line.

    They are the raw columns that the `present` columns become, `_line`, `_local_times`, `_file_no`,
    `_identifiers_dropped`, `_plain_<column>` (the normal form behind each token) and, where the vault may get
    something, `_profile`, `_document` and `_person` (null: the batch's). intake.py adds what a whole file shares.
    """
    columns = tuple(column for column in feed.columns if column.name in present)
    local = [column.name for column in columns if column.kind == "timestamp"]
    outputs = [expression for column in columns for expression in _raw_outputs(column, promoted)]
    outputs += [
        "line AS _line",
        "file_no AS _file_no",
        f"{_local_times(local)} AS _local_times",
        f"{_identifiers_dropped(columns)} AS _identifiers_dropped",
    ]
    outputs += [f"normal_{column.name} AS _plain_{column.name}" for column in columns if column.pii in _NORMALISED]
    return ",\n".join([*outputs, *_sealed(feed, channel, columns)])


_NORMALISED = ("phone", "email", "token", "token_list", "name", "member_id")


def typed_columns(column: Column, value: str | None, *, utc: bool = False) -> list[str]:
    """What becomes of `text_<name>`: `value_<name>`, `normal_<name>`, `local_<name>`.

    value: SQL of the typed value, None for null; utc: the column's times are known to carry their offset.
    """
    text = f"text_{column.name}"
    expressions = [f"{value or f'CAST(NULL AS {column.sql_type()})'} AS value_{column.name}"]
    if column.kind == "timestamp":
        local = f"CASE WHEN {text} IS NOT NULL THEN is_local_time({text}) ELSE FALSE END"
        expressions.append(f"{local if value and not utc else 'FALSE'} AS local_{column.name}")
    return expressions + _normalised(column)


def _value(column: Column) -> str:
    text = f"text_{column.name}"
    if column.kind == "struct_list":
        fields = ", ".join(f'"{child.name}" := {nested_value(child)}' for child in column.children)
        return f"list_transform({text}, lambda item: struct_pack({fields}))"
    if column.kind == "id_list":
        return f"list_filter({text}, lambda item: trim(item) <> '')"
    return typed_value(column, text)


def _normalised(column: Column) -> list[str]:
    text, normal = f"text_{column.name}", f"normal_{column.name}"
    match column.pii:
        case "phone" | "email" | "name":
            return [f"{column.pii}_normal({text}) AS {normal}"]
        case "token":
            return [f"nullif(trim({text}), '') AS {normal}"]
        case "token_list":
            return [
                f"list_distinct(list_filter(list_transform({text}, lambda item: trim(item)), lambda item: item <> '')) "
                f"AS {normal}"
            ]
        case "member_id":
            return [f"member_id_normal({text}) AS {normal}"]
        case _:
            return []


def _raw_outputs(column: Column, promoted: Sequence[str]) -> list[str]:
    name, text, value, normal = column.name, f"text_{column.name}", f"value_{column.name}", f"normal_{column.name}"
    kind = kind_of(column)
    outputs = list(column.raw_columns())
    match column.pii:
        case "phone" | "email":
            return [
                f"token('{kind}', {normal}) AS {outputs[0]}",
                f"{kind}_issue({text}, {normal}) AS {outputs[1]}",
            ]
        case "token" | "name":
            return [f"token('{kind}', {normal}) AS {outputs[0]}"]
        case "token_list":
            return [f"list_transform({normal}, lambda item: token('{kind}', item)) AS {outputs[0]}"]
        case "birthday":
            return [
                f"token('{kind}', CAST({value} AS VARCHAR)) AS {outputs[0]}",
                f"strftime({value}, '%Y-%m') AS {outputs[1]}",
            ]
        case "member_id":
            return [f"{_member_id(column)} AS {name}"]
        case "attributes":
            return [f"{_promoted(text, promoted)} AS {name}"]
        case "sealed":
            return []
        case _:
            return [f"CAST({value} AS {column.sql_type()}) AS {name}"]


def _member_id(column: Column) -> str:
    text, normal = f"text_{column.name}", f"normal_{column.name}"
    return f"CASE WHEN {normal} IS NULL THEN {text} ELSE token(member_id_kind({text}), {normal}) END"


def _promoted(text: str, promoted: Sequence[str]) -> str:
    if not promoted:
        return "CAST(NULL AS VARCHAR)"
    members = []
    for name in promoted:
        pointer = "/" + name.replace("~", "~0").replace("/", "~1").replace("'", "''")
        key = name.replace("'", "''")
        found = f"CAST(json_extract({text}, '{pointer}') AS VARCHAR)"
        members.append(f"CAST(to_json('{key}') AS VARCHAR) || ':' || nullif({found}, 'null')")
    return f"nullif('{{' || concat_ws(',', {', '.join(members)}) || '}}', '{{}}')"


def _local_times(names: list[str]) -> str:
    if not names:
        return "CAST(NULL AS VARCHAR[])"
    any_local = " OR ".join(f"local_{name}" for name in names)
    entries = ", ".join(f"CASE WHEN local_{name} THEN '{name}' END" for name in names)
    return f"CASE WHEN {any_local} THEN list_filter([{entries}], lambda name: name IS NOT NULL) END"


def _identifiers_dropped(columns: tuple[Column, ...]) -> str:
    contacts = [column for column in columns if column.pii in ("phone", "email")]
    dropped = [
        f"CAST(text_{column.name} IS NOT NULL AND normal_{column.name} IS NULL AS INTEGER)" for column in contacts
    ]
    return " + ".join(dropped) or "0"


def _sealed(feed: Feed, channel: str, columns: tuple[Column, ...]) -> list[str]:
    """What the vault gets: the member's profile, and a document of whatever else must not be seen."""
    names = [column.name for column in columns if column.pii in ("sealed", "attributes", "name")]
    profiles = []
    if feed.name == "members":
        fields = ", ".join(f"{name} := text_{name}" for name in PROFILE_FIELDS)
        profiles = [f"CAST(to_json(struct_pack({fields})) AS VARCHAR) AS _profile"]
        names = []
    occasion = " OR ".join(f"{name} IS NOT NULL" for name in ["extra", *(f"text_{name}" for name in names)])
    keys = [f"text_{name}" for name in feed.key if feed.column(name).pii is None]
    key = f"concat_ws('/', {', '.join(keys)})" if keys else "CAST(NULL AS VARCHAR)"
    fields = ", ".join(['"key" := ' + key, *(f'"{name}" := text_{name}' for name in names), '"extra" := extra'])
    return [
        *profiles,
        f"CASE WHEN {occasion} THEN {_person(columns, channel)} END AS _person",
        f"CASE WHEN {occasion} THEN CAST(to_json(struct_pack({fields})) AS VARCHAR) END AS _document",
    ]


def _person(columns: tuple[Column, ...], channel: str) -> str:
    """Whose key seals the row: the member's, else the first identifier's."""
    candidates: list[str] = []
    for column in columns:
        if column.pii == "member_id":
            candidates.insert(0, f"{literal(f'member:{channel}:')} || {_member_id(column)}")
        elif column.pii in ("phone", "email", "token"):
            candidates.append(f"'identity:' || token('{kind_of(column)}', normal_{column.name})")
    return f"coalesce({', '.join(candidates)})" if candidates else "CAST(NULL AS VARCHAR)"
