"""The contract as SQL: text records (parse.py) become typed rows, each with the first thing that is wrong with it.

Belongs here: types, vocabularies, required values, reasons, tokens and what is handed to the vault, generated from
contract.py. Does not belong here: reading files (parse.py) and writing any (intake.py).
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass

from pipelines.feeds.contract import Column, Feed
from pipelines.feeds.currencies import CURRENCIES
from pipelines.feeds.identifiers import kind_of
from pipelines.vault import PROFILE_FIELDS

_INSTANT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r" ?(?:[zZ]|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)?)?"
)
_OFFSET = r":[0-9.,]+ ?(?:[zZ]|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]00:00(?::00(?:\.0+)?)?)?"
_NUMBER = r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*"
_MONEY = r"\s*[+-]?(?:[0-9]+(?:\.[0-9]{0,4}0*)?|\.[0-9]{1,4}0*)\s*"
_MONEY_EXPONENT = r"\s*[+-]?[0-9]{1,11}(?:\.[0-9]{0,9})?[eE][+-]?0*[0-9]\s*"


@dataclass(frozen=True)
class Fault:
    """One way in which a row can be wrong. `code` marks it in SQL; `child` is set for a value in a nested line."""

    code: int
    column: str | None
    child: str | None
    reason: str


@dataclass(frozen=True)
class Validation:
    """sql: SELECT over `records` (parse.py) and `files`; faults: what its `_fault` codes mean."""

    sql: str
    faults: tuple[Fault, ...]


def macros() -> list[str]:
    """What the generated SQL calls; define on the connection once."""
    zones = ", ".join(f"'{name}'" for name in sorted(zoneinfo.available_timezones()))
    currencies = ", ".join(f"'{code}'" for code in sorted(CURRENCIES))
    return [
        f"CREATE OR REPLACE MACRO is_timezone(plain) AS plain IN ({zones})",
        f"CREATE TYPE currency_code AS ENUM ({currencies})",
        # UTC where an offset stands, else the wall clock as it is: the session's zone is UTC. LIKE is the fast path.
        f"""
        CREATE OR REPLACE MACRO instant_of(plain) AS CASE
            WHEN plain LIKE '____-__-__T__:__:__+__:__' AND plain[21:22] <= '14' AND plain[24] <= '5'
                THEN CAST(TRY_CAST(plain AS TIMESTAMPTZ) AS TIMESTAMP)
            WHEN regexp_full_match(trim(plain), '{_INSTANT}') THEN CAST(TRY_CAST(
                regexp_replace(
                    regexp_replace(replace(upper(trim(plain)), ',', '.'), ' ([Z+-])', '\\1'),
                    '^(.{{10}}[T ][0-9]{{2}}:[0-9]{{2}})([Z+-]|$)', '\\1:00\\2'
                ) AS TIMESTAMPTZ
            ) AS TIMESTAMP)
        END
        """,
        f"""
        CREATE OR REPLACE MACRO is_local_time(plain) AS CASE
            WHEN plain LIKE '____-__-__T__:__:__+__:__' OR ends_with(plain, 'Z') THEN FALSE
            ELSE NOT regexp_matches(trim(plain), '{_OFFSET}')
        END
        """,
        f"""
        CREATE OR REPLACE MACRO date_of(plain) AS
            CASE WHEN regexp_full_match(trim(plain), '{_DATE}') THEN TRY_CAST(left(trim(plain), 10) AS DATE) END
        """,
        # Whether the text is a number that DECIMAL(18, 4) holds without rounding.
        f"""
        CREATE OR REPLACE MACRO is_money(plain) AS CASE
            WHEN regexp_full_match(plain, '{_MONEY}') THEN TRUE
            WHEN regexp_full_match(plain, '{_MONEY_EXPONENT}')
                THEN TRY_CAST(plain AS DECIMAL(38, 18)) = TRY_CAST(plain AS DECIMAL(18, 4))
            ELSE FALSE
        END
        """,
        f"CREATE OR REPLACE MACRO is_number(plain) AS regexp_full_match(plain, '{_NUMBER}')",
        """
        CREATE OR REPLACE MACRO boolean_of(plain) AS CASE
            WHEN plain = 'true' THEN TRUE
            WHEN plain = 'false' THEN FALSE
            WHEN lower(trim(plain)) IN ('true', 't', 'yes', 'y', '1', '1.0') THEN TRUE
            WHEN lower(trim(plain)) IN ('false', 'f', 'no', 'n', '0', '0.0') THEN FALSE
        END
        """,
    ]


def validation(feed: Feed, *, promoted: tuple[str, ...] = (), absent: tuple[str, ...] = ()) -> Validation:
    """The SQL for one feed. promoted: attribute names that may stay; absent: required columns a CSV may do without.

    Its columns are those of `feed.raw_columns()` and, for what happens next, `_file_no`, `_fault` (0: accepted),
    `_element` (index of the faulty nested line), `_value` (the faulty value), `_broken`, `_long_number`, `_raw` and
    `_unknown` of the row, `_identifiers_dropped`, `_member_version`, `_profile`, `_person`, `_document`, and `_plain_<column>` (normal form).
    """
    ladder = _Ladder(feed, absent)
    columns = feed.columns
    typed = ",\n".join(expression for column in columns for expression in _typed(column))
    outputs = ",\n".join(expression for column in columns for expression in _raw_outputs(column, promoted))
    local = [column.name for column in columns if column.kind == "timestamp"]
    plains = "".join(
        f",\nnormal_{column.name} AS _plain_{column.name}" for column in columns if column.pii in _NORMALISED
    )
    sql = f"""
    SELECT
        channel,
        {outputs},
        files.batch_id AS _batch_id,
        files.batch_seq * 4294967296 + line AS _arrival,
        files.file AS _file,
        line AS _line,
        {_local_times(local)} AS _local_times,
        judged.file_no AS _file_no,
        _fault,
        CASE WHEN _fault > 0 THEN {ladder.element()} END AS _element,
        CASE WHEN _fault > 0 THEN {ladder.value()} END AS _value,
        CASE WHEN _fault > 0 THEN rtrim(raw, '\r\n') END AS _raw,
        broken AS _broken,
        long_number AS _long_number,
        unknown AS _unknown,
        {_identifiers_dropped(columns)} AS _identifiers_dropped
        {plains},
        {_sealed(feed)}
    FROM (
        SELECT *, coalesce({ladder.case()}, 0) AS _fault
        FROM (
            SELECT *, {ladder.element_codes()}
            FROM (SELECT *,\n{typed}\nFROM records)
        )
    ) AS judged
    INNER JOIN files ON judged.file_no = files.file_no
    """
    return Validation(sql, tuple(ladder.faults))


_NORMALISED = ("phone", "email", "token", "token_list", "name", "member_id")


def _typed(column: Column) -> list[str]:
    text, value = f"text_{column.name}", f"value_{column.name}"
    if column.kind == "struct_list":
        fields = ", ".join(f'"{child.name}" := {_nested_value(child)}' for child in column.children)
        return [f"list_transform({text}, lambda item: struct_pack({fields})) AS {value}"]
    if column.kind == "id_list":
        return [f"list_filter({text}, lambda item: trim(item) <> '') AS {value}", *_normalised(column)]
    expressions = [f"{_typed_value(column, text)} AS {value}"]
    if column.kind == "timestamp":
        expressions.append(
            f"CASE WHEN {text} IS NOT NULL THEN is_local_time({text}) ELSE FALSE END AS local_{column.name}"
        )
    return expressions + _normalised(column)


def _quoted(column: Column) -> str:
    return f'"{column.name}"'


def _typed_value(column: Column, text: str) -> str:
    match column.kind:
        case "timestamp":
            return f"instant_of({text})"
        case "date":
            return f"date_of({text})"
        case "amount" | "decimal" | "quantity":
            return f"TRY_CAST({text} AS {column.sql_type()})"
        case "fx_rate" | "tax_rate" | "rating" | "coordinate":
            return f"CASE WHEN is_number({text}) THEN TRY_CAST({text} AS {column.sql_type()}) END"
        case "boolean":
            return f"boolean_of({text})"
        case "currency":
            return f"CAST(TRY_CAST({text} AS currency_code) AS VARCHAR)"
        case "timezone":
            return f"CASE WHEN is_timezone({text}) THEN {text} END"
        case "choice":
            choices = ", ".join(f"'{choice}'" for choice in column.choices)
            return f"CASE WHEN {text} IN ({choices}) THEN {text} END"
        case _:
            return text


def _nested_value(child: Column) -> str:
    text = f"item.{_quoted(child)}"
    return f"unless_blank({text})" if child.kind in ("id", "text") else _typed_value(child, text)


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


def _raw_outputs(column: Column, promoted: tuple[str, ...]) -> list[str]:
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


def _promoted(text: str, promoted: tuple[str, ...]) -> str:
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


def _sealed(feed: Feed) -> str:
    """What the vault gets: the member's profile, and a document of whatever else must not be seen."""
    sealed = [column for column in feed.columns if column.pii in ("sealed", "attributes", "name")]
    if feed.name == "members":
        fields = ", ".join(f"{name} := text_{name}" for name in PROFILE_FIELDS)
        profile = f"CAST(to_json(struct_pack({fields})) AS VARCHAR)"
        version = "epoch_us(value_updated_at)"
        occasion, names = "extra IS NOT NULL", []
    else:
        profile, version = "CAST(NULL AS VARCHAR)", "CAST(NULL AS BIGINT)"
        names = [column.name for column in sealed]
        occasion = " OR ".join(f"{name} IS NOT NULL" for name in ["extra", *(f"text_{name}" for name in names)])
    keys = [f"text_{name}" for name in feed.key if feed.column(name).pii is None]
    key = f"concat_ws('/', {', '.join(keys)})" if keys else "CAST(NULL AS VARCHAR)"
    fields = ", ".join(['"key" := ' + key, *(f'"{name}" := text_{name}' for name in names), '"extra" := extra'])
    return f"""
        {version} AS _member_version,
        CASE WHEN _fault = 0 THEN {profile} END AS _profile,
        CASE WHEN _fault = 0 AND ({occasion}) THEN {_person(feed)} END AS _person,
        CASE WHEN _fault = 0 AND ({occasion}) THEN CAST(to_json(struct_pack({fields})) AS VARCHAR) END AS _document
    """


