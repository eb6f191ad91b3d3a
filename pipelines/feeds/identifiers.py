"""Identifiers of persons: their normal form, what is wrong with them, and their keyed token.

Belongs here: phone, e-mail, name and opaque identifiers, in SQL for what is common and in Python (a distinct value at
a time, cached) for what is rare; both give the same answer. Does not belong here: who is linked to whom (identity/).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import duckdb
import phonenumbers
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import VARCHAR

from pipelines.feeds.contract import Column
from pipelines.feeds.sql import literal
from pipelines.keys import Keys

DEFAULT_REGION = "CN"

PLACEHOLDER_PHONES = ("13800138000", "12345678901", "12345678910", "01234567890", "10086", "10010", "10000")
"""Numbers that people and tills type when they have none; besides, one digit repeated, 12345678…, and mobile numbers
made of a prefix with one digit eight times (13888888888) or as 13800138000 is (13900139000)."""

PLACEHOLDER_PHONE_PATTERN = "|".join(
    (
        *(f"{digit}{{5,}}" for digit in range(10)),
        *(f"1[3-9][0-9]{digit}{{8}}" for digit in range(10)),
        *(f"{prefix}00{prefix}000" for prefix in range(130, 200)),
        "12345678[0-9]*",
        *PLACEHOLDER_PHONES,
    )
)

PLACEHOLDER_EMAIL_NAMES = (
    "none", "test", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "null", "nil", "na", "n/a", "no",
    "nomail", "noemail", "no-email", "nobody", "unknown", "anonymous", "empty", "undefined", "xxx", "asdf", "abc123",
)  # fmt: skip
"""What stands before the @ of an address that is nobody's."""

CN_MOBILE_PATTERN = r"(?:\+?86|0086)?1(?:3[0-9]|4[57]|5[0-35-9]|6[25-7]|7[0-35-8]|8[0-9]|9[0-35-9])[0-9]{8}"
"""Numbers that need no library: every one of them is valid to phonenumbers as well (tested)."""

EMAIL_PATTERN = r"[^@\s,;:<>()\"\\*]{1,64}@[^@\s,;:<>()\"\\*.]+(?:\.[^@\s,;:<>()\"\\*.]+)*\.[^@\s,;:<>()\"\\*.0-9]{2,}"

_MASK_PATTERN = r"(?s).*(?:\*|＊|[xX]{3,}|[0-9][#•●][#•●]).*"
_SEPARATORS = r"[\s\-().·‐‑–—_/]"
_FULL_WIDTH = ("０１２３４５６７８９＋－（）．＊＠　", "0123456789+-().*@ ")
_SIMPLE_NAME_PATTERN = r"[A-Za-z\x{4e00}-\x{9fff} '.-]*"

KINDS = {
    "guest_phone": "phone",
    "guest_email": "email",
    "guest_openid": "wechat_openid",
    "device_id": "device",
    "device_ids": "device",
    "anonymous_id": "device",
}


def kind_of(column: Column) -> str:
    """The identity kind of an identifier column: what its token is keyed with."""
    return KINDS.get(column.name, column.name)


def normalise(kind: str, value: str) -> str | None:
    """Normal form of a value of that kind; None if it is unusable (invalid or masked)."""
    match kind:
        case "phone":
            return None if _is_masked(value) else _phone(value)
        case "email":
            return None if _is_masked(value) else _email(value)
        case "name":
            return _name(value)
        case _:
            return value.strip() or None


def issue_of(kind: str, value: str) -> str | None:
    """Why a phone or e-mail must not link: invalid, masked, placeholder; None if nothing is wrong."""
    if kind not in ("phone", "email"):
        return None
    if _is_masked(value):
        return "masked"
    normal = normalise(kind, value)
    if normal is None:
        return "invalid"
    return "placeholder" if _is_placeholder(kind, normal) else None


def token_of(keys: Keys, kind: str, value: str) -> str | None:
    """The token that ingest gives that value; None if the value is unusable."""
    normal = normalise(kind, value)
    return None if normal is None else keys.token(kind, normal)


