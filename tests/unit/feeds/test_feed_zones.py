"""Local times: whose zone they are read in, and what happens at the changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
from feeds_lake import ORDER, Lake
from hypothesis import given
from hypothesis import strategies as st

from pipelines.feeds.zones import utc_macro, wall_clock_offsets

ZONES = ["Asia/Shanghai", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]


@given(st.datetimes(datetime(1975, 1, 1), datetime(2095, 1, 1)), st.sampled_from(ZONES))
def test_offsets_agree_with_the_first_reading_of_the_zone_database(wall: datetime, zone: str) -> None:
    offset = [seconds for start, seconds in wall_clock_offsets(zone) if start <= wall][-1]
    # PEP 495: fold=0 is the first of two readings, and before a gap's offset for a time that does not exist.
    expected = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)
    assert wall - timedelta(seconds=offset) == expected


def test_the_macro_reads_gaps_before_and_overlaps_first() -> None:
    connection = duckdb.connect()
    connection.execute(utc_macro("to_utc", {"Europe/Paris", "America/New_York"}))
    query = "SELECT to_utc(CAST(? AS TIMESTAMP), 'Europe/Paris'), to_utc(CAST(? AS TIMESTAMP), 'Europe/Paris')"
    assert connection.execute(query, ["2024-03-31 02:30:00", "2024-10-27 02:30:00"]).fetchone() == (
        datetime(2024, 3, 31, 1, 30),
        datetime(2024, 10, 27, 0, 30),
    )
    query = "SELECT to_utc(CAST(? AS TIMESTAMP), 'America/New_York'), to_utc(CAST(? AS TIMESTAMP), 'Asia/Tokyo')"
    assert connection.execute(query, ["2024-07-01 12:00:00", "2024-07-01"]).fetchone() == (
        datetime(2024, 7, 1, 16),
        None,
    )


def test_a_local_time_is_the_stores_else_the_channels_else_the_top_levels(lake: Lake) -> None:
    store = {"updated_at": "2024-01-01T00:00:00Z", "name": "x"}
    lake.write_rows("_shared/stores/a.jsonl", [
        store | {"store_id": "NY", "timezone": "Asia/Tokyo"},
        store | {"store_id": "NY", "timezone": "America/New_York", "updated_at": "2024-01-02T00:00:00Z"},
        store | {"store_id": "PLAIN"},
    ])  # fmt: skip
    noon = "2024-07-01T12:00:00"
    lake.write_rows("paris/orders/a.jsonl", [
        ORDER | {"order_id": "1", "placed_at": noon, "store_id": "NY"},
        ORDER | {"order_id": "2", "placed_at": noon, "store_id": "PLAIN"},
        ORDER | {"order_id": "3", "placed_at": noon},
    ])  # fmt: skip
    refund = {"refund_id": "1", "updated_at": noon, "refunded_at": noon, "amount": 1, "currency": "EUR"}
    lake.write_rows("paris/refunds/a.jsonl", [refund | {"order_id": "1"}, refund | {"order_id": "unknown"}])
    price = {"sku": "s", "price": 1, "currency": "CNY", "valid_from": noon}
    lake.write_rows("_shared/prices/a.jsonl", [price, price | {"store_id": "NY", "valid_from": "2024-07-01"}])
    lake.load()
    assert [row["placed_at"].hour for row in lake.raw("orders")] == [16, 10, 10]
    assert [row["refunded_at"].hour for row in lake.raw("refunds")] == [16, 10]
    assert [row["valid_from"].hour for row in lake.raw("prices")] == [4, 4]


def test_views_of_an_empty_lake_are_typed_and_empty(lake: Lake) -> None:
    assert lake.raw("orders") == []
    assert lake.raw("refunds") == []
