"""Proof that everything adds up: files and batches, marts and ledger, audience and outcomes."""

from __future__ import annotations

import sqlalchemy as sa

from pipelines.activation.reconcile import reconcile_activation
from pipelines.checks import Check
from pipelines.feeds.reconcile import reconcile_batches
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.warehouse import open_snapshot

LEDGER_COMPARISONS = {
    "sales_daily.net_amount": (
        "select sum(net_amount) from marts.sales_daily",
        "select sum(net_amount) from marts.order_events",
        "operating series against all order events",
    ),
    "sales_daily.net_amount_cohort": (
        "select sum(net_amount_cohort) from marts.sales_daily",
        "select sum(net_amount) from marts.order_events",
        "cohort series against all order events",
    ),
    "sales_daily.gross_minus_discount": (
        "select sum(net_amount) from marts.sales_daily",
        "select sum(gross_amount) - sum(discount_amount) from marts.sales_daily",
        "gross - discount = net",
    ),
    "category_daily.net_amount": (
        "select sum(net_amount) from marts.category_daily",
        "select sum(net_amount) from marts.order_events",
        "operating series against all order events",
    ),
    "orders.net_amount": (
        "select sum(net_amount) from marts.orders",
        "select sum(net_amount) from marts.order_events where kind in ('sale', 'exchange')",
        "orders before returns against the events of sale",
    ),
}


def reconcile(settings: Settings) -> list[Check]:
    """Every check there is; those of the marts are left out while nothing is published."""
    with state(settings) as engine:
        checks = reconcile_batches(settings, engine)
        if (settings.snapshots / "current").exists():
            checks += reconcile_marts(settings)
            checks += reconcile_activation_log(settings, engine)
    return checks


def reconcile_marts(settings: Settings) -> list[Check]:
    """The sums of each mart against the order events of the current snapshot."""
    with open_snapshot(settings) as connection:
        checks = []
        for name, (mart, ledger, detail) in LEDGER_COMPARISONS.items():
            actual, expected = (connection.execute(sql).fetchall()[0][0] or 0 for sql in (mart, ledger))
            checks.append(Check(f"marts/{name}", expected, actual, expected == actual, detail))
    return checks


def reconcile_activation_log(settings: Settings, engine: sa.Engine) -> list[Check]:
    """Every member of every audience in exactly one state."""
    return reconcile_activation(settings, engine)
