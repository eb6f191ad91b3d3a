"""Tables beside the marts in a snapshot, laid out so that one member is found without reading many rows.

Belongs here: schema `lookup` of a snapshot and how its keys are made. Does not belong here: answering look-ups (serve).
DuckDB skips row groups whose smallest and largest values exclude what is asked for. A table ordered by a 64-bit hash of
its key gives every group a narrow range of its own, so a point query reads one group however large the table is.
"""

from __future__ import annotations

import hashlib

import duckdb

ORDER_OF_MARTS = {"customers": "customer_id", "customer_tags": "customer_id, tag", "stock": "store_id, sku"}
"""Marts that a snapshot keeps in this order, for the same reason. Recommendations are made in theirs, by customer."""

POPULAR_DAYS = 90
POPULAR_SKUS = 200

_SEPARATOR = "\x1f"


def lookup_key(*parts: str) -> int:
    """The key under which SQL's `md5_number_lower` files these parts."""
    text = _SEPARATOR.join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[8:], "little")


def create_lookup_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make schema `lookup` from the connection's `marts`; what needs a mart that isn't there is left empty.

    members: key, channel, member_id, customer_id. stock: key (of the sku), sku, store_id, available units above 0.
    popular: rank, sku, name, units (what sold best lately).
    """
    present = {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' AND database_name = current_database()"
        ).fetchall()
    }
    connection.execute("CREATE SCHEMA lookup")
    for table, (columns, needed, select) in _TABLES.items():
        connection.execute(f"CREATE TABLE lookup.{table} ({columns})")
        if needed <= present:
            connection.execute(f"INSERT INTO lookup.{table} {select}")


def _key(*columns: str) -> str:
    return f"md5_number_lower({f' || chr({ord(_SEPARATOR)}) || '.join(columns)})"


_TABLES: dict[str, tuple[str, set[str], str]] = {
    "members": (
        "key UBIGINT, channel VARCHAR, member_id VARCHAR, customer_id VARCHAR",
        {"customer_identities"},
        f"""
        SELECT
            {_key("channel", "identity")} AS key,
            channel,
            identity,
            customer_id
        FROM marts.customer_identities
        WHERE kind = 'member' AND customer_id IS NOT NULL AND channel IS NOT NULL
        ORDER BY key
        """,
    ),
    "stock": (
        "key UBIGINT, sku VARCHAR, store_id VARCHAR, available DECIMAL(18, 4)",
        {"stock"},
        f"SELECT {_key('sku')} AS key, sku, store_id, available FROM marts.stock WHERE available > 0 ORDER BY key",
    ),
    "popular": (
        "rank INTEGER, sku VARCHAR, name VARCHAR, units DOUBLE",
        {"order_events", "products"},
        f"""
        WITH lately AS (
            SELECT max(business_date) - INTERVAL {POPULAR_DAYS} DAYS AS beginning FROM marts.order_events
        ),
        sold AS (
            SELECT order_events.sku, sum(order_events.quantity)::DOUBLE AS units
            FROM marts.order_events AS order_events, lately
            WHERE order_events.business_date > lately.beginning AND order_events.sku IS NOT NULL
            GROUP BY order_events.sku
        )
        SELECT
            row_number() OVER (ORDER BY sold.units DESC, sold.sku) AS rank,
            sold.sku,
            products.name,
            sold.units
        FROM sold
        INNER JOIN marts.products AS products ON sold.sku = products.sku
        WHERE products.is_sellable AND sold.units > 0
        ORDER BY rank
        LIMIT {POPULAR_SKUS}
        """,
    ),
}
