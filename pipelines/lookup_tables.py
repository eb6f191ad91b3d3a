"""Tables beside the marts in a snapshot, laid out so that one member is found without reading many rows.

Belongs here: schema `lookup` of a snapshot and how its keys are made. Does not belong here: answering look-ups (serve).
DuckDB skips row groups whose smallest and largest values exclude what is asked for. A table ordered by a 64-bit hash of
its key gives every group a narrow range of its own, so a point query reads one group however large the table is.
"""

from __future__ import annotations

import hashlib

import duckdb

POPULAR_DAYS = 90
POPULAR_SKUS = 200
TAGS_AT_A_TIME = 2_000_000

_SEPARATOR = "\x1f"


def lookup_key(*parts: str) -> int:
    """The key under which SQL's `md5_number_lower` files these parts."""
    text = _SEPARATOR.join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[8:], "little")


def create_lookup_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make schema `lookup` from the connection's `marts`; what needs a mart that isn't there is left empty.

    members: key, channel, member_id, and what is answered of the customer, tags as a list.
    products: key (of the sku), sku, name. stock: key (of the sku), sku, store_id, available units above 0. popular:
    rank, sku, name, units (what sold best lately). Recommendations are found in `marts`, which has them by customer.
    """
    present = {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' AND database_name = current_database()"
        ).fetchall()
    }
    connection.execute("CREATE SCHEMA lookup")
    _gather_tags(connection, "customer_tags" in present)
    for table, (columns, needed, select) in _TABLES.items():
        connection.execute(f"CREATE TABLE lookup.{table} ({columns})")
        if needed <= present:
            connection.execute(f"INSERT INTO lookup.{table} {select}")
    connection.execute("DROP TABLE tags_of_customer")


def _gather_tags(connection: duckdb.DuckDBPyConnection, is_present: bool) -> None:
    """A temporary table of every customer's tags, in portions: lists under way can't be spilled to disk."""
    connection.execute(
        """
        CREATE TEMP TABLE tags_of_customer (
            customer_id VARCHAR, tags STRUCT(tag VARCHAR, "value" VARCHAR, since DATE)[]
        )
        """
    )
    if not is_present:
        return
    ((rows,),) = connection.execute("SELECT count(*) FROM marts.customer_tags").fetchall()
    portions = rows // TAGS_AT_A_TIME + 1
    for portion in range(portions):
        connection.execute(
            """
            INSERT INTO tags_of_customer
            SELECT customer_id, list({'tag': tag, 'value': "value", 'since': since} ORDER BY tag)
            FROM marts.customer_tags
            WHERE hash(customer_id) % $portions = $portion
            GROUP BY customer_id
            """,
            {"portions": portions, "portion": portion},
        )


def _key(*columns: str) -> str:
    return f"md5_number_lower({f' || chr({ord(_SEPARATOR)}) || '.join(columns)})"


_TABLES: dict[str, tuple[str, set[str], str]] = {
    "members": (
        "key UBIGINT, channel VARCHAR, member_id VARCHAR, customer_id VARCHAR, level VARCHAR, "
        "consent_marketing BOOLEAN, is_staff BOOLEAN, home_store_id VARCHAR, preferred_store_id VARCHAR, "
        "preferred_category VARCHAR, first_order_at TIMESTAMP, last_order_at TIMESTAMP, "
        'tags STRUCT(tag VARCHAR, "value" VARCHAR, since DATE)[]',
        {"customer_identities", "customers"},
        f"""
        SELECT
            {_key("identities.channel", "identities.identity")} AS key,
            identities.channel,
            identities.identity,
            customers.customer_id,
            customers.level,
            customers.consent_marketing,
            customers.is_staff,
            customers.home_store_id,
            customers.preferred_store_id,
            customers.preferred_category,
            customers.first_order_at,
            customers.last_order_at,
            coalesce(tags_of_customer.tags, [])
        FROM marts.customer_identities AS identities
        INNER JOIN marts.customers AS customers ON identities.customer_id = customers.customer_id
        LEFT JOIN tags_of_customer ON identities.customer_id = tags_of_customer.customer_id
        WHERE identities.kind = 'member' AND identities.channel IS NOT NULL
        ORDER BY key
        """,
    ),
    "products": (
        "key UBIGINT, sku VARCHAR, name VARCHAR",
        {"products"},
        f"SELECT {_key('sku')} AS key, sku, name FROM marts.products ORDER BY key",
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
