"""Files: which are taken, when, how often, in which encodings, and what a broken one does."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal

import pyarrow as pa
import pytest
from feeds_lake import MEMBER, ORDER, Lake

from pipelines.errors import ConfigurationError
from pipelines.feeds.hooks import keep, rows_of

RATE = '{"date":"2024-05-01","currency":"USD","rate":7.1}\n'
RATES_CSV = "date,currency,rate\n2024-05-01,USD,7.1\n"


def test_the_same_content_again_counts_no_rows_and_is_recorded(lake: Lake) -> None:
    first = lake.write("_shared/fx_rates/a.jsonl", RATE)
    assert lake.load().rows_received == 1
    assert lake.load().batches == []
    lake.write("_shared/fx_rates/b.jsonl", RATE)
    second = lake.load()
    assert [(batch.file, batch.rows_received, batch.kind) for batch in second.batches] == [
        ("_shared/fx_rates/b.jsonl", 0, "duplicate")
    ]
    os.utime(first, (1, 1))
    assert lake.load().batches == []
    assert len(lake.raw("fx_rates")) == 1
    lake.assert_reconciled()


def test_the_same_content_of_another_channel_is_other_content(lake: Lake) -> None:
    for channel in ("pos", "mini"):
        lake.write_rows(f"{channel}/members/a.jsonl", [MEMBER])
    assert lake.load().rows_accepted == 2


def test_changed_content_at_a_known_path_is_taken(lake: Lake) -> None:
    lake.write("_shared/fx_rates/a.jsonl", RATE)
    lake.load()
    lake.write("_shared/fx_rates/a.jsonl", RATE.replace("7.1", "7.25"))
    assert lake.load().rows_received == 1
    assert [row["rate"] for row in lake.raw("fx_rates")] == [Decimal("7.1"), Decimal("7.25")]
    lake.assert_reconciled()


def test_unfinished_and_hidden_files_and_folders_are_passed_over(lake: Lake) -> None:
    for file in ("_shared/fx_rates/a.jsonl.part", "_shared/fx_rates/.a.jsonl", ".git/x.jsonl", "README.md"):
        lake.write(file, RATE)
    lake.write("_shared/fx_rates/2024/05/a.jsonl", RATE)
    assert [batch.file for batch in lake.load().batches] == ["_shared/fx_rates/2024/05/a.jsonl"]


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("unknown/orders/a.jsonl", "unknown"),
        ("pos/sales/a.jsonl", "sales"),
        ("pos/orders.csv", "orders.csv"),
        ("orders.jsonl", "orders.jsonl"),
    ],
)
def test_what_nobody_declared_stops_the_run_by_name_before_anything_is_taken(lake: Lake, file: str, named: str) -> None:
    lake.write("_shared/fx_rates/a.jsonl", RATE)
    lake.write(file, RATE)
    with pytest.raises(ConfigurationError, match=named):
        lake.load()
    assert not list(lake.settings.lake.rglob("*.parquet"))


@pytest.mark.parametrize("name", ["a.txt", "a.json", "orders.xlsx"])
def test_a_file_of_an_unknown_ending_is_one_rejected_row_and_the_rest_goes_through(lake: Lake, name: str) -> None:
    lake.write("_shared/fx_rates/a.jsonl", RATE)
    lake.write(f"_shared/fx_rates/{name}", RATE * 2)
    report = lake.load()
    assert (report.rows_received, report.rows_accepted, report.rows_quarantined) == (2, 1, 1)
    (rejected,) = lake.quarantine()
    assert rejected["file"].endswith(name)
    assert rejected["line"] is None
    assert "an ending that no feed has" in rejected["reason"]


def test_files_arrive_in_the_order_of_their_paths(lake: Lake) -> None:
    for name in ("b.jsonl", "a.csv", "c.jsonl"):
        lake.write(f"_shared/fx_rates/{name}", RATES_CSV if name.endswith("csv") else RATE + name[0].replace("b", ""))
    lake.load()
    assert [row["_file"][-6:] for row in lake.raw("fx_rates")][:2] == ["/a.csv", ".jsonl"]
    arrivals = [row["_arrival"] for row in lake.raw("fx_rates")]
    assert arrivals == sorted(set(arrivals))


def test_only_the_asked_feeds_are_taken(lake: Lake) -> None:
    lake.write("_shared/fx_rates/a.jsonl", RATE)
    lake.write_rows("pos/orders/a.jsonl", [ORDER])
    assert [batch.feed for batch in lake.load(["orders"]).batches] == ["orders"]
    assert [batch.feed for batch in lake.load().batches] == ["fx_rates"]


BROKEN_FILES = {
    "not_gzip.jsonl.gz": (b"\x1f\x8bxx", "gzip"),
    "text.csv.gz": (b"date,currency,rate", "gzip"),
    "truncated.jsonl.gz": (gzip.compress(RATE.encode() * 1000)[:-20], "gzip"),
    "broken.parquet": (b"PAR1 nothing", "Parquet"),
    "gbk.jsonl": ('{"date":"2024-05-01","currency":"USD","rate":7.1,"备注":"汇率"}\n'.encode("gbk"), "utf-8"),
    "late_byte.csv": (RATES_CSV.encode() * 3 + b"\xff\n", "utf-8"),
    "utf16.csv": (RATES_CSV.encode("utf-16"), "utf-8"),
    "headless.csv": (b"2024-05-01,USD,7.1\n2024-05-02,USD,7.1\n", "lacks the column"),
    "twice.csv": (b"date,currency,rate,rate\n2024-05-01,USD,7.1,1\n", "twice"),
}


def test_a_file_that_cannot_be_read_is_one_row_received_and_quarantined(lake: Lake) -> None:
    for name, (content, _) in BROKEN_FILES.items():
        lake.write(f"_shared/fx_rates/{name}", content) if not name.endswith(".gz") else _write_bytes(
            lake, name, content
        )
    lake.write("_shared/fx_rates/zz_good.jsonl", RATE)
    report = lake.load()
    assert (report.rows_received, report.rows_accepted, report.rows_quarantined) == (
        len(BROKEN_FILES) + 1,
        1,
        len(BROKEN_FILES),
    )
    rows = {row["file"].split("/")[-1]: row for row in lake.quarantine()}
    for name, (_, reason) in BROKEN_FILES.items():
        assert reason in rows[name]["reason"], name
        assert (rows[name]["line"], rows[name]["column_name"]) == (None, None)
    lake.assert_reconciled()
    assert lake.load().batches == []


def test_empty_files_are_no_rows(lake: Lake) -> None:
    for name in ("a.jsonl", "a.csv", "a.parquet", "b.jsonl.gz", "c.csv", "d.jsonl"):
        content = {"c.csv": "date,currency,rate\n", "d.jsonl": "\n \r\n\t\n"}.get(name, "")
        lake.write(f"_shared/fx_rates/{name}", content)
    report = lake.load()
    assert (report.rows_received, report.rows_quarantined) == (0, 0)


def test_byte_order_marks_and_declared_encodings_are_read(lake: Lake) -> None:
    store = "store_id,updated_at,name\nS1,2024-05-01T10:00:00Z,巴黎\n"
    lake.write("pos/stores/a.csv", b"\xef\xbb\xbf" + store.encode())
    lake.write("paris/stores/a.csv", store.replace("S1", "S2").encode("gbk"))
    lake.write("paris/stores/b.csv", b"\xef\xbb\xbf" + store.replace("S1", "S3").encode())
    lake.load()
    assert sorted((row["store_id"], row["name"]) for row in lake.raw("stores")) == [
        ("S1", "巴黎"), ("S2", "巴黎"), ("S3", "巴黎"),
    ]  # fmt: skip


def test_csv_keeps_quoted_newlines_and_physical_lines(lake: Lake) -> None:
    lake.write("pos/stores/a.csv", (
        "store_id,updated_at,name,city\r\n"
        '0001,2024-05-01T10:00:00Z,"two\r\nlines, ""quoted""",\r\n'
        "\r\n"
        "S2,2024-05-01T10:00:00Z,too few\r\n"
        "S3,2024-05-01T10:00:00Z,too,many,cells\r\n"
        'S4,2024-05-01T10:00:00Z,"never closed,Paris\r\n'
        "S5,2024-05-01T10:00:00Z,5\" disk,Paris\r\n"
        '"S6","2024-05-01T10:00:00Z","good",""'
    ))  # fmt: skip
    report = lake.load()
    assert {row["store_id"]: (row["name"], row["city"], row["_line"]) for row in lake.raw("stores")} == {
        "0001": ('two\r\nlines, "quoted"', None, 2),
        "S6": ("good", None, 9),
    }
    assert [row[0] for row in lake.reasons()] == [5, 6, 7, 8]
    assert report.rows_received == 6


