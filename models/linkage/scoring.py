"""Pairs of records, compared and scored with Splink on DuckDB.

Belongs here: everything that is asked of Splink, and what a household takes off its score. Does not belong here: which
pairs, which levels, what they weigh.

A score is the weight of evidence in bits, prior odds included: 0 means as likely as not, 10 means 1,000 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np

from models.linkage.comparisons import Compared, as_splink
from models.linkage.estimation import Alternative, Patterns, Weights

_HOPELESS = -12.0
"""Bits below which a pair is not kept: it cannot sway a mean that it would not sway with this weight."""


class Scorer:
    """Splink, with the weights that were learned. `unseen` is the score of a pair that is not kept, in bits."""

    unseen = _HOPELESS

    def __init__(self, connection: duckdb.DuckDBPyConnection, weights: Weights, shares: str | None = None) -> None:
        """shares: a relation (name, spelling, share) of how frequent values are; None: count them in `records`."""
        from splink import DuckDBAPI, Linker, SettingsCreator

        self._connection = connection
        self._weights = weights
        settings = SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name="id",
            probability_two_random_records_match=weights.match,
            comparisons=[
                as_splink(item, weights.m[column].tolist(), weights.u[column].tolist())
                for column, item in enumerate(weights.comparisons)
            ],
            blocking_rules_to_generate_predictions=[],
            retain_intermediate_calculation_columns=True,
            retain_matching_columns=False,
        )
        self._api = DuckDBAPI(connection)
        self._linker: Any = Linker(self._api.register("records"), settings, log_level=None)
        for column in frequency_columns(weights.comparisons) if shares is not None else ():
            connection.execute(f"""
                create or replace table shares_of_{column} as
                select spelling as {column}, share as tf_{column} from {shares} where name = '{column}'""")
            self._linker.table_management.register_term_frequency_lookup(
                self._api.register(f"shares_of_{column}"), column
            )

    def score(self, pairs: str, into: str) -> None:
        """Table `into` (id_l, id_r, score) of the pairs (id_l, id_r) of table `pairs` that are not hopeless."""
        self._connection.execute(
            "create or replace table blocked as "
            f"select '0' as match_key, id_l as join_key_l, id_r as join_key_r from {pairs}"
        )
        self._linker.table_management.register_blocked_pairs_for_predict(self._api.register("blocked"))
        predicted = self._linker.inference.predict(threshold_match_weight=_HOPELESS, warning_mode="never")
        self._connection.execute(f"""
            create or replace table {into} as
            select id_l, id_r, {self._score()} as score from {predicted.physical_name}""")
        predicted.drop_table_from_database_and_remove_from_cache()
        self._connection.execute("drop table blocked")

    def _score(self) -> str:
        """SQL: Splink's match weight, whose alternative is strangers, against strangers, relatives or neighbours."""
        weights = self._weights
        strangers = max(1 - weights.match - sum(kind.share for kind in weights.alternatives), 1e-12)
        odds = [
            f"{kind.share / strangers} * pow(2.0, least(200.0, {' + '.join(self._agreeing(kind)) or '0.0'}))"
            for kind in weights.alternatives
        ]
        return f"match_weight - log2({' + '.join(['1.0', *odds])})"

    def _agreeing(self, kind: Alternative) -> list[str]:
        weights = self._weights
        return [
            _alternative_weight(item, weights.m[column], weights.u[column], kind.levels[column])
            for column, item in enumerate(weights.comparisons)
            if item.field in kind.fields
        ]


def frequency_columns(items: Sequence[Compared]) -> list[str]:
    """The columns of `records` on whose rare values agreement counts more."""
    return sorted({item.frequency_column for item in items if item.has_frequency})


def _alternative_weight(item: Compared, m: np.ndarray, u: np.ndarray, other: np.ndarray) -> str:
    """SQL: bits for that kind against strangers; the level is known by the weight that Splink gave it."""
    column = f"mw_{item.field}"
    cases = " ".join(
        f"when abs({column} - {np.log2(m[level] / u[level])}) < 1e-9 then {np.log2(other[level] / u[level])}"
        for level in range(item.n_levels)
    )
    frequency = f" + mw_tf_adj_{item.field}" if item.has_frequency else ""
    return f"(case when {column} = 0 then 0.0 {cases} else 0.0 end{frequency})"


def compare(connection: duckdb.DuckDBPyConnection, items: Sequence[Compared], pairs: str, into: str) -> None:
    """Table `into`: id_l, id_r of the pairs (a relation) and the level each comparison reaches, -1 for nothing said."""
    columns = sorted({name for item in items for name in _columns_of(connection, item)})
    sides = ", ".join(f"{side}.{name} as {name}_{side}" for name in columns for side in ("l", "r"))
    levels = ", ".join(f"{level_sql(item)} as {item.field}" for item in items)
    connection.execute(f"""
        create or replace table {into} as
        with sides as (
            select l.id as id_l, r.id as id_r, {sides} from {pairs} as pairs
            inner join records as l on pairs.id_l = l.id
            inner join records as r on pairs.id_r = r.id
        )
        select id_l, id_r, {levels} from sides""")


def _columns_of(connection: duckdb.DuckDBPyConnection, item: Compared) -> list[str]:
    there = [row[0] for row in connection.execute("describe records").fetchall()]
    text = " ".join(level.sql for level in item.levels) + f" {item.column}_l"
    return [name for name in there if f"{name}_l" in text]


def level_sql(item: Compared) -> str:
    """SQL: the number of the highest level that holds."""
    cases = " ".join(f"when {level.sql} then {item.n_levels - 1 - number}" for number, level in enumerate(item.levels))
    return f"(case when {item.column}_l is null or {item.column}_r is null then -1 {cases} else 0 end)::tinyint"


def patterns(connection: duckdb.DuckDBPyConnection, items: Sequence[Compared], compared: str) -> Patterns:
    """The patterns of agreement in a table made by `compare`, counted."""
    names = ", ".join(item.field for item in items)
    rows = connection.execute(f"select {names}, count(*) as n from {compared} group by all order by all").fetchnumpy()
    levels = np.stack([np.asarray(rows[item.field], dtype=np.int64) for item in items], axis=1)
    return Patterns(levels, np.asarray(rows["n"], dtype=np.float64))
