"""Who may see which rows: the one place every query of every page passes through.

Belongs here: the scope of a reader, what a page's SQL may name, and how the scope narrows each table of a snapshot.
Does not belong here: signing in, and which page a role may open (the registry in `dashboards/app`).

A page's SQL runs where nothing but its own narrowed views can be named. It is read by DuckDB's own parser first: only
one SELECT, only bare table names, only the table functions below. Behind that, should the reading ever be wrong, the
snapshot is attached under a name that no query can guess, and no other file can be reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from pipelines.accounts.store import Account
from pipelines.activation.export_fields import PERSONAL

Rule = Literal["open", "store", "home_store", "customer", "event"]

RULES: dict[str, Rule] = {
    "channels": "open",
    "products": "open",
    "run_settings": "open",
    "segments": "open",
    "rfm_cells": "open",
    "rfm_cutoffs": "open",
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
    "product_daily": "store",
    "orders_hourly": "store",
    "sell_through": "store",
    "coupon_pools": "store",
    "stock_health": "store",
    "coupon_performance": "store",
    "customers": "home_store",
    "customer_consents": "customer",
    "customer_identities": "customer",
    "customer_blocks": "customer",
    "customer_links": "customer",
    "customer_merges": "event",
    "households": "customer",
    "customer_rfm": "customer",
    "customer_scores": "customer",
    "customer_tags": "customer",
    "segment_members": "customer",
    "golden_record": "customer",
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


EXPORTERS = ("admin", "analyst", "marketer", "store_manager")
"""Roles that may export segments; a store manager the customers at home in their own stores."""

PERSONAL_EXPORTERS = ("marketer",)
"""Roles that may have names, phones and e-mail addresses in an export, with a purpose that is logged."""


def may_fetch(account: Account, export: Mapping[str, Any]) -> bool:
    """Whether an export (a row of export_log) is this account's to fetch, as its role and stores are now."""
    if export["actor"] != account.name or account.role not in EXPORTERS:
        return False
    if account.role not in PERSONAL_EXPORTERS and any(name in PERSONAL for name in export["fields"].split(",")):
        return False
    stores = scope_of(account).stores
    return stores is None or (export["stores"] is not None and set(export["stores"].split(",")) <= set(stores))


def scope_of(account: Account) -> Scope:
    """A store manager sees the stores of the account, everybody else all of them."""
    return Scope(account.stores) if account.role == "store_manager" else Scope()


class ForbiddenQueryError(ValueError):
    """A page's SQL names what the scope does not give it: a programming error, or somebody's trick."""


_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
_SOURCES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "COLUMN_DATA"}
)


def tables_named(connection: duckdb.DuckDBPyConnection, sql: str) -> frozenset[str]:
    """Tables (and common table expressions) that one SELECT names.

    Raises ForbiddenQueryError for anything but one SELECT over bare table names: a schema or database before a name, a
    table function beyond unnest, range and generate_series, SUMMARIZE, SHOW and DESCRIBE as sources.
    """
    text = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    parsed = json.loads(text)
    if parsed.get("error") or len(parsed["statements"]) != 1:
        raise ForbiddenQueryError(f"A page runs one SELECT: {parsed.get('error_message', 'several statements')}")
    names: set[str] = set()
    for node in _nodes(parsed):
        if "from_table" in node:
            _check_source(node["from_table"])
        kind = node.get("type")
        if kind == "SHOW_REF":
            raise ForbiddenQueryError("A page's SQL may not describe or summarise tables.")
        if kind == "BASE_TABLE":
            if node.get("schema_name") or node.get("catalog_name"):
                raise ForbiddenQueryError(
                    "A page's SQL names tables without their schema: the scope decides what they mean."
                )
            names.add(node["table_name"])
        if kind == "TABLE_FUNCTION":
            function = node["function"]
            if (
                function.get("function_name") not in _TABLE_FUNCTIONS
                or function.get("schema")
                or function.get("catalog")
            ):
                raise ForbiddenQueryError(f"A page's SQL may not call {function.get('function_name')}() as a table.")
    return frozenset(names)


def _check_source(source: dict[str, Any]) -> None:
    if source.get("type") not in _SOURCES:
        raise ForbiddenQueryError(f"A page's SQL may not read from a {source.get('type')}.")


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def apply_scope(connection: duckdb.DuckDBPyConnection, database: str, scope: Scope, names: frozenset[str]) -> None:
    """Let these bare names mean the tables of schema `marts` of an attached database, narrowed to the scope.

    A table without a rule is an empty view of the same columns to a restricted reader. Afterwards the connection
    reaches no file and its settings are locked.
    """
    present = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'marts' ORDER BY table_name",
        [database],
    ).fetchall()
    wanted = {name.lower() for name in names}
    for (table,) in present:
        if table.lower() in wanted:
            condition = _condition(database, RULES.get(table), scope.stores)
            connection.execute(
                f'CREATE TEMP VIEW "{table}" AS SELECT * FROM "{database}".marts."{table}" WHERE {condition}'
            )
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _condition(database: str, rule: Rule | None, stores: tuple[str, ...] | None) -> str:
    if rule == "open" or stores is None:
        return "true"
    if rule is None or not stores:
        return "false"
    # A view takes no bound values, so the store ids become quoted literals.
    own = "({})".format(", ".join("'" + store.replace("'", "''") + "'" for store in stores))
    if rule == "store":
        return f"store_id IN {own}"
    if rule == "home_store":
        return f"home_store_id IN {own}"
    theirs = f'(SELECT customer_id FROM "{database}".marts.customers WHERE home_store_id IN {own})'
    if rule == "event":
        return f"from_customer_id IN {theirs} OR into_customer_id IN {theirs}"
    return f"customer_id IN {theirs}"
