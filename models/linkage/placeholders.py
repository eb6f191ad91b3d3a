"""Values that stand in many records and say nothing of anybody: a till's number, "WeChat user", 1900-01-01.

Belongs here: telling a placeholder from a value that one person's many records share, by whether its holders otherwise
agree. Does not belong here: lists of known placeholders (they are the retailer's, see identity.yml), or common names,
whose frequency lowers their weight by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

_FEWEST = 20
"""Records that must hold a value before it can be a placeholder."""
_SHARE = 0.005
"""And their share of all records that say anything there."""
_DIFFERENT = 0.5
"""Share of the holders that a second field must tell apart."""

_NAME = "surname_sound || ' ' || given_sound"
_PARTS = {
    "phone": ("phone", "phone_fragment"),
    "email": ("email", "email_local"),
    "birthday": ("birthday",),
    "name": ("given_name", "surname", "given_sound", "surname_sound"),
}


def blank_placeholders(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> None:
    """Set placeholders of table `records` to null, in every column made from them."""
    values = {name: name for name in ("phone", "email", "birthday") if name in columns}
    if {"given_name", "surname"} <= set(columns):
        values["name"] = _NAME
    for field, value in values.items():
        witnesses = [other for name, other in values.items() if name != field]
        if not witnesses:
            continue
        # A given name that is always seen with one surname, by many: no name of a person spreads like that.
        is_no_name = "and min(n_of_given) <= 1.1 * count(*)" if field == "name" else ""
        n_of_given = ", count(*) over (partition by given_sound) as n_of_given" if field == "name" else ""
        differ = " or ".join(
            f"(count(witness_{number}) >= {_FEWEST / 2} "
            f"and count(distinct witness_{number}) > {_DIFFERENT} * count(witness_{number}))"
            for number in range(len(witnesses))
        )
        seen = ", ".join(f"{other} as witness_{number}" for number, other in enumerate(witnesses))
        connection.execute(f"""
            create or replace temp table placeholders as
            with said as (
                select {value} as value, {seen}{n_of_given} from records
            )
            select value from said where value is not null
            group by value
            having count(*) >= {_FEWEST}
                and count(*) >= {_SHARE} * (select count(value) from said)
                {is_no_name}
                and ({differ})""")
        parts = ", ".join(f"{part} = null" for part in _PARTS[field] if part in columns)
        connection.execute(f"update records set {parts} where {value} in (select value from placeholders)")
        connection.execute("drop table placeholders")
