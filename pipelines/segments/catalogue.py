"""What a segment's conditions can be about: the columns of a customer, and what is counted of events.

Belongs here: from the schemas of the marts to columns with a kind. Pure. Does not belong here: SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Kind = Literal["text", "number", "boolean", "date", "instant"]

CUSTOMER_TABLES = ("customers", "customer_rfm", "customer_scores")
"""One row a customer each (customer_rfm: on the as-of date), first named first served where a column is in several."""

EVENT_TABLE = "order_events"
EVENT_FILTERS: dict[str, Kind] = {
    "kind": "text",
    "channel": "text",
    "store_id": "text",
    "sku": "text",
    "category": "text",
}
EVENT_MEASURES: dict[str, str] = {
    "orders": "count(DISTINCT (channel, order_id))",
    "days": "count(DISTINCT business_date)",
    "quantity": "sum(quantity)",
    "net_amount": "sum(net_amount)",
}
"""What can be counted of a customer's events, and its SQL."""


@dataclass(frozen=True)
class Column:
    """A column of a customer: the mart it is in and what its values are."""

    table: str
    kind: Kind


def columns_of(schemas: Mapping[str, pa.Schema]) -> dict[str, Column]:
    """Every column of a customer that a condition can name. schemas: of the marts there are."""
    found: dict[str, Column] = {}
    for table in CUSTOMER_TABLES:
        for field in schemas.get(table, pa.schema([])):
            kind = _kind(field.type)
            if kind is not None:
                found.setdefault(field.name, Column(table, kind))
    return found


def _kind(kind: pa.DataType) -> Kind | None:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "instant"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None
