"""The weights of a set of records: samples of its pairs, compared, and the model fitted to them.

Belongs here: the samples and their sizes. Does not belong here: the model that is fitted (estimation.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from models.linkage import scoring
from models.linkage.comparisons import Compared
from models.linkage.estimation import Patterns, Weights, fit

_RANDOM_PAIRS = 150_000
_TRAINING_PAIRS = 300_000


def learn_weights(
    connection: duckdb.DuckDBPyConnection,
    items: Sequence[Compared],
    n_records: int,
    n_pairs: int,
    *,
    is_two_source: bool,
) -> Weights:
    """The weights, from a sample of the candidates (table `pairs`) and one of random pairs of table `records`."""
    share = min(1.0, _TRAINING_PAIRS / n_pairs)
    chosen = "pairs" if share == 1 else f"(from pairs where hash(id_l, id_r) % 1000000 < {int(share * 1_000_000)})"
    scoring.compare(connection, items, chosen, "compared")
    candidates = scoring.patterns(connection, items, "compared")
    all_pairs = _all_pairs(connection, n_records, is_two_source)
    _draw_random_pairs(connection, n_records, is_two_source)
    scoring.compare(connection, items, "random_pairs", "compared")
    random_pairs = scoring.patterns(connection, items, "compared")
    connection.execute("drop table compared")
    return fit(items, Patterns(candidates.levels, candidates.counts / share), random_pairs, all_pairs)


def _draw_random_pairs(connection: duckdb.DuckDBPyConnection, n_records: int, is_two_source: bool) -> None:
    """Table `random_pairs`: a sample of all pairs, evenly spread over the records, the same every time."""
    source = ", source" if is_two_source else ""
    apart = "and l.source <> r.source" if is_two_source else ""
    meetings = min(n_records - 1, max(1, round(_RANDOM_PAIRS / n_records)))
    every = max(1, n_records // _RANDOM_PAIRS)
    stride = max(1, (n_records - 1) // meetings)
    connection.execute(f"""
        create or replace temp table shuffled as
        select id{source}, row_number() over (order by hash(id, 7)) - 1 as place from records""")
    connection.execute(f"""
        create or replace temp table meetings as
        select id{source}, (place + 1 + step * {stride}) % {n_records} as place
        from shuffled, range({meetings}) as meeting (step)
        where place % {every} = 0""")
    connection.execute(f"""
        create or replace temp table random_pairs as
        select l.id as id_l, r.id as id_r from meetings as l
        inner join shuffled as r on l.place = r.place {apart}
        where l.id <> r.id""")
    connection.execute("drop table meetings")
    connection.execute("drop table shuffled")


def _all_pairs(connection: duckdb.DuckDBPyConnection, n_records: int, is_two_source: bool) -> float:
    if not is_two_source:
        return n_records * (n_records - 1) / 2
    sizes = [n for (n,) in connection.execute("select count(*) from records group by source").fetchall()]
    return max(1.0, (n_records**2 - sum(size**2 for size in sizes)) / 2)
