"""How two records agree on each field: Splink comparisons, from full agreement down to none.

Belongs here: the levels of agreement and their words. Which level weighs what is learned from the data
(estimation.py). Levels are ordered; the first that holds counts. Null on either side says nothing.

The dear distance (Damerau-Levenshtein) is asked only where the cheap one (Jaro-Winkler) leaves it a chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Level:
    """One level of agreement. sql: on the columns `<column>_l`, `<column>_r`. words: what it means to a reader."""

    sql: str
    words: str


@dataclass(frozen=True)
class Compared:
    """One comparison: a field, its column, and its levels from the highest down; below them all lies "differs".

    has_frequency: whether agreement on a rare value counts more than on a common one at the highest level.
    """

    field: str
    column: str
    levels: tuple[Level, ...]
    has_frequency: bool = True

    @property
    def frequency_column(self) -> str:
        """Whose values' frequencies count at the highest level."""
        return "phone" if self.field == "phone" else self.column

    @property
    def n_levels(self) -> int:
        """Levels with "differs"; the highest has the number n_levels - 1, "differs" is 0, null is -1."""
        return len(self.levels) + 1


def near(column: str, similarity: float) -> str:
    """SQL: Jaro-Winkler at least this."""
    return f"jaro_winkler_similarity({column}_l, {column}_r) >= {similarity}"


def typed(column: str, edits: int, shortest: int) -> str:
    """SQL: so many slips of a finger apart (insert, delete, replace, swap), on texts of at least this length."""
    # So many slips cost two thirds of their share of the text at most; a little less, as rounding must not decide.
    at_least = round(1 - 2 * edits / (3 * shortest) - 0.02, 3)
    is_possible = f"least(length({column}_l), length({column}_r)) >= {shortest} and {near(column, at_least)}"
    # CASE, as the order of AND is DuckDB's own to choose.
    return f"case when {is_possible} then damerau_levenshtein({column}_l, {column}_r) <= {edits} else false end"


def same(column: str) -> str:
    """SQL: the same value."""
    return f"{column}_l = {column}_r"


def _name(column: str, other: str | None) -> tuple[Level, ...]:
    sound = f"{column.split('_', 1)[0]}_sound"
    levels = [Level(same(column), "same")]
    if other is not None:
        other_sound = f"{other.split('_', 1)[0]}_sound"
        swapped = f"{sound}_l = {other_sound}_r", f"{other_sound}_l = {sound}_r"
        levels.append(Level(" and ".join(swapped), "given name and surname swapped"))
        levels.append(Level(f"{same(sound)} or {typed(sound, 1, 4)} or {near(sound, 0.92)}", "nearly the same"))
        levels.append(Level(" or ".join(swapped), "stands in the other part of the name"))
    else:
        levels.append(Level(f"{same(sound)} or {typed(sound, 1, 4)} or {near(sound, 0.92)}", "nearly the same"))
    begins = f"starts_with({sound}_l, {sound}_r) or starts_with({sound}_r, {sound}_l)"
    levels.append(Level(f"{near(sound, 0.8)} or {begins}", "similar or shortened"))
    return tuple(levels)


def _birthday() -> tuple[Level, ...]:
    swapped = (
        "(birthday_l[:4] = birthday_r[:4] and birthday_l[5:6] = birthday_r[7:8] and birthday_l[7:8] = birthday_r[5:6])"
    )
    parts = "birthday_l[5:8] = birthday_r[5:8] or birthday_l[:6] = birthday_r[:6]"
    return (
        Level(same("birthday"), "same"),
        Level(f"{typed('birthday', 1, 8)} or {swapped}", "one digit apart, or day and month swapped"),
        Level(f"{parts} or {typed('birthday', 2, 8)}", "two of day, month and year"),
    )


def comparisons(columns: Iterable[str]) -> list[Compared]:
    """The comparisons that these columns of `records` allow."""
    there = set(columns)
    both = {"given_name", "surname"} <= there
    address_near = f"({same('address_number')} and {near('address_street', 0.9)})"
    every = [
        Compared("given_name", "given_name", _name("given_name", "surname" if both else None)),
        Compared("surname", "surname", _name("surname", "given_name" if both else None)),
        Compared("birthday", "birthday", _birthday()),
        Compared(
            "email", "email",
            (
                Level(same("email"), "same"),
                Level(f"{same('email_local')} or {typed('email', 2, 8)}", "same name before the @, or two slips apart"),
                Level(f"{near('email', 0.9)} or {near('email_local', 0.9)}", "similar"),
            ),
        ),
        Compared(
            "phone", "phone_fragment" if "phone_fragment" in there else "phone",
            (
                Level(same("phone"), "same"),
                Level(
                    f"{same('phone_fragment')} or {typed('phone', 1, 7)}",
                    "one digit apart, or the same as far as it is shown",
                ),
                Level("phone_l[-4:] = phone_r[-4:]", "same last four digits"),
            ),
        ),
        Compared(
            "postcode", "postcode",
            (Level(same("postcode"), "same"), Level(typed("postcode", 1, 4), "one digit apart")),
        ),
        Compared(
            "address", "address",
            (
                Level(same("address"), "same"),
                Level(f"{address_near} or {typed('address', 2, 8)}", "nearly the same"),
                Level(
                    f"{same('address_street')} or {near('address_street', 0.93)} or {near('address', 0.88)}", "similar"
                ),
            ),
        ),
        Compared(
            "city", "city",
            (
                Level(same("city"), "same"),
                Level(f"{typed('city', 1, 4)} or {near('city', 0.9)}", "nearly the same"),
                Level(near("city", 0.8), "similar"),
            ),
        ),
        Compared("gender", "gender", (Level(same("gender"), "same"),), has_frequency=False),
        Compared(
            "occupation", "occupation",
            (Level(same("occupation"), "same"), Level(near("occupation", 0.88), "similar")),
        ),
    ]  # fmt: skip
    found = [comparison for comparison in every if comparison.column in there]
    # Alone, a value's frequency is that of its person's records: it would speak against those who have most.
    return found if len(found) > 1 else [replace(comparison, has_frequency=False) for comparison in found]


def as_splink(comparison: Compared, m: Sequence[float], u: Sequence[float]) -> Any:
    """The comparison as Splink takes it, with the probability of each level, from "differs" up."""
    from splink import comparison_library

    null = f"{comparison.column}_l is null or {comparison.column}_r is null"
    levels: list[Any] = [{"sql_condition": null, "label_for_charts": "nothing said", "is_null_level": True}]
    for number in range(len(comparison.levels), -1, -1):
        level = comparison.levels[len(comparison.levels) - number] if number else Level("ELSE", "differs")
        levels.append(
            {
                "sql_condition": level.sql,
                "label_for_charts": level.words,
                "m_probability": float(m[number]),
                "u_probability": float(u[number]),
            }
        )
    if comparison.has_frequency:
        levels[1] |= {"tf_adjustment_column": comparison.frequency_column, "tf_adjustment_weight": 1.0}
    return comparison_library.CustomComparison(output_column_name=comparison.field, comparison_levels=levels)
