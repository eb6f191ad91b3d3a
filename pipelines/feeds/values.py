"""Types of the contract in SQL: text in, a typed value or NULL out.

Belongs here: times, dates, numbers, booleans, vocabularies. Does not belong here: what a NULL means for the row
(ladder.py), and identifiers (identifiers.py).
"""

from __future__ import annotations

from pipelines.channels import timezone_names
from pipelines.feeds.contract import Column
from pipelines.feeds.currencies import CURRENCIES
from pipelines.feeds.sql import quoted

_INSTANT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r" ?(?:[zZ]|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)?)?"
)
_SECONDS = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = r":[0-9.,]+ ?(?:[zZ]|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]00:00(?::00(?:\.0+)?)?)?"
_NUMBER = r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*"
_MONEY = r"\s*[+-]?(?:[0-9]+(?:\.[0-9]{0,4}0*)?|\.[0-9]{1,4}0*)\s*"
_MONEY_EXPONENT = r"\s*[+-]?[0-9]{1,11}(?:\.[0-9]{0,9})?[eE][+-]?0*[0-9]\s*"


def macros() -> list[str]:
    """What the generated SQL calls; define on the connection once."""
    zones = ", ".join(f"'{name}'" for name in sorted(timezone_names()))
    currencies = ", ".join(f"'{code}'" for code in sorted(CURRENCIES))
    return [
        f"CREATE OR REPLACE MACRO is_timezone(plain) AS plain IN ({zones})",
        f"CREATE TYPE currency_code AS ENUM ({currencies})",
        # UTC where an offset stands, else the wall clock as it is: the session's zone is UTC. The usual shapes come
        # first; what is left is read with care.
        f"""
        CREATE OR REPLACE MACRO instant_of(plain) AS CASE
            WHEN regexp_full_match(plain, '{_SECONDS}Z') THEN TRY_CAST(plain AS TIMESTAMP)
            WHEN regexp_full_match(plain, '{_SECONDS}[+-](?:0[0-9]|1[0-4]):[0-5][0-9]')
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


def typed_value(column: Column, text: str) -> str:
    """SQL of the typed value of a text expression; NULL if it has none."""
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


def nested_value(child: Column) -> str:
    """The typed value of a field of the lambda variable `item`, an element of a nested list."""
    text = f"item.{quoted(child.name)}"
    return f"unless_blank({text})" if child.kind in ("id", "text") else typed_value(child, text)
