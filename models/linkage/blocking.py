"""Which pairs of records are worth a look.

A rule is a set of keys made from one to three fields; two records are a candidate pair if they agree on all keys of a
rule. Rules are chosen from the data alone: those whose blocks are small enough, as different from each other as
possible, until the budget of pairs is spent. A block that is too large (a placeholder, a common name) is left out of
its rule; its records still meet through other rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, groupby

import duckdb

_KEYS = {
    "given_name": {"given name": "given_sound", "given name begins": "given_sound[:3]"},
    "surname": {"surname": "surname_sound", "surname begins": "surname_sound[:3]"},
    "birthday": {
        "birthday": "birthday",
        "birth month": "birthday[:6]",
        "birth day and month": "birthday[5:8]",
        "birth year and day": "birthday[:4] || birthday[7:8]",
    },
    "email": {"e-mail": "email", "e-mail name": "email_local", "e-mail begins": "email_local[:5]"},
    "phone": {"phone": "phone", "phone fragment": "phone_fragment", "phone ends": "phone[-4:]"},
    "postcode": {"postcode": "postcode", "postcode begins": "postcode[:3]"},
    "address": {"address": "address", "address begins": "address[:8]", "street": "address_street"},
    "city": {"city": "city", "city begins": "city[:3]"},
    "occupation": {"occupation": "occupation"},
    "gender": {"gender": "gender"},
}
_SAMPLE = 25_000
"""Records on which the size of a rule is estimated."""
LARGEST_BLOCK = 400
"""Records a block may have; the pairs of a larger one are none, unless another rule makes them."""
_FEWEST_PAIRS = 400_000
_PAIRS_A_RECORD, _PAIRS_A_RECORD_BEYOND = 6.0, 3.0
"""The budget: so many pairs, and more for each record, fewer for each beyond _WIDE."""
_LARGEST_PART = 1 / 3
"""Of the budget, for one rule."""
_CROWDED = 0.1
"""Share of records in blocks too large to use from which a rule is not worth having."""
_MOST_RULES = 60
_WIDE = 100_000
"""From this many records on, fewer rules are used: each is a pass over all of them."""
_MOST_RULES_WIDE = 12


@dataclass(frozen=True)
class Rule:
    """Keys on which both records must agree, and how many pairs that makes. fields: whose keys they are."""

    keys: tuple[str, ...]
    fields: tuple[str, ...]
    sql: tuple[str, ...]
    n_pairs: float

    def hashed(self) -> str:
        """SQL: one key of all, null if any is."""
        texts = [f"({sql})" for sql in self.sql]
        absent = " or ".join(f"{text} is null" for text in texts)
        return f"if({absent}, null, hash({', '.join(texts)}))"

    def spelt(self) -> str:
        """SQL: the keys as one text, null if any is."""
        texts = [f"({sql})" for sql in self.sql]
        absent = " or ".join(f"{text} is null" for text in texts)
        return f"if({absent}, null, concat_ws(chr(31), {', '.join(texts)}))"


def rule_of(names: Iterable[str]) -> Rule:
    """The rule of these keys, by their names. KeyError if there is no such key."""
    known = {name: (field, sql) for field, parts in _KEYS.items() for name, sql in parts.items()}
    keys = tuple(names)
    return Rule(keys, tuple(known[key][0] for key in keys), tuple(known[key][1] for key in keys), 0)


def choose_rules(
    connection: duckdb.DuckDBPyConnection, columns: Iterable[str], population: int | None = None
) -> list[Rule]:
    """The rules for table `records`, fewest pairs wasted first. Empty if nothing tells records apart.

    population: how many records the rules are for, where the table is a random sample of them.
    """
    n_here = _count(connection, "select count(*) from records")
    n_records = max(n_here, population or 0)
    drawn = min(1.0, _SAMPLE / max(n_here, 1))
    share = drawn * n_here / max(n_records, 1)
    connection.execute(f"""
        create or replace temp table block_sample as
        select * from records {"" if drawn == 1 else f"where hash(id) % 1000000 < {int(drawn * 1_000_000)}"}""")
    budget = _budget(n_records)
    keys = [
        (field, name, sql)
        for field, parts in _KEYS.items()
        for name, sql in parts.items()
        if sql.split("[")[0].split(" ")[0] in set(columns)
    ]
    affordable = _affordable(connection, keys, (1, 2), [], budget, share)
    if sum(rule.n_pairs for rule in affordable) < budget / 2:
        whole = [next(of_field) for _, of_field in groupby(keys, key=lambda key: key[0])]
        affordable += _affordable(connection, whole, (3,), affordable, budget, share)
    connection.execute("drop table block_sample")
    return _most_telling(affordable, budget, _MOST_RULES_WIDE if n_records > _WIDE else _MOST_RULES)


def _budget(n_records: int) -> float:
    near = min(n_records, _WIDE)
    return _FEWEST_PAIRS + _PAIRS_A_RECORD * near + _PAIRS_A_RECORD_BEYOND * (n_records - near)


def _affordable(
    connection: duckdb.DuckDBPyConnection,
    keys: list[tuple[str, str, str]],
    sizes: tuple[int, ...],
    known: list[Rule],
    budget: float,
    share: float,
) -> list[Rule]:
    """Rules of so many keys that the budget can bear; none that only narrows another. keys: (field, name, SQL)."""
    found: list[Rule] = []
    for size in sizes:
        for combination in combinations(keys, size):
            fields = tuple(field for field, _, _ in combination)
            names = tuple(name for _, name, _ in combination)
            if len(set(fields)) < size or any(set(rule.keys) <= set(names) for rule in (*known, *found)):
                continue
            rule = Rule(names, fields, tuple(sql for _, _, sql in combination), 0)
            n_pairs, crowded = _size(connection, rule, share)
            if 0 < n_pairs <= budget * _LARGEST_PART and crowded <= _CROWDED:
                found.append(replace(rule, n_pairs=n_pairs))
    return found


def _size(connection: duckdb.DuckDBPyConnection, rule: Rule, share: float) -> tuple[float, float]:
    """How many pairs a rule makes, estimated from the sample, and the share of records in blocks that are too large."""
    largest = max(2, int(LARGEST_BLOCK * share))
    row = connection.execute(f"""
        with blocks as (
            select count(*) as n from block_sample group by {rule.hashed()} having {rule.hashed()} is not null
        )
        select
            coalesce(sum(n * (n - 1) // 2) filter (n <= {largest}), 0)::bigint,
            coalesce(sum(n) filter (n > {largest}) / sum(n), 0.0)::double
        from blocks""").fetchone()
    return (row[0] / share**2, row[1]) if row else (0.0, 0.0)


def _most_telling(rules: list[Rule], budget: float, most: int) -> list[Rule]:
    """Rules in the order of use, while the budget lasts.

    A rule of fewer keys goes first, as it asks less of a pair, and one whose fields have been used less, so that an
    error in one field is made good by another; among equals the one with fewer pairs, which are the surer ones.
    """
    used: dict[str, int] = {}
    chosen: list[Rule] = []
    left = list(rules)
    spent = 0.0

    def order(rule: Rule) -> tuple[float, float, tuple[str, ...]]:
        repeated = sum(used.get(field, 0) for field in rule.fields) / len(rule.fields)
        return len(rule.keys) * (1 + repeated), rule.n_pairs, rule.keys

    while left and len(chosen) < most:
        best = min(left, key=order)
        left.remove(best)
        if spent + best.n_pairs > budget:
            continue
        spent += best.n_pairs
        chosen.append(best)
        for field in best.fields:
            used[field] = used.get(field, 0) + 1
    return chosen


def make_pairs(connection: duckdb.DuckDBPyConnection, rules: list[Rule], *, is_two_source: bool) -> int:
    """Table `pairs` (id_l < id_r, each once) of all candidates; returns how many.

    is_two_source: pairs within one source are no candidates.
    """
    connection.execute("create or replace table pairs (id_l bigint, id_r bigint)")
    if not rules:
        return 0
    apart = "and l.source <> r.source" if is_two_source else ""
    source = ", source" if is_two_source else ""
    parts: list[str] = []
    for rule in rules:
        connection.execute(f"""
            create or replace temp table keyed_{len(parts)} as
            select {rule.hashed()} as key, id{source} from records where {rule.hashed()} is not null
            qualify count(*) over (partition by key) between 2 and {LARGEST_BLOCK}""")
        parts.append(f"""
            select l.id as id_l, r.id as id_r from keyed_{len(parts)} as l
            inner join keyed_{len(parts)} as r on l.key = r.key and l.id < r.id {apart}""")
    connection.execute(f"insert into pairs {' union '.join(parts)}")
    for number in range(len(parts)):
        connection.execute(f"drop table keyed_{number}")
    return _count(connection, "select count(*) from pairs")


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
