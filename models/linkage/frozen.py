"""A model that is learned once and then asked, record by record and pair by pair, always with the same answer.

Belongs here: what an increment needs, so that linking a few new records gives what linking all of them anew would:
weights, blocking rules and frequencies that are frozen, and records read each by itself. Does not belong here: who
keeps the model, the keys and the scores, and whose records they are.

Order of use: `learn` once; then, of any records, `Records.keys` (two records that share a key are worth a look),
`Records.spellings` (whose frequencies the caller knows or not) and `Records.score`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from models.linkage import blocking, scoring
from models.linkage.comparisons import comparisons
from models.linkage.estimation import Alternative, Weights
from models.linkage.evidence import with_evidence
from models.linkage.learning import learn_weights
from models.linkage.normalise import prepare
from models.linkage.placeholders import blank_placeholders

COMMON = 5
"""Records that must share a value for its own frequency to be kept: what fewer share could point at somebody."""
VERSION = 1
"""Of levels, keys and reading: weights that were learned under another mean nothing here."""


@dataclass(frozen=True)
class Model:
    """What was learned. columns: of the table of records. n_records: how many it was learned from.

    rare: by column, the share of all records that a value has that fewer than COMMON share, on average.
    """

    columns: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    weights: Weights
    rare: dict[str, float]
    n_records: int

    def parameters(self) -> dict[str, Any]:
        """The model as JSON has it; it names columns and keys, and holds no value of any record."""
        weights = self.weights
        return {
            "version": VERSION,
            "columns": list(self.columns),
            "rules": [list(rule) for rule in self.rules],
            "m": [levels.tolist() for levels in weights.m],
            "u": [levels.tolist() for levels in weights.u],
            "match": weights.match,
            "alternatives": [
                {
                    "fields": sorted(kind.fields),
                    "share": kind.share,
                    "levels": [levels.tolist() for levels in kind.levels],
                }
                for kind in weights.alternatives
            ],
            "rare": self.rare,
            "n_records": self.n_records,
        }

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Undo `parameters`. ValueError if another version wrote them."""
        if parameters.get("version") != VERSION:
            raise ValueError("the model was learned by another version")
        alternatives = tuple(
            Alternative(frozenset(kind["fields"]), kind["share"], _arrays(kind["levels"]))
            for kind in parameters["alternatives"]
        )
        weights = Weights(
            tuple(comparisons(parameters["columns"])),
            _arrays(parameters["m"]),
            _arrays(parameters["u"]),
            parameters["match"],
            alternatives,
        )
        return cls(
            tuple(parameters["columns"]),
            tuple(tuple(rule) for rule in parameters["rules"]),
            weights,
            dict(parameters["rare"]),
            int(parameters["n_records"]),
        )


def learn(
    table: pa.Table, population: int | None = None, *, threads: int | None = None, memory_limit: str | None = None
) -> tuple[Model, pa.Table] | None:
    """Learn from records (columns out of FIELDS): the model, and the frequencies of values that are common.

    population: how many records there are of which these are a random sample; blocks are sized for all of them.

    Frequencies: name (a column), spelling (its value), share (of the records that have one). None where the records
    give nothing to learn from: fewer than two, or nothing that tells them apart.
    """
    with _connection(threads, memory_limit) as connection:
        columns = prepare(connection, table, alone=True)
        items = comparisons(columns)
        # Before placeholders go: whoever is scored later may have one, and then it must count as common.
        rare, shares = _frequencies(connection, scoring.frequency_columns(items))
        blank_placeholders(connection, columns)
        rules = blocking.choose_rules(connection, columns, population) if items and table.num_rows > 1 else []
        n_pairs = blocking.make_pairs(connection, rules, is_two_source=False)
        if not n_pairs:
            return None
        weights = learn_weights(connection, items, table.num_rows, n_pairs, is_two_source=False)
        return Model(tuple(columns), tuple(rule.keys for rule in rules), weights, rare, table.num_rows), shares


