"""From a segment's checked definition to SQL with bound values. Pure.

Belongs here: the query. No value ever becomes part of it; names of columns and tables come from the catalogue alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.segments.catalogue import CUSTOMER_TABLES, EVENT_MEASURES, EVENT_TABLE, Column
from pipelines.segments.definition import Compare, CountEvents, Every, HasTag, Node, Not, Some


@dataclass(frozen=True)
class Compiled:
    """A query of one column customer_id, each customer once, and the values it binds by name ($as_of among them)."""

    sql: str
    parameters: dict[str, Any]


@dataclass
class _Parts:
    columns: Mapping[str, Column]
    schema: str
    parameters: dict[str, Any] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    joins: list[str] = field(default_factory=list)

    def bind(self, value: Any) -> str:
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = list(value) if isinstance(value, tuple) else value
        return f"${name}"


def compile_segment(node: Node, columns: Mapping[str, Column], as_of: Any, schema: str = "") -> Compiled:
    """The customers for whom the definition holds on the as-of date (a date). schema: before each table's name."""
    parts = _Parts(columns, f"{schema}." if schema else "")
    condition = _condition(node, parts)
    joins = [
        f"LEFT JOIN {parts.schema}{table} AS {table} ON {table}.customer_id = customers.customer_id"
        + (" AND customer_rfm.snapshot_date = $as_of" if table == "customer_rfm" else "")
        for table in CUSTOMER_TABLES[1:]
        if table in parts.tables
    ]
    sql = (
        f"SELECT customers.customer_id FROM {parts.schema}customers AS customers "
        f"{' '.join([*joins, *parts.joins])} WHERE {condition}"
    )
    needs_as_of = "$as_of" in sql
    return Compiled(sql, parts.parameters | ({"as_of": as_of} if needs_as_of else {}))


def _condition(node: Node, parts: _Parts) -> str:
    match node:
        case Every(parts=nodes):
            return "(" + " AND ".join(_condition(part, parts) for part in nodes) + ")"
        case Some(parts=nodes):
            return "(" + " OR ".join(_condition(part, parts) for part in nodes) + ")"
        case Not(part=part):
            return f"(NOT {_condition(part, parts)})"
        case Compare():
            return f"coalesce({_comparison(node, parts)}, false)"
        case HasTag():
            return _has_tag(node, parts)
        case CountEvents():
            return _count(node, parts)


def _comparison(node: Compare, parts: _Parts) -> str:
    table = parts.columns[node.column].table
    parts.tables.add(table)
    quoted = node.column.replace('"', '""')
    column = f'{table}."{quoted}"'
    if node.op == "is_null":
        return f"{column} IS NULL"
    if node.op == "is_not_null":
        return f"{column} IS NOT NULL"
    if node.kind == "instant":
        column = f"CAST({column} AS DATE)"  # compared by day, in UTC
    if node.op in ("within_days", "not_within_days"):
        within = f"({column} > $as_of::DATE - {parts.bind(node.value)}::INTEGER AND {column} <= $as_of::DATE)"
        return within if node.op == "within_days" else f"(NOT {within})"
    bound = parts.bind(node.value)
    match node.op:
        case "in":
            return f"list_contains({bound}::VARCHAR[], {column})"
        case "not_in":
            return f"(NOT list_contains({bound}::VARCHAR[], {column}))"
        case "contains":
            return f"contains({column}, {bound}::VARCHAR)"
        case "starts_with":
            return f"starts_with({column}, {bound}::VARCHAR)"
        case "is":
            return f"({column} = {bound}::BOOLEAN)"
        case "between":
            typed = "DECIMAL(38, 4)[]" if node.kind == "number" else "DATE[]"
            return f"({column} BETWEEN ({bound}::{typed})[1] AND ({bound}::{typed})[2])"
        case _:
            typed = "DECIMAL(38, 4)" if node.kind == "number" else "DATE"
            return f"({column} {node.op} {bound}::{typed})"


def _has_tag(node: HasTag, parts: _Parts) -> str:
    asked = f"tag = {parts.bind(node.tag)}::VARCHAR"
    if node.value is not None:
        asked += f" AND value = {parts.bind(node.value)}::VARCHAR"
    return f"customers.customer_id IN (SELECT customer_id FROM {parts.schema}customer_tags WHERE {asked})"


def _count(node: CountEvents, parts: _Parts) -> str:
    asked = ["customer_id IS NOT NULL"]
    for name, values in node.where:
        asked.append(f"list_contains({parts.bind(values)}::VARCHAR[], {name})")
    if node.within_days is not None:
        asked.append(f"business_date > $as_of::DATE - {parts.bind(node.within_days)}::INTEGER")
        asked.append("business_date <= $as_of::DATE")
    alias = f"events_{len(parts.joins)}"
    parts.joins.append(
        f"LEFT JOIN (SELECT customer_id, {EVENT_MEASURES[node.measure]} AS measure FROM {parts.schema}{EVENT_TABLE} "
        f"WHERE {' AND '.join(asked)} GROUP BY customer_id) AS {alias} ON {alias}.customer_id = customers.customer_id"
    )
    return f"(coalesce({alias}.measure, 0)::DECIMAL(38, 4) {node.op} {parts.bind(node.value)}::DECIMAL(38, 4))"
