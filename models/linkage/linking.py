"""Records in, persons out: the steps of probabilistic linkage in their order.

Belongs here: the order. One policy for all data: nothing here depends on what the columns of
the caller are called, and nothing is tuned to a set.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from models.linkage import blocking, clustering, scoring
from models.linkage.comparisons import comparisons
from models.linkage.estimation import Weights
from models.linkage.evidence import with_evidence
from models.linkage.fields import FIELDS
from models.linkage.learning import learn_weights
from models.linkage.normalise import prepare
from models.linkage.placeholders import blank_placeholders

THRESHOLD = 0.0
"""Bits above which two records, or the mean of two groups of them, are one person: more likely than not.

No label takes part in it: the prior odds and the weight of each agreement are learned from the data, so that a score
is a probability, and of two answers the likelier one is given.
"""


@dataclass(frozen=True)
class Linkage:
    """Who is whom.

    clusters: int64, for each record, in the order given, the number of the first record that is the same person.
    links: left, right (numbers of records), score (bits), and evidence (words) if asked for.
    n_pairs: pairs that were compared. rules: what blocked them.
    weights: the fitted model, None where there was nothing to fit.
    """

    clusters: np.ndarray
    links: pa.Table
    threshold: float
    n_pairs: int
    rules: tuple[str, ...]
    weights: Weights | None


def link(
    table: pa.Table, *, explained: bool = False, threads: int | None = None, memory_limit: str | None = None
) -> Linkage:
    """Find the records of each person. The same table gives the same answer.

    table: any of FIELDS as columns (text, or what has a text), one row a record; a column `source`, if there, says that
    records of one source are all different persons. Nothing else of the table is read. explained: links get a column
    `evidence`. threads, memory_limit ("800MB"): DuckDB's; its own defaults if None.
    """
    wanted = [name for name in table.column_names if name in FIELDS or name == "source"]
    connection = duckdb.connect()
    try:
        connection.execute("set enable_progress_bar = false")  # it would be written among the results
        if threads is not None:
            connection.execute(f"set threads = {threads}")
        if memory_limit is not None:
            connection.execute(f"set memory_limit = '{memory_limit}'")
        return _link(connection, table.select(wanted), "source" in wanted, explained=explained)
    finally:
        connection.close()


def _link(connection: duckdb.DuckDBPyConnection, table: pa.Table, is_two_source: bool, *, explained: bool) -> Linkage:
    n_records = table.num_rows
    columns = prepare(connection, table)
    blank_placeholders(connection, columns)
    items = comparisons(columns)
    rules = blocking.choose_rules(connection, columns) if items and n_records > 1 else []
    n_pairs = blocking.make_pairs(connection, rules, is_two_source=is_two_source)
    if not n_pairs:
        return Linkage(np.arange(n_records), _no_links(), THRESHOLD, 0, (), None)
    weights = learn_weights(connection, items, n_records, n_pairs, is_two_source=is_two_source)
    scorer = scoring.Scorer(connection, weights)
    scorer.score("pairs", "scored")
    _complete(connection, scorer, n_records, is_two_source)
    found = connection.execute("select id_l, id_r, score from scored order by id_l, id_r").fetchnumpy()
    left, right, score = (np.asarray(found[name]) for name in ("id_l", "id_r", "score"))
    clusters = clustering.cluster(n_records, left, right, score, scorer.unseen, THRESHOLD)
    inside = clusters[left] == clusters[right]
    links = pa.table({"left": left[inside], "right": right[inside], "score": score[inside]})
    if explained:
        links = with_evidence(connection, items, links)
    return Linkage(clusters, links, THRESHOLD, n_pairs, tuple(" + ".join(rule.keys) for rule in rules), weights)


def _no_links() -> pa.Table:
    return pa.table(
        {"left": pa.array([], pa.int64()), "right": pa.array([], pa.int64()), "score": pa.array([], pa.float64())}
    )


def _complete(
    connection: duckdb.DuckDBPyConnection, scorer: scoring.Scorer, n_records: int, is_two_source: bool
) -> None:
    """Score the pairs that no rule found though a third record ties both: the mean of a group needs all its pairs."""
    found = connection.execute(f"select id_l, id_r from scored where score > {THRESHOLD}").fetchnumpy()
    labels = clustering.components(n_records, np.asarray(found["id_l"]), np.asarray(found["id_r"]))
    sizes = np.bincount(labels)
    crowd = np.flatnonzero((sizes[labels] > 2) & (sizes[labels] <= clustering.LARGEST))
    connection.register("tied", pa.table({"id": crowd, "component": labels[crowd]}))
    apart = "inner join records as a on a.id = l.id inner join records as b on b.id = r.id and a.source <> b.source"
    connection.execute(f"""
        create or replace temp table more_pairs as
        select l.id as id_l, r.id as id_r from tied as l
        inner join tied as r on l.component = r.component and l.id < r.id
        {apart if is_two_source else ""}
        anti join pairs on pairs.id_l = l.id and pairs.id_r = r.id""")
    connection.unregister("tied")
    scorer.score("more_pairs", "more_scored")
    connection.execute("insert into scored select * from more_scored")