def test_csv_orders_without_lines_wait_for_order_lines(lake: Lake) -> None:
    header = "order_id,updated_at,placed_at,status,currency,paid_amount"
    cells = "0007,2024-05-01T10:00:00Z,2024-05-01T10:00:00Z,paid,CNY,1.00"
    lake.write("pos/orders/a.csv", f"{header}\n{cells}\n")
    lake.write("pos/orders/b.csv", f"{header},lines\n{cells},\n")
    lines = '"[{""line_id"":1,""sku"":""s"",""quantity"":1,""unit_price"":12345678901234.5678}]"'
    lake.write("pos/orders/c.csv", f"{header},lines\n{cells},{lines}\n")
    lake.write("pos/order_lines/a.csv", "order_id,line_id,sku,quantity,unit_price\n0007,1,s,1,1.00\n0007,2,s,0,1.00\n")
    lake.load()
    orders = lake.raw("orders")
    assert orders[0]["lines"] is None
    assert orders[1]["lines"][0]["unit_price"] == Decimal("12345678901234.5678")
    assert [(row["file"], row["column_name"]) for row in lake.quarantine()] == [
        ("pos/order_lines/a.csv", "quantity"), ("pos/orders/b.csv", "lines"),
    ]  # fmt: skip
    assert len(lake.raw("order_lines")) == 1


