"""Rows of feeds with defaults, and a landing folder that remembers what it was given.

Belongs here: building rows and files of any format. Does not belong here: what a certain test's landing holds.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
NOON = "2026-06-10T12:00:00+08:00"


def a_line(line_id: Any = "1", price: Any = "10", quantity: Any = 1, sku: str | None = "plain", **more: Any) -> Row:
    return {"line_id": line_id, "sku": sku, "quantity": quantity, "unit_price": price, **more}


def an_order(order_id: str, *lines: Row | None, **changes: Any) -> Row:
    """Paid at noon on 10 June 2026 in Shanghai, unless changed."""
    row = {
        "order_id": order_id,
        "updated_at": NOON,
        "placed_at": NOON,
        "paid_at": NOON,
        "status": "completed",
        "currency": "CNY",
        "paid_amount": "10",
        "lines": list(lines) or [a_line()],
    }
    return {name: value for name, value in (row | changes).items() if value is not ...}


def a_refund(refund_id: str, order_id: str, amount: str, *lines: Row, **changes: Any) -> Row:
    """On 12 June 2026 at noon in Shanghai, unless changed."""
    at = "2026-06-12T12:00:00+08:00"
    row = {
        "refund_id": refund_id,
        "order_id": order_id,
        "updated_at": at,
        "refunded_at": at,
        "amount": amount,
        "currency": "CNY",
    }
    return row | ({"lines": list(lines)} if lines else {}) | changes


def returned(line_id: str, amount: str, quantity: Any = 1) -> Row:
    return {"line_id": line_id, "amount": amount, "quantity": quantity}


def a_member(member_id: str, **more: Any) -> Row:
    return {"member_id": member_id, "updated_at": "2026-06-01T12:00:00+08:00", **more}


class Landing:
    """Writes files, and remembers what the contract says of each: `counts[file] = (received, quarantined)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: dict[str, tuple[int, int]] = {}

    def write(self, name: str, content: bytes, received: int, quarantined: int = 0) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.counts[name] = (received, quarantined)

    def json_lines(self, name: str, rows: Iterable[Row | str], quarantined: int = 0) -> None:
        """One JSON object a line; a text stands as it is."""
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        content = "".join(line + "\n" for line in lines).encode()
        received = sum(bool(line.strip()) for line in lines)
        self.write(name, gzip.compress(content) if name.endswith(".gz") else content, received, quarantined)

    def table(self, name: str, rows: list[Row], encoding: str = "utf-8", newline: str = "\n") -> None:
        """A CSV file; nested values are JSON in their cells."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator=newline)
            writer.writeheader()
            for row in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in row.items()})
        self.counts[name] = (len(rows), 0)

    def parquet(self, name: str, rows: list[Row]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        self.counts[name] = (len(rows), 0)
