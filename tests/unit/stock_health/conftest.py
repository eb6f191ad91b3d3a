"""Marts and raw tables that stock health reads, from plain rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pytest

from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.stock_health import StockReport, write_stock_health
from tests.support.raw_tables import create_raw_tables, create_table

AS_OF = date(2026, 6, 30)
TABLES = {
    "marts.run_settings": {"as_of": "DATE", "timezone": "VARCHAR"},
    "marts.stores": {
        "store_id": "VARCHAR", "kind": "VARCHAR", "city": "VARCHAR", "province": "VARCHAR", "timezone": "VARCHAR",
        "closed_on": "DATE",
    },
    "marts.products": {"sku": "VARCHAR", "category": "VARCHAR", "is_sellable": "BOOLEAN"},
    "marts.stock": {
        "store_id": "VARCHAR", "sku": "VARCHAR", "on_hand": "DECIMAL(18,4)", "reserved": "DECIMAL(18,4)",
        "available": "DECIMAL(18,4)", "counted_at": "TIMESTAMP",
    },
    "marts.orders": {
        "channel": "VARCHAR", "order_id": "VARCHAR", "store_id": "VARCHAR", "fulfil_store_id": "VARCHAR",
    },
    "marts.order_events": {
        "channel": "VARCHAR", "order_id": "VARCHAR", "kind": "VARCHAR", "sku": "VARCHAR", "sale_business_date": "DATE",
        "quantity": "DECIMAL(18,4)",
    },
}  # fmt: skip

Rows = Sequence[Mapping[str, Any]]
Measure = Callable[..., tuple[StockReport, duckdb.DuckDBPyConnection]]


@pytest.fixture
def measure(settings: Settings) -> Iterator[Measure]:
    """Stock health of places, counts and sales: `measure(stores, counts, sales, products=…, prices=…)`.

    counts: store_id, sku, on_hand, reserved?, counted_at?; the newest is the stock. sales: sku, day, quantity?,
    store_id?, fulfil_store_id?, kind?.
    """
    rules = settings.home / "reference" / "stock.yml"
    rules.parent.mkdir(parents=True)
    rules.write_text("history_days: 56")  # a short past is quickly learned
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA marts")

    def run(
        stores: Rows, counts: Rows, sales: Rows, *, products: Rows = (), feeds: Mapping[str, Rows] | None = None
    ) -> tuple[StockReport, duckdb.DuckDBPyConnection]:
        counted = [{"reserved": 0, "counted_at": "2026-01-01"} | dict(row) for row in counts]
        newest = {(row["store_id"], row["sku"]): row for row in sorted(counted, key=lambda row: row["counted_at"])}
        stock = [row | {"available": max(row["on_hand"] - row["reserved"], 0)} for row in newest.values()]
        orders = [
            {
                "channel": "pos",
                "order_id": f"o{number}",
                "kind": "sale",
                "quantity": 1,
                "sale_business_date": sale["day"],
            }
            | {name: value for name, value in sale.items() if name != "day"}
            for number, sale in enumerate(sales)
        ]
        content: dict[str, Rows] = {
            "marts.run_settings": [{"as_of": AS_OF, "timezone": "Asia/Shanghai"}],
            "marts.stores": [{"kind": "store"} | dict(store) for store in stores],
            "marts.products": products,
            "marts.stock": stock,
            "marts.orders": orders,
            "marts.order_events": orders,
        }
        for table, columns in TABLES.items():
            create_table(
                connection, table, columns, [{name: row.get(name) for name in columns} for row in content[table]]
            )
        create_raw_tables(connection, {"inventory": counted} | dict(feeds or {}))
        return write_stock_health(connection, settings, open_state(settings), AS_OF), connection

    yield run
    connection.close()
