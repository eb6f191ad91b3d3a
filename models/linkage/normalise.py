"""Records in one spelling: from the caller's table to the columns that are blocked and compared.

Belongs here: which columns are made, and that the bulk of plain values stays in DuckDB. Python sees distinct values
only, and of those only what the fast expressions cannot read. Does not belong here: the rules of a value (names.py,
values.py).

The table `records`: id BIGINT (the row's number), source (where there are two), then as far as the fields are there:
given_name, surname (folded, no spaces), given_sound, surname_sound (their pinyin; the same text in Latin script),
birthday (YYYYMMDD), city, postcode, gender, occupation, email, email_local, phone (national digits), phone_fragment
(first three and last four digits, which a masked number shows too), address, address_number, address_street.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import duckdb
import pyarrow as pa

from models.linkage import names, values
from models.linkage.fields import FIELDS

_MISSING = "('null', 'none', 'n/a', 'unknown', '未知', '不详', '无', '-')"
_ASCII = "regexp_full_match({v}, '[\\x20-\\x7E]*')"
_FOLDED = (
    "if(regexp_full_match(lower({v}), '[a-z0-9]*'), lower({v}), "
    "trim(regexp_replace(regexp_replace(lower({v}), '[''`]+', '', 'g'), '[^a-z0-9]+', ' ', 'g')))"
)


def prepare(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, columns: Sequence[str] | None = None, *, alone: bool = False
) -> list[str]:
    """Make table `records` from a table with any of FIELDS; returns the columns that say anything.

    Values may be of any type; dates and numbers are read as their text. alone: no record's reading depends on the other
    records (a date says its day first, a name of one word is a given name). columns: which of them to make instead of
    those that say anything here, so that a few records are read as all were.
    """
    if not table.num_columns:
        return []
    connection.register("given_records", table)
    fields = [field for field in FIELDS if field in table.column_names]
    texts = ", ".join(
        f"if(lower(trim({field}::varchar)) in {_MISSING}, null, nullif(trim({field}::varchar), '')) as {field}"
        for field in fields
    )
    source = ", source::varchar as source" if "source" in table.column_names else ""
    connection.execute(f"""
        create or replace temp table said as
        select row_number() over () - 1 as id{source}{"," if texts else ""} {texts} from given_records""")
    connection.unregister("given_records")
    made: dict[str, str] = {}
    joins: list[str] = []
    for field in fields:
        if alone and field == "birthday":
            _birthday(connection, made, joins, is_day_first=True)
        else:
            _MAKERS[field](connection, made, joins)
    if not made:
        connection.execute(f"create or replace table records as select id{source} from said")
        return []
    folded = ", ".join(f"nullif({sql}, '') as {column}" for column, sql in made.items())
    connection.execute(
        f"create or replace temp table folded as select id{source}, {folded} from said {' '.join(joins)}"
    )
    if "name" in fields and not alone:
        _place_single_words(connection)
    return _keep(connection, _speaking(connection, list(made)) if columns is None else columns, source)


def _speaking(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> list[str]:
    """Those folded columns that hold any value."""
    counts = connection.execute(f"select {', '.join(f'count({column})' for column in columns)} from folded").fetchone()
    return [column for column, count in zip(columns, counts or (), strict=True) if count]


def _place_single_words(connection: duckdb.DuckDBPyConnection) -> None:
    """A name of one word is a surname if in this table the word is a surname more often than a given name."""
    connection.execute("""
        update folded set given_name = null, surname = folded.given_name
        from (
            select word, count(*) filter (part = 'surname') as as_surname, count(*) as in_all
            from (
                select surname as word, 'surname' as part from folded where given_name is not null
                union all
                select given_name as word, 'given' as part from folded where surname is not null
            ) where word is not null group by word
        ) as words
        where folded.surname is null and folded.given_name = words.word and as_surname * 2 > in_all""")


def _keep(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], source: str) -> list[str]:
    """`records` with these folded columns and the parts made from them."""
    parts: dict[str, str] = {}
    for column in columns:
        parts[column] = column
        if column in ("given_name", "surname"):
            parts[column.split("_", 1)[0] + "_sound"] = _sound(connection, column)
        elif column == "email":
            parts["email_local"] = "split_part(email, '@', 1)"
        elif column == "phone":
            parts["phone"] = "if(contains(phone, '*'), null, phone)"
            parts["phone_fragment"] = "if(length(phone) >= 9, phone[:3] || phone[-4:], null)"
        elif column == "address":
            parts["address_number"] = "nullif(regexp_extract(address, '\\d+'), '')"
            parts["address_street"] = "nullif(trim(regexp_replace(address, '[\\d ]+', ' ', 'g')), '')"
    made = ", ".join(f"{sql} as {column}" for column, sql in parts.items())
    connection.execute(f"create or replace table records as select id{source}, {made} from folded")
    connection.execute("drop table folded")
    connection.execute("drop table said")
    return list(parts)


def _sound(connection: duckdb.DuckDBPyConnection, column: str) -> str:
    spellings = connection.execute(
        f"select distinct {column} from folded where not {_ASCII.format(v=column)}"
    ).fetchall()
    table = _register(connection, f"{column}_sounds", [text for (text,) in spellings], names.pinyin)
    return column if table is None else f"coalesce((select said from {table} where spelt = {column}), {column})"


def _register(
    connection: duckdb.DuckDBPyConnection, table: str, texts: list[str], function: Callable[[str], str | None]
) -> str | None:
    """A table (spelt, said) of what a function makes of distinct texts; None where there are none."""
    if not texts:
        return None
    mapping = pa.table({"spelt": pa.array(texts, pa.string()), "said": pa.array(map(function, texts), pa.string())})
    connection.register("mapping", mapping)
    connection.execute(f"create or replace temp table {table} as select * from mapping")
    connection.unregister("mapping")
    return table


def _read(
    connection: duckdb.DuckDBPyConnection,
    joins: list[str],
    field: str,
    is_plain: str,
    plain: str,
    function: Callable[[str], str | None],
) -> str:
    """SQL of a field's folded value: `plain` where `is_plain` holds, else what the function makes of the text."""
    others = connection.execute(
        f"select distinct {field} from said where {field} is not null and not ({is_plain}) order by all"
    ).fetchall()
    table = _register(connection, f"{field}_spellings", [text for (text,) in others], function)
    if table is None:
        return plain
    joins.append(f"left join {table} on said.{field} = {table}.spelt")
    return f"case when {is_plain} then {plain} else {table}.said end"