def test_parquet_of_any_physical_type_is_read(lake: Lake) -> None:
    lines = [[{"line_id": 1, "sku": "S", "quantity": Decimal("2.000"), "unit_price": 0.1, "surplus": 1}]]
    lake.write_parquet("pos/orders/a.parquet", pa.table({
        "order_id": pa.array([7.0]),
        "updated_at": pa.array([1714557600000], pa.timestamp("ms", "Asia/Shanghai")),
        "placed_at": pa.array([1714557600000000000], pa.timestamp("ns")),
        "status": pa.array(["paid"]).dictionary_encode(),
        "currency": pa.array([b"CNY"]),
        "paid_amount": pa.array([Decimal("12345678901234.5678")]),
        "is_test": pa.array([True]),
        "coupon_codes": pa.array([[1, 2]]),
        "lines": pa.array(lines),
        "tenders": pa.array(['[{"type":"cash","amount":"1.00"}]']),
        "points_used": pa.nulls(1),
        "surplus": pa.array([{"a": 1}]),
    }))  # fmt: skip
    report = lake.load()
    assert report.rows_accepted == 1, lake.reasons()
    (order,) = lake.raw("orders")
    assert (order["order_id"], order["paid_amount"]) == ("7", Decimal("12345678901234.5678"))
    assert (order["updated_at"].hour, order["placed_at"].hour) == (10, 2)
    assert order["coupon_codes"] == ["1", "2"]
    assert order["lines"][0]["unit_price"] == Decimal("0.1")
    assert order["tenders"][0]["amount"] == Decimal(1)
    assert [entry.column_name for entry in report.drift] == ["lines[].surplus", "surplus"]


def test_unknown_columns_are_drift_and_no_fault(lake: Lake) -> None:
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"gift_note": "hi"}, ORDER, ORDER | {"13812345678": 1}])
    report = lake.load()
    assert report.rows_accepted == 3
    assert [(entry.column_name, entry.rows) for entry in report.drift] == [("(others)", 1), ("gift_note", 1)]


def _write_bytes(lake: Lake, name: str, content: bytes) -> None:
    path = lake.settings.landing / "_shared" / "fx_rates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_what_a_channel_posted_is_taken_by_the_next_run(lake: Lake) -> None:
    keep(lake.settings, "paris", "orders", rows_of(json.dumps([ORDER | {"guest_email": "é@x.fr"}]).encode()))
    keep(lake.settings, "paris", "orders", rows_of(b'{"order_id": "broken"'))
    report = lake.load()
    assert (report.rows_received, report.rows_accepted, report.rows_quarantined) == (2, 1, 1)
    assert lake.load().rows_received == 0
