"""Connected components of "these hold the same value": star edges in DuckDB, then one pass of SciPy over integers.

Belongs here: the part that is pure graph. It knows nothing of kinds, blocks or owners: it is what a benchmark times.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def star_edges(rows: str) -> str:
    """SQL: an edge (node_no, first_node) from every other holder of a value to its first.

    `rows` is a relation of (value UUID, owner_no INTEGER, node_no BIGINT); holders of one (value, owner_no) belong
    together, and rows without owner_no link nothing.
    """
    return f"""
        with firsts as (
            select value, owner_no, min(node_no) as first_node
            from {rows}
            where owner_no is not null
            group by value, owner_no
            having count(*) > 1
        )
        select holders.node_no, firsts.first_node
        from {rows} as holders
        inner join firsts on holders.value = firsts.value and holders.owner_no = firsts.owner_no
        where holders.node_no <> firsts.first_node"""


def components(connection: duckdb.DuckDBPyConnection, edges: str) -> pa.Table:
    """The component of every node that has an edge: node_no BIGINT, component INTEGER.

    `edges` is SQL of two BIGINT columns (node_no, first_node). Memory: about 60 bytes an edge.
    """
    columns = connection.execute(edges).fetchnumpy()
    ends = np.concatenate([np.asarray(columns["node_no"]), np.asarray(columns["first_node"])])
    n_edges = len(ends) // 2
    nodes, numbered = np.unique(ends, return_inverse=True)
    graph = coo_matrix(
        (np.ones(n_edges, dtype=np.int8), (numbered[:n_edges], numbered[n_edges:])), shape=(len(nodes), len(nodes))
    )
    _, labels = connected_components(graph, directed=False)
    return pa.table({"node_no": pa.array(nodes, pa.int64()), "component": pa.array(labels, pa.int32())})