def _text(
    field: str, connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str], *, spaced: bool = False
) -> None:
    folded = _read(
        connection, joins, field, _ASCII.format(v=f"said.{field}"), _FOLDED.format(v=f"said.{field}"), names.fold
    )
    made[field] = folded if spaced else f"replace({folded}, ' ', '')"


def _name_part(field: str, connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str]) -> None:
    whole = made.get(field)
    _text(field, connection, made, joins)
    if whole:
        made[field] = f"coalesce(nullif({made[field]}, ''), {whole})"


def _whole_name(connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str]) -> None:
    """Both parts of a name; two to four plain words without a comma or title are split in SQL."""
    is_plain = (
        "regexp_full_match(said.name, '[A-Za-z''-]+( [A-Za-z''-]+){1,3}') "
        "and not regexp_matches(lower(said.name), '^(mr|mrs|ms|miss|dr|prof|sir) | (jr|sr)$')"
    )
    for part, pattern in (("given_name", "^(.*) [^ ]+$"), ("surname", "^.* ([^ ]+)$")):
        index = 0 if part == "given_name" else 1
        made[part] = _read_name(connection, joins, is_plain, pattern, index)


def _read_name(connection: duckdb.DuckDBPyConnection, joins: list[str], is_plain: str, pattern: str, index: int) -> str:
    plain = f"regexp_replace(lower(regexp_extract(said.name, '{pattern}', 1)), '[^a-z]+', '', 'g')"
    others = connection.execute(
        f"select distinct name from said where name is not null and not ({is_plain}) order by all"
    ).fetchall()
    table = _register(
        connection, f"name_parts_{index}", [text for (text,) in others], lambda text: names.split_name(text)[index]
    )
    if table is None:
        return plain
    joins.append(f"left join {table} on said.name = {table}.spelt")
    return f"case when {is_plain} then {plain} else {table}.said end"


def _birthday(
    connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str], *, is_day_first: bool | None = None
) -> None:
    is_plain = "regexp_full_match(said.birthday, '(1[89]|20)\\d\\d-?[01]\\d-?[0-3]\\d')"
    odd = connection.execute(
        f"select distinct birthday from said where birthday is not null and not ({is_plain})"
    ).fetchall()
    day_first = values.is_day_first([text for (text,) in odd]) if is_day_first is None else is_day_first
    made["birthday"] = _read(
        connection, joins, "birthday", is_plain, "replace(said.birthday, '-', '')",
        partial(values.birthday, is_day_first=day_first),
    )  # fmt: skip


def _phone(connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str]) -> None:
    is_plain = "regexp_full_match(said.phone, '[1-9]\\d{4,14}') and not regexp_full_match(said.phone, '861\\d{10}')"
    made["phone"] = _read(connection, joins, "phone", is_plain, "said.phone", values.phone)


def _email(connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str]) -> None:
    is_plain = "regexp_full_match(said.email, '[!-*,-?A-~]+@[!-*,-?A-~]+')"
    made["email"] = _read(connection, joins, "email", is_plain, "lower(said.email)", values.email)


def _gender(connection: duckdb.DuckDBPyConnection, made: dict[str, str], joins: list[str]) -> None:
    made["gender"] = _read(connection, joins, "gender", "false", "''", values.gender)


_MAKERS: dict[str, Callable[[duckdb.DuckDBPyConnection, dict[str, str], list[str]], None]] = {
    "name": _whole_name,
    "given_name": partial(_name_part, "given_name"),
    "surname": partial(_name_part, "surname"),
    "birthday": _birthday,
    "city": partial(_text, "city"),
    "postcode": partial(_text, "postcode"),
    "gender": _gender,
    "occupation": partial(_text, "occupation"),
    "email": _email,
    "phone": _phone,
    "address": partial(_text, "address", spaced=True),
}