def _person(feed: Feed) -> str:
    """Whose key seals the row: the member's, else the first identifier's, else the batch's."""
    candidates: list[str] = []
    for column in feed.columns:
        if column.pii == "member_id":
            candidates.insert(0, f"'member:' || channel || ':' || {_member_id(column)}")
        elif column.pii in ("phone", "email", "token"):
            candidates.append(f"'identity:' || token('{kind_of(column)}', normal_{column.name})")
    return f"coalesce({', '.join([*candidates, chr(39) + 'batch:' + chr(39) + ' || files.batch_id'])})"


class _Ladder:
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
        """Per nested list, per element: 0 or the code of its first fault."""
        lists = [
            f"list_transform(text_{column.name}, lambda item: "
            f"CASE WHEN {_may_be_faulty(column)} THEN CASE {' '.join(whens)} ELSE 0 END ELSE 0 END) "
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
            text, value = f"unless_blank(item.{_quoted(child)})", _nested_value(child)
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
        text, value = f"item.{_quoted(child)}", _nested_value(child)
        conditions.append(f"{value} IS NULL" if child.required else f"({value} IS NULL AND {text} IS NOT NULL)")
        if child.kind in ("id", "text"):
            conditions.append(f"coalesce(is_container({value}), FALSE)")
        elif child.kind in ("amount", "decimal", "quantity"):
            conditions.append(f"coalesce(NOT is_money({text}), FALSE)")
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
