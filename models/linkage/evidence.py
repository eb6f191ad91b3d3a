"""Why two records are taken for one person, in words.

Words name fields and how they agree, never a value: they may be kept where personal data may not.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from models.linkage.comparisons import Compared
from models.linkage.fields import LABELS
from models.linkage.scoring import compare


def with_evidence(connection: duckdb.DuckDBPyConnection, items: Sequence[Compared], links: pa.Table) -> pa.Table:
    """The links (left, right, score) with a column `evidence`: "birthday same; given name similar or shortened"."""
    connection.register("links", links)
    connection.execute(
        'create or replace temp table explained as select "left" as id_l, "right" as id_r, score from links'
    )
    connection.unregister("links")
    compare(connection, items, "explained", "levels")
    words = ", ".join(_words(item) for item in items)
    table = connection.execute(f"""
        select explained.id_l as "left", explained.id_r as "right", score, concat_ws('; ', {words}) as evidence
        from explained inner join levels on explained.id_l = levels.id_l and explained.id_r = levels.id_r
        order by all""").to_arrow_table()
    connection.execute("drop table levels")
    connection.execute("drop table explained")
    return table


def _words(item: Compared) -> str:
    label = LABELS[item.field]
    cases = " ".join(
        f"when {item.n_levels - 1 - number} then '{label} {level.words}'" for number, level in enumerate(item.levels)
    )
    return f"case {item.field} {cases} when 0 then '{label} differs' end"
