"""Rows to begin a ledger test with, each valid as it is: change what the test is about."""

from __future__ import annotations

from typing import Any

from tests.support.raw_tables import Row

NOON = "2026-06-01 04:00:00"
"""Noon in Shanghai on 1 June, in UTC."""


def a_line(line_id: str = "1", **changes: Any) -> Row:
    """One unit at 100, without VAT, discount or list price."""
    return {"line_id": line_id, "sku": "food", "quantity": "1", "unit_price": "100", "tax_rate": "0", **changes}


def an_order(order_id: str, *lines: Row, **changes: Any) -> Row:
    """Paid at noon on 1 June at the till."""
    return {
        "channel": "pos",
        "order_id": order_id,
        "updated_at": NOON,
        "placed_at": NOON,
        "paid_at": NOON,
        "status": "paid",
        "currency": "CNY",
        "paid_amount": "100",
        "lines": list(lines or [a_line()]),
        **changes,
    }


def a_refund(refund_id: str, order_id: str, amount: str, *lines: Row, **changes: Any) -> Row:
    """At noon on 3 June; `lines` are (line_id, quantity, amount)."""
    refunded_at = "2026-06-03 04:00:00"
    return {
        "channel": "pos",
        "refund_id": refund_id,
        "order_id": order_id,
        "updated_at": refunded_at,
        "refunded_at": refunded_at,
        "amount": amount,
        "currency": "CNY",
        "lines": list(lines) or None,
        **changes,
    }


def a_product(sku: str, **changes: Any) -> Row:
    """A shared product."""
    return {"sku": sku, "updated_at": "2026-01-01", "name": sku, "category_path": "food/snack", **changes}


def returned(line_id: str, amount: str, quantity: str | None = None) -> Row:
    """A line of a refund."""
    return {"line_id": line_id, "amount": amount, "quantity": quantity}
