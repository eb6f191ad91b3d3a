"""Rows of a connector through the real intake: what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines.channels import load_channels
from pipelines.feeds import ledger
from pipelines.feeds.load import load_landing
from pipelines.feeds.quarantine import list_quarantine
from pipelines.http import exact_json
from pipelines.settings import Settings
from pipelines.state import open_state

_CHANNELS = "channels:\n  - {id: mall, kind: h5}\n"


@dataclass(frozen=True)
class Landed:
    """quarantined: (feed, column, reason) of each row that was refused. drift: columns that the contract doesn't name.
    accepted: rows by feed."""

    quarantined: list[tuple[str, str | None, str]]
    drift: set[str]
    accepted: dict[str, int]


def landed(home: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Landed:
    """Land the rows in a fresh home, take them in, and tell what became of them."""
    settings = Settings(home=home, memory_limit="1GB", threads=1)
    (home / "reference").mkdir(parents=True)
    (home / "reference" / "channels.yml").write_text(_CHANNELS, encoding="utf-8")
    for feed, some in rows.items():
        folder = settings.landing / "mall" / feed
        folder.mkdir(parents=True)
        (folder / "pull-1.jsonl").write_text("".join(exact_json.dumps(row) + "\n" for row in some), encoding="utf-8")
    engine = open_state(settings)
    try:
        load_landing(settings, load_channels(settings), engine, "run")
        refused = list_quarantine(settings, engine).to_pylist()
        with engine.connect() as connection:
            drift = {row.column_name for row in connection.execute(sa.select(ledger.drift))}
    finally:
        engine.dispose()
    quarantined = [(row["feed"], row["column_name"], row["reason"]) for row in refused]
    counts = {feed: len(some) - sum(one[0] == feed for one in quarantined) for feed, some in rows.items()}
    return Landed(quarantined, drift, counts)


def assert_adds_up(order: Mapping[str, Any], total: str) -> None:
    """The order's parts are its total to the cent, as the landing contract reads them, and none of them is negative."""
    lines = order["lines"]
    payable = sum((line["unit_price"] * line["quantity"] - line["discount_amount"] for line in lines), Decimal(0))
    assert payable - order["discount_amount"] + order["shipping_amount"] == Decimal(total)
    assert sum((line["unit_price"] * line["quantity"] for line in lines), Decimal(0)) == order["items_amount"]
    assert order["paid_amount"] in (Decimal(total), Decimal(0))
    for amount in (order["discount_amount"], order["shipping_amount"], *(line["discount_amount"] for line in lines)):
        assert amount >= 0
        assert -amount.as_tuple().exponent <= 4
    assert all(-line["unit_price"].as_tuple().exponent <= 4 for line in lines)