class Records:
    """Some records, read under a model. Numbers of records are their places in the table given.

    Use as a context manager: what was read is in memory alone and is gone at the end. hopeless: bits below which
    `score` leaves a pair out.
    """

    hopeless = scoring.Scorer.unseen

    def __init__(
        self, model: Model, table: pa.Table, *, threads: int | None = None, memory_limit: str | None = None
    ) -> None:
        self._model = model
        self._opened = _connection(threads, memory_limit)
        self._connection = self._opened.__enter__()
        prepare(self._connection, table, _folded(model.columns), alone=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.__exit__(None, None, None)

    def keys(self) -> pa.Table:
        """record, rule (its number), key (a text, made of values: for hashing under a secret, never for keeping)."""
        parts = " union all ".join(
            f"select id as record, {number} as rule, {blocking.rule_of(rule).spelt()} as key from records"
            for number, rule in enumerate(self._model.rules)
        )
        return self._connection.execute(f"select * from ({parts}) where key is not null").to_arrow_table()

    def spellings(self) -> pa.Table:
        """name, spelling: the distinct values of the columns whose frequencies count."""
        columns = scoring.frequency_columns(self._model.weights.comparisons)
        if not columns:
            return pa.table({"name": pa.array([], pa.string()), "spelling": pa.array([], pa.string())})
        parts = " union all ".join(
            f"select distinct '{column}' as name, {column} as spelling from records where {column} is not null"
            for column in columns
        )
        return self._connection.execute(parts).to_arrow_table()

    def score(self, pairs: pa.Table, shares: pa.Table) -> pa.Table:
        """left, right, score (bits), evidence (words) of the pairs (left, right); the hopeless ones are left out.

        shares: name, spelling, share of values that are common; every other value counts as rare.
        """
        connection = self._connection
        connection.register("given_shares", shares)
        rare = " ".join(f"when '{column}' then {share!r}" for column, share in self._model.rare.items())
        rare_share = f"case name {rare} end" if rare else "null"
        connection.register("given_spellings", self.spellings())
        connection.execute(f"""
            create or replace table shares as
            select name, spelling, coalesce(share, {rare_share}) as share
            from given_spellings left join given_shares using (name, spelling)""")
        connection.unregister("given_shares")
        connection.unregister("given_spellings")
        connection.register("given_pairs", pairs)
        connection.execute('create or replace table asked as select "left" as id_l, "right" as id_r from given_pairs')
        connection.unregister("given_pairs")
        scoring.Scorer(connection, self._model.weights, "shares").score("asked", "scored")
        found = connection.execute('select id_l as "left", id_r as "right", score from scored').to_arrow_table()
        return with_evidence(connection, self._model.weights.comparisons, found)


def _arrays(levels: list[list[float]]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(values, dtype=np.float64) for values in levels)


@contextmanager
def _connection(threads: int | None, memory_limit: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that never spills: what it holds must not touch a disk."""
    connection = duckdb.connect()
    try:
        connection.execute("set temp_directory = ''")
        connection.execute("set enable_progress_bar = false")  # it would be written among the results
        if threads is not None:
            connection.execute(f"set threads = {threads}")
        if memory_limit is not None:
            connection.execute(f"set memory_limit = '{memory_limit}'")
        yield connection
    finally:
        connection.close()


def _folded(columns: Sequence[str]) -> list[str]:
    """The columns without those that are made from others."""
    made = ("_sound", "_local", "_fragment", "_number", "_street")
    return [column for column in columns if not column.endswith(made)]


def _frequencies(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> tuple[dict[str, float], pa.Table]:
    """By column the average share of a rare value, and name, spelling, share of the common ones."""
    if not columns:
        names = ("name", "spelling")
        return {}, pa.table({name: pa.array([], pa.string()) for name in names} | {"share": pa.array([], pa.float64())})
    counted = " union all ".join(
        f"select '{column}' as name, {column} as spelling, count(*) as n, sum(n) over () as n_all "
        f"from records where {column} is not null group by {column}"
        for column in columns
    )
    connection.execute(f"create or replace table counted as {counted}")
    rare = connection.execute(f"""
        select name, coalesce(avg(n / n_all) filter (n < {COMMON}), min(1 / n_all))
        from counted group by name order by name""").fetchall()
    shares = connection.execute(
        f"select name, spelling, n / n_all as share from counted where n >= {COMMON} order by name, spelling"
    ).to_arrow_table()
    connection.execute("drop table counted")
    return {name: float(share) for name, share in rare}, shares
