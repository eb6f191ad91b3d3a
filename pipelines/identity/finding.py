"""Customers of one run: exact links and corrections first, then who is probably one person, then both together.

Belongs here: the order of the two. Does not belong here: how either works (resolution.py, linkage/).
"""

from __future__ import annotations

from dataclasses import replace

import duckdb

from pipelines.identity.config import load_rules
from pipelines.identity.linkage.reviews import publish_reviews
from pipelines.identity.linkage.step import LinkageReport, link_people
from pipelines.identity.resolution import IdentityReport, resolve
from pipelines.settings import Settings


def find_customers(
    connection: duckdb.DuckDBPyConnection, settings: Settings, full_refresh: bool = False
) -> tuple[IdentityReport, LinkageReport]:
    """Bring schema `identity` up to date with `raw.*`, the vault and people's decisions.

    Killed at any point and run again, it ends the same. Raises ConfigurationError if identity.yml or a key is wrong.
    """
    linkage_rules = load_rules(settings).linkage
    _note_customers_before(connection)
    report = resolve(connection, settings, full_refresh)
    linked = link_people(connection, settings, linkage_rules, everything=full_refresh)
    if linked.is_changed:
        connection.execute("create or replace temp table merges_before as select event_id from identity.merges")
        joined = resolve(connection, settings)
        n_unpublished = _forget_unpublished_merges(connection)
        report = replace(
            joined,
            is_full=report.is_full,
            touched_values=report.touched_values + joined.touched_values,
            touched_nodes=report.touched_nodes + joined.touched_nodes,
            merges=report.merges + joined.merges - n_unpublished,
            splits=report.splits + joined.splits,
        )
    publish_reviews(connection, settings, linkage_rules.review_bits)
    for table in ("customers_before", "merges_before"):
        connection.execute(f"drop table if exists temp.{table}")
    return report, linked


def _note_customers_before(connection: duckdb.DuckDBPyConnection) -> None:
    """`customers_before`: who was a customer when the run began."""
    found = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'identity' and table_name = 'assignment'"
    ).fetchall()
    known = "select distinct customer_id from identity.assignment" if found else "select null::varchar as customer_id"
    connection.execute(f"create or replace temp table customers_before as {known}")


def _forget_unpublished_merges(connection: duckdb.DuckDBPyConnection) -> int:
    """Take out of the log who went into another within this run without ever having been published; how many."""
    deleted = connection.execute("""
        delete from identity.merges
        where kind = 'merge'
            and event_id not in (select event_id from merges_before)
            and from_customer_id not in (
                select customer_id from customers_before where customer_id is not null
            )""").fetchone()
    return 0 if deleted is None else int(deleted[0])