def stored_member_id(keys: Keys, member_id: str) -> str:
    """What ingest stores for a channel's member id: itself, or its token where it is a phone number or an address."""
    kind = _member_id_kind(member_id)
    normal = None if kind is None else normalise(kind, member_id)
    return member_id if kind is None or normal is None else keys.token(kind, normal)


def install(connection: duckdb.DuckDBPyConnection, keys: Keys) -> None:
    """Define on this connection: token(kind, v), phone_normal(v), email_normal(v), contact_issue(v, normal, kind…)."""
    inner, outer = keys.hmac_blocks()
    # Variables, not literals: no key in a statement, so none in a log or an error message.
    connection.execute("SET VARIABLE token_inner = ?", [inner])
    connection.execute("SET VARIABLE token_outer = ?", [outer])
    for name, function in (("rare_phone", _phone), ("rare_email", _email), ("rare_name", _name)):
        # null_handling: an unusable value becomes NULL, which DuckDB refuses of a function unless told to expect it.
        connection.create_function(
            name,
            _vectorised(function),
            [VARCHAR],
            VARCHAR,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
    for statement in _macros():
        connection.execute(statement)


def _macros() -> list[str]:
    names = ", ".join(literal(name) for name in PLACEHOLDER_EMAIL_NAMES)
    return [
        """
        CREATE OR REPLACE MACRO token(kind, plain) AS left(
            sha256(
                getvariable('token_outer')
                || unhex(sha256(getvariable('token_inner') || encode(kind || ':' || plain)))
            ),
            32
        )
        """,
        f"CREATE OR REPLACE MACRO is_masked(plain) AS regexp_full_match(plain, {literal(_MASK_PATTERN)})",
        f"""
        CREATE OR REPLACE MACRO phone_digits(plain) AS regexp_replace(
            translate(plain, {literal(_FULL_WIDTH[0])}, {literal(_FULL_WIDTH[1])}), {literal(_SEPARATORS)}, '', 'g'
        )
        """,
        f"""
        CREATE OR REPLACE MACRO phone_normal(plain) AS CASE
            WHEN plain IS NULL THEN NULL
            WHEN regexp_full_match(plain, {literal(CN_MOBILE_PATTERN)}) THEN '+86' || right(plain, 11)
            WHEN is_masked(plain) THEN NULL
            WHEN regexp_full_match(phone_digits(plain), {literal(CN_MOBILE_PATTERN)})
                THEN '+86' || right(phone_digits(plain), 11)
            ELSE rare_phone(plain)
        END
        """,
        f"""
        CREATE OR REPLACE MACRO is_placeholder_phone(normal) AS
            regexp_full_match(regexp_replace(normal, '^\\+(?:86)?', ''), {literal(PLACEHOLDER_PHONE_PATTERN)})
        """,
        f"""
        CREATE OR REPLACE MACRO email_normal(plain) AS CASE
            WHEN plain IS NULL OR is_masked(plain) THEN NULL
            WHEN strlen(plain) <> length(plain) THEN rare_email(plain)
            WHEN regexp_full_match(lower(trim(plain, ' \t\r\n')), {literal(EMAIL_PATTERN)})
                THEN lower(trim(plain, ' \t\r\n'))
        END
        """,
        f"CREATE OR REPLACE MACRO is_placeholder_email(normal) AS split_part(normal, '@', 1) IN ({names})",
        f"""
        CREATE OR REPLACE MACRO name_normal(plain) AS CASE
            WHEN plain IS NULL THEN NULL
            WHEN regexp_full_match(plain, {literal(_SIMPLE_NAME_PATTERN)})
                THEN nullif(lower(trim(regexp_replace(plain, ' +', ' ', 'g'))), '')
            ELSE rare_name(plain)
        END
        """,
        """
        CREATE OR REPLACE MACRO phone_issue(plain, normal) AS CASE
            WHEN plain IS NULL THEN NULL
            WHEN normal IS NULL THEN CASE WHEN is_masked(plain) THEN 'masked' ELSE 'invalid' END
            WHEN is_placeholder_phone(normal) THEN 'placeholder'
        END
        """,
        """
        CREATE OR REPLACE MACRO email_issue(plain, normal) AS CASE
            WHEN plain IS NULL THEN NULL
            WHEN normal IS NULL THEN CASE WHEN is_masked(plain) THEN 'masked' ELSE 'invalid' END
            WHEN is_placeholder_email(normal) THEN 'placeholder'
        END
        """,
        # Only what is shaped like a mobile number or carries its country: a plain numeric member id stays as it is.
        f"""
        CREATE OR REPLACE MACRO member_id_kind(plain) AS CASE
            WHEN plain IS NULL OR strlen(plain) < 6 THEN NULL
            WHEN contains(plain, '@') OR contains(plain, '＠') THEN
                CASE WHEN email_normal(plain) IS NOT NULL THEN 'email' END
            WHEN strlen(plain) < 11 OR is_masked(plain) THEN NULL
            WHEN regexp_full_match(phone_digits(plain), {literal(CN_MOBILE_PATTERN)}) THEN 'phone'
            WHEN starts_with(plain, '+') AND rare_phone(plain) IS NOT NULL THEN 'phone'
        END
        """,
        """
        CREATE OR REPLACE MACRO member_id_normal(plain) AS CASE member_id_kind(plain)
            WHEN 'phone' THEN phone_normal(plain)
            WHEN 'email' THEN email_normal(plain)
        END
        """,
    ]


def _member_id_kind(value: str) -> str | None:
    """As `member_id_kind` in SQL."""
    size = len(value.encode("utf-8", "surrogatepass"))
    if size < 6:
        return None
    if "@" in value or "＠" in value:
        return None if normalise("email", value) is None else "email"
    if size < 11 or _is_masked(value):
        return None
    digits = re.sub(_SEPARATORS, "", value.translate(str.maketrans(*_FULL_WIDTH)))
    if re.fullmatch(CN_MOBILE_PATTERN, digits):
        return "phone"
    return "phone" if value.startswith("+") and _phone(value) is not None else None


def _vectorised(function: Callable[[str], str | None]) -> Callable[[pa.ChunkedArray], pa.Array]:
    def over_values(values: pa.ChunkedArray) -> pa.Array:
        encoded = values.combine_chunks().dictionary_encode()
        results = [None if value is None else function(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(results, pa.string()).take(encoded.indices)

    return over_values


def _is_masked(value: str) -> bool:
    return re.fullmatch(_MASK_PATTERN, value) is not None


def _is_placeholder(kind: str, normal: str) -> bool:
    if kind == "phone":
        return re.fullmatch(PLACEHOLDER_PHONE_PATTERN, re.sub(r"^\+(?:86)?", "", normal)) is not None
    return normal.split("@")[0] in PLACEHOLDER_EMAIL_NAMES


@lru_cache(maxsize=200_000)
def _phone(value: str) -> str | None:
    """E.164, China by default; a placeholder that is no number keeps its digits, so that its block can be shown."""
    text = unicodedata.normalize("NFKC", value).strip()
    # Spreadsheets turn a column of numbers with gaps into floats.
    text = re.sub(r"^(\d{7,15})\.0$", r"\1", text)
    digits = re.sub(_SEPARATORS, "", text)
    if re.fullmatch(CN_MOBILE_PATTERN, digits):
        return f"+86{digits[-11:]}"
    national = re.sub(r"^(\+86|0086|\+)", "", digits)
    if re.fullmatch(PLACEHOLDER_PHONE_PATTERN, national):
        return national
    if re.search(r"[A-Za-z]", digits):
        return None
    try:
        number = phonenumbers.parse(re.sub(r"^00", "+", digits), DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=50_000)
def _email(value: str) -> str | None:
    text = unicodedata.normalize("NFKC", value).strip().lower()
    return text if re.fullmatch(EMAIL_PATTERN, text) else None


@lru_cache(maxsize=200_000)
def _name(value: str) -> str | None:
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split()) or None
