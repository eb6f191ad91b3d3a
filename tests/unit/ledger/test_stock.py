"""Stock: the newest count of an article in a store, whoever sent it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tests.support.raw_tables import a_channel, the_channels
from tests.unit.ledger.conftest import Build

CHANNELS = the_channels(a_channel("pos"))


def test_the_newest_count_holds_and_what_is_promised_is_not_available(build: Build) -> None:
    counts = [
        {"store_id": "s1", "sku": "a", "counted_at": "2026-06-02", "on_hand": "5", "reserved": "2"},
        {"store_id": "s1", "sku": "a", "counted_at": "2026-06-01", "on_hand": "9"},
        {"channel": "pos", "store_id": "s1", "sku": "b", "counted_at": "2026-06-03", "on_hand": "1", "reserved": "4"},
        {"store_id": "s1", "sku": "b", "counted_at": "2026-06-02", "on_hand": "7"},
        {"store_id": "s2", "sku": "a", "counted_at": "2026-06-01", "on_hand": "3.5"},
    ]
    connection = build(CHANNELS, date(2026, 6, 30), {"inventory": counts})
    found = connection.execute(
        "SELECT store_id, sku, on_hand, reserved, available FROM marts.stock ORDER BY store_id, sku"
    ).fetchall()
    assert found == [
        ("s1", "a", Decimal(5), Decimal(2), Decimal(3)),
        ("s1", "b", Decimal(1), Decimal(4), Decimal(0)),
        ("s2", "a", Decimal("3.5"), Decimal(0), Decimal("3.5")),
    ]


def test_of_two_counts_of_one_instant_the_later_arrival_holds(build: Build) -> None:
    counts = [{"store_id": "s1", "sku": "a", "counted_at": "2026-06-02", "on_hand": on_hand} for on_hand in ("9", "4")]
    connection = build(CHANNELS, date(2026, 6, 30), {"inventory": counts})
    assert connection.execute("SELECT on_hand FROM marts.stock").fetchall() == [(Decimal(4),)]
