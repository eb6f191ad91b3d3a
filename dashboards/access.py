"""Who may see which rows: the one place every query of every page passes through.

Belongs here: the scope of a reader and how it narrows each table of a snapshot. Does not belong here: signing in,
and what a page shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

Rule = Literal["open", "store", "home_store", "customer"]

RULES: dict[str, Rule] = {
    "channels": "open",
    "products": "open",
    "run_settings": "open",
    "segments": "open",
    "model_versions": "open",
    "model_metrics": "open",
    "model_calibration": "open",
    "model_drift": "open",
    "stores": "store",
    "orders": "store",
    "order_events": "store",
    "sales_daily": "store",
    "category_daily": "store",
    "stores_scorecard": "store",
    "store_online_daily": "store",
    "store_attribution_daily": "store",
    "stock_health": "store",
    "coupon_performance": "store",
    "customers": "home_store",
    "customer_identities": "customer",
    "customer_rfm": "customer",
    "customer_scores": "customer",
    "customer_tags": "customer",
    "segment_members": "customer",
    "recommendations": "customer",
}
"""How a store list narrows a table. A table that is not named here shows a restricted reader nothing."""


@dataclass(frozen=True)
class Scope:
    """What a reader may see: everything (`stores` is None) or the rows of a list of stores.

    Immutable and hashable: it is part of the key of every cached result, for the cache is shared by all readers.
    """

    stores: tuple[str, ...] | None = None

    @property
    def is_unrestricted(self) -> bool:
        return self.stores is None


def current_scope() -> Scope:
    """The scope of whoever looks at the page: head office, which sees all."""
    return Scope()


def apply_scope(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Let bare table names on this connection mean the tables of schema `marts`, narrowed to the scope.

    A restricted connection finds only temporary views: schema `marts` is not on its search path, and a table without
    a rule is an empty view of the same columns.
    """
    if scope.stores is None:
        connection.execute("SET search_path = 'marts'")
        return
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY table_name"
    ).fetchall()
    for (table,) in tables:
        condition = _condition(RULES.get(table), scope.stores)
        connection.execute(f'CREATE TEMP VIEW "{table}" AS SELECT * FROM marts."{table}" WHERE {condition}')


def _condition(rule: Rule | None, stores: tuple[str, ...]) -> str:
    if rule == "open":
        return "true"
    if rule is None or not stores:
        return "false"
    # A view takes no bound values, so the store ids become quoted literals.
    own = "({})".format(", ".join("'" + store.replace("'", "''") + "'" for store in stores))
    if rule == "store":
        return f"store_id IN {own}"
    if rule == "home_store":
        return f"home_store_id IN {own}"
    return f"customer_id IN (SELECT customer_id FROM marts.customers WHERE home_store_id IN {own})"
