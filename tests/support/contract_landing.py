"""A landing folder that is awkward on purpose, in every way the landing contract speaks of.

Belongs here: the files of two nights and the numbers of rows each file has by the contract. Does not belong here: what
becomes of them (the test that reads this). Amounts are written so that a person can do the sums.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.contract_persons import write_personal_data, write_persons
from tests.support.landing_files import NOON, Landing, Row, a_line, a_refund, an_order, returned

CHANNELS = """
reporting_currency: CNY
timezone: Asia/Tokyo
channels:
  - {id: web, name: Web, kind: pc_web, online: true, timezone: Asia/Shanghai, currency: CNY}
  - {id: app, name: App, kind: app, online: true, timezone: Asia/Shanghai, currency: CNY}
  - {id: mini_a, name: A, kind: mini_program, online: true, timezone: Asia/Shanghai, currency: CNY}
  - {id: mini_b, name: B, kind: mini_program, online: true, timezone: Asia/Shanghai, currency: CNY}
  - {id: berlin, name: Berlin, kind: pos, online: false, timezone: Europe/Berlin, currency: EUR}
  - {id: till, name: 收银, kind: pos, online: false, timezone: Asia/Shanghai, business_day_cutoff: "04:00",
     currency: CNY, encoding: gbk}
"""


def first_night(folder: Path) -> Landing:
    """Everything up to 30 June 2026."""
    landing = Landing(folder)
    _shared(landing)
    _money(landing)
    _times(landing)
    _files(landing)
    _versions(landing)
    write_persons(landing)
    write_personal_data(landing)
    return landing


def second_night(folder: Path) -> Landing:
    """What comes a night later: the lines that were waited for, late versions, and the same files again."""
    landing = Landing(folder)
    landing.table(
        "app/order_lines/1.csv",
        [
            {"order_id": "csv_waits", "line_id": "1", "sku": "plain", "quantity": "2", "unit_price": "7.50"},
            {"order_id": "csv_waits", "line_id": "2", "sku": "plain", "quantity": "1", "unit_price": "5"},
        ],
    )
    landing.json_lines(
        "web/orders/v9_late.jsonl",
        [
            # Older than what holds: nothing changes.
            an_order("v_newer", a_line(price="99"), updated_at="2026-06-01T00:00:00Z"),
            # A sale of 5 June that comes late restates that day.
            an_order("late_sale", a_line(price="64"), paid_at="2026-06-05T12:00:00+08:00"),
            an_order("july", a_line(price="128"), member_id="seven", paid_at="2026-07-01T12:00:00+08:00"),
        ],
    )
    landing.json_lines("web/refunds/9.jsonl", [a_refund("rf_late", "late_sale", "14", returned("1", "14", None))])
    same = (folder / "web/orders/money.jsonl").read_bytes()
    landing.write("web/orders/money_again.jsonl", same, 0)
    return landing


def _shared(landing: Landing) -> None:
    def product(sku: str, **more: Any) -> Row:
        return {"sku": sku, "updated_at": "2026-01-01T00:00:00Z", "name": sku, **more}

    landing.json_lines(
        "_shared/products/1.jsonl",
        [
            product("plain", category_path="food/snack"),
            product("taxed", category_path="food/milk", tax_rate="0.13", cost="4", currency="CNY"),
            product("card", category_path="gift_card/100"),
            product("phone_credit", category_path="top_up/mobile"),
            product("gift_cardboard", category_path="gift_cardboard/box"),
        ],
    )
    landing.json_lines(
        "_shared/stores/1.jsonl",
        [
            {"store_id": "ny", "updated_at": "2026-01-01T00:00:00Z", "name": "NY", "timezone": "America/New_York"},
            {"store_id": "sh", "updated_at": "2026-01-01T00:00:00Z", "name": "SH"},
            # No offset and nobody's time zone: the retailer's own, Tokyo, in which it is before the one above.
            {"store_id": "sh", "updated_at": "2026-01-01T08:59:00", "name": "older"},
        ],
    )
    landing.json_lines(
        "_shared/fx_rates/1.jsonl",
        [
            {"date": "2025-01-01", "currency": "EUR", "rate": "8.1"},
            {"date": "2026-06-08", "currency": "EUR", "rate": "7.5"},
            {"date": "2026-06-08", "currency": "EUR", "rate": "7.85"},
            {"date": "2026-06-12", "currency": "EUR", "rate": "8"},
        ],
    )


def _money(landing: Landing) -> None:
    paid = {"type": "cash", "amount": "1"}
    gift = a_line("2", "0", is_gift=True, unit_list_price="20")
    cancelled = {"status": "cancelled", "cancelled_at": "2026-06-13T12:00:00+08:00"}
    landing.json_lines(
        "web/orders/money.jsonl",
        [
            an_order("tax_line", a_line("1", "33.33", 3, "taxed", discount_amount="0.01", unit_list_price="40")),
            an_order("tax_own", a_line("1", "10.60", 1, "taxed", tax_rate="0.06")),
            an_order("tax_zero", a_line("1", "11.30", 1, "taxed", tax_rate="0")),
            an_order("half_cent", a_line("1", "0.0350", 3)),
            an_order("ties", a_line("1"), a_line("2"), a_line("3"), discount_amount="1.00"),
            an_order(
                "remainders",
                a_line("1"),
                a_line("2", "20"),
                discount_amount=2,
                tenders=[{"type": "points", "amount": "3"}, paid],
            ),
            an_order("gift", a_line("1"), gift, discount_amount="1"),
            an_order("mixed_card", a_line("1", "100", sku="card"), a_line("2", "100"), discount_amount="10"),
            an_order("cards", a_line("1", "100", sku="card"), a_line("2", "50", sku="phone_credit"), member_id="buyer"),
            an_order("cardboard", a_line("1", "4", sku="gift_cardboard")),
            an_order("by_card", a_line("1", "30"), tenders=[{"type": "gift_card", "amount": "30"}]),
            an_order("exchanged", a_line("1", "12"), exchange_of="swap", member_id="buyer"),
            an_order("credit", a_line("1", "13"), tenders=[{"type": "exchange_credit", "amount": "13"}]),
            an_order("test", a_line("1", "1000"), is_test=True, member_id="buyer"),
            an_order("staff", a_line("1", "21"), is_staff=True, member_id="buyer"),
            an_order("unpaid", a_line("1", "1000"), status="pending", paid_at=None, member_id="buyer"),
            an_order("never_paid", a_line("1", "1000"), paid_at=None, **cancelled),
            an_order("paid_cancelled", a_line("1", "40"), **cancelled),
            an_order("no_rate", currency="USD"),
            an_order("swap", a_line("1", "12")),
            an_order("part", a_line("1", "56.50", 2, "taxed"), status="partially_refunded", shipping_amount="8"),
            an_order("goods_first", a_line("1", "50"), status="partially_refunded", shipping_amount="10"),
            an_order("all_back", a_line("1", "50"), status="refunded", shipping_amount="10", member_id="buyer"),
            an_order("over", a_line("1", "50"), status="refunded"),
            an_order("shipped_back", a_line("1", "50"), status="partially_refunded", member_id="buyer"),
            an_order("only_gifts", gift, discount_amount="5"),
            an_order("status_paid", a_line("1", "17"), status="paid", paid_at=None),
            an_order("pays_later", a_line("1", "1000"), paid_at="2026-07-01T00:00:00+08:00"),
            an_order(
                "cancelled_later",
                a_line("1", "70"),
                member_id="waverer",
                status="cancelled",
                cancelled_at="2026-07-01T00:00:00+08:00",
                updated_at="2026-07-01T00:00:00+08:00",
            ),
            an_order("back_later", a_line("1", "80"), member_id="waverer", status="refunded"),
            an_order("plus", a_line("1", "1.5", "2.5"), member_id="buyer"),
            json.dumps(an_order("exponent", a_line(1, 100))).replace('"unit_price": 100', '"unit_price": 1e2'),
        ],
    )
    landing.json_lines(
        "web/refunds/1.jsonl",
        [
            a_refund("r1", "paid_cancelled", "15", returned("1", "15"), refunded_at="2026-06-11T12:00:00+08:00"),
            a_refund("r2", "swap", "12", returned("1", "12"), reason="exchange"),
            a_refund("r3", "part", "64.50", returned("1", "56.50"), return_store_id="ny"),
            a_refund("r4", "goods_first", "30"),
            a_refund("r5", "all_back", "60"),
            a_refund("r6", "over", "50", returned("1", "50")),
            a_refund("r7", "over", "50", returned("1", "50"), refunded_at="2026-06-14T12:00:00+08:00"),
            a_refund("r8", "shipped_back", "49.99", returned("1", "49.99")),
            a_refund("r9", "nowhere", "5"),
            a_refund("r10", "back_later", "80", refunded_at="2026-07-01T00:00:00+08:00"),
        ],
    )
    landing.json_lines(
        "berlin/orders/1.jsonl",
        [an_order("eur", a_line("1", "11.90", tax_rate="0.19"), a_line("2", "0.35"), currency="EUR")],
    )
    # The order is another channel's, so this refund's own order has not come.
    landing.json_lines("app/refunds/1.jsonl", [a_refund("r1", "plus", "1")])
    landing.json_lines(
        "berlin/refunds/1.jsonl", [a_refund("r1", "eur", "11.90", returned("1", "11.90"), currency="EUR")]
    )


def _times(landing: Landing) -> None:
    def at(time: str, order_id: str, **more: Any) -> Row:
        return an_order(order_id, updated_at=time, placed_at=time, paid_at=time, **more)

    euro = {"currency": "EUR"}
    landing.json_lines(
        "berlin/orders/times.jsonl",
        [
            at("2026-03-29T02:30:00", "gap", **euro),
            at("2025-10-26T02:30:00", "overlap", **euro),
            at("2026-06-10T23:30:00", "in_ny", store_id="ny", **euro),
            at("2026-06-10T23:30:00", "unknown_store", store_id="nowhere", **euro),
            at("2026-06-10T23:30:00Z", "zulu", **euro),
            at("2026-06-10T23:30:00.000001+0200", "no_colon", **euro),
            at("2026-06-10 23:30+02:00", "no_seconds", **euro),
            at("2026-06-10T23:30:00+02", "hours_only", **euro),
        ],
    )
    landing.json_lines(
        "berlin/refunds/times.jsonl",
        [
            a_refund(
                "r_ny",
                "in_ny",
                "4",
                returned("1", "4"),
                refunded_at="2026-06-15T23:30:00",
                currency="EUR",
                return_store_id="sh",
            ),
        ],
    )
    landing.json_lines(
        "till/orders/times.jsonl",
        [
            at("2026-06-11T03:59:59", "before_cutoff", store_id="sh"),
            at("2026-06-11T04:00:00", "after_cutoff", store_id="sh"),
            at("2026-07-01T03:59:59+08:00", "last_of_june", store_id="sh"),
            at("2026-07-01T04:00:00+08:00", "first_of_july", store_id="sh"),
        ],
    )


def _files(landing: Landing) -> None:
    fields = "order_id,updated_at,placed_at,paid_at,status,currency,paid_amount,lines,guest_phone"
    cell = '"[{""line_id"":""1"",""sku"":""plain"",""quantity"":1,""unit_price"":""1""}]"'
    stamps = f"{NOON},{NOON},{NOON},completed,CNY,1"
    landing.write(
        "till/orders/gbk.csv",
        (f"{fields},备注\r\n" + f"gbk1,{stamps},{cell},,好\r\n" + f'gbk2,{stamps},{cell},,"两\r\n行"\r\n').encode(
            "gbk"
        ),
        2,
    )
    landing.write(
        "till/orders/cells.csv",
        (
            f"{fields}\n0007,{stamps},{cell},\nfew,{stamps},{cell}\nmany,{stamps},{cell},,,\n\n7,{stamps},{cell},\n"
        ).encode(),
        4,
        2,
    )
    landing.write("web/orders/not_utf8.csv", f"{fields}\ngbk3,{stamps},{cell},好\n".encode("gbk"), 1, 1)
    landing.write("web/orders/bom.csv", f"\ufeff{fields}\nbom1,{stamps},{cell},\n".encode(), 1)
    landing.write("web/orders/headless.csv", f"{stamps},{cell}\n".encode(), 1, 1)
    landing.write("web/orders/header_only.csv", f"{fields}\n".encode(), 0)
    landing.write("web/orders/empty.jsonl", b"", 0)
    landing.write("web/orders/empty.csv", b"", 0)
    landing.write("web/orders/blank.jsonl", b"\n  \n\r\n", 0)
    landing.write("web/orders/broken.parquet", b"PAR1 nothing of the kind PAR1", 1, 1)
    landing.write("web/orders/not_gzip.jsonl.gz", b"{}\n", 1, 1)
    whole = gzip.compress(
        b"".join(
            json.dumps({"event_id": f"e{n}", "occurred_at": NOON, "type": "page_view", "page": f"/{n * 7919}"}).encode()
            + b"\n"
            for n in range(500)
        )
    )
    landing.write("web/events/cut.jsonl.gz", whole[:-900], -1)
    landing.write("web/orders/unfinished.jsonl.part", b"{broken\n", 0)
    del landing.counts["web/orders/unfinished.jsonl.part"]
    instant = datetime(2026, 6, 10, 4, tzinfo=UTC)
    landing.parquet(
        "app/orders/typed.parquet",
        [
            {
                "order_id": 12,
                "updated_at": instant,
                "placed_at": instant.replace(tzinfo=None, hour=12),
                "status": "paid",
                "paid_at": instant,
                "currency": "CNY",
                "paid_amount": Decimal("0.30"),
                "is_test": False,
                "member_id": None,
                "coupon_codes": ["a"],
                "tenders": [{"type": "points", "amount": Decimal("0.10")}],
                "lines": [{"line_id": 1, "sku": "plain", "quantity": 3, "unit_price": Decimal("0.1")}],
            },
        ],
    )
    landing.table(
        "app/orders/booleans.csv",
        [an_order(f"is_{text}", is_test=text) for text in ("true", "TRUE", "false", "False", "")],
    )
    landing.parquet("app/orders/1.parquet", [an_order("pq1", a_line(quantity=3)), an_order("Pq1", a_line())])
    landing.table(
        "app/orders/2.csv",
        [an_order("csv_waits", lines=..., paid_amount="20", member_id="007")],
    )
    good = an_order("ok_among_bad")
    landing.json_lines(
        "web/orders/bad.jsonl",
        [
            '{"order_id": "cut',
            "[1, 2]",
            an_order("b1", currency="XXY"),
            an_order("b2", status="lost"),
            an_order("b3", fulfilment="drone"),
            an_order("b4", lines=[]),
            an_order("b5", a_line(quantity=0)),
            an_order("b6", a_line(quantity=-1)),
            an_order("b7", a_line(price="1.23456")),
            an_order("b8", a_line(price="ten")),
            an_order("b9", placed_at="2026-02-30T00:00:00Z"),
            an_order("b10", paid_amount=None),
            an_order(
                "",
            ),
            an_order("b11", tenders=[{"type": "cash", "amount": "x"}]),
            an_order("b12", discount_amount="0.00001"),
            an_order("b13", None),
            an_order("b14", lines={"line_id": "1"}),
            an_order("b15", a_line(price=True)),
            an_order("b16", a_line(price="NaN")),
            an_order("b17", a_line(price="123456789012345678901")),
            an_order("b18", placed_at="yesterday"),
            an_order("b19", placed_at="2026-06-10T25:00:00Z"),
            an_order("b20", is_test="perhaps"),
            an_order("b21", currency=""),
            an_order("b22", a_line(sku=None)),
            '{"order_id": "b23"} {}',
            good,
            "",
        ],
        26,
    )
    landing.json_lines(
        "web/reviews/1.jsonl",
        [{"review_id": f"v{rating}", "created_at": NOON, "rating": rating} for rating in (0, 1, 5, 6, "x")],
        3,
    )
    landing.json_lines("web/events/bad.jsonl", [{"event_id": "t", "occurred_at": NOON, "type": "dance"}], 1)


def _versions(landing: Landing) -> None:
    def version(order_id: str, price: str, updated_at: str, **more: Any) -> Row:
        return an_order(order_id, a_line(price=price), updated_at=updated_at, **more)

    early, later = "2026-06-11T00:00:00Z", "2026-06-11T08:00:01+08:00"
    landing.json_lines(
        "web/orders/v1.jsonl",
        [
            version("v_newer", "2", later),
            version("v_newer", "1", early),
            version("v_tie", "1", early),
            version("v_tie", "2", early),
            version("v_files", "1", early),
            an_order("v_fewer", a_line("1", "3"), a_line("2", "4"), updated_at=early),
            an_order("v_fewer", a_line("2", "4"), updated_at=later),
            version("V_case", "8", early),
            version("v_case", "9", early),
        ],
    )
    landing.json_lines("web/orders/v2.jsonl.gz", [version("v_files", "2", early)])
    both = [version("shared_content", "3", early)]
    landing.json_lines("mini_a/orders/same.jsonl", both)
    landing.json_lines("mini_b/orders/same.jsonl", both)
    again = (landing.folder / "mini_a/orders/same.jsonl").read_bytes()
    landing.write("mini_a/orders/same_again.jsonl", again, 0)
    landing.table("app/orders/sets.csv", [an_order("set", lines=..., paid_amount="1")])
    lines = [
        {"order_id": "set", "line_id": line_id, "sku": "plain", "quantity": 1, "unit_price": price, "updated_at": at}
        for line_id, price, at in (("1", "1", early), ("2", "2", early), ("2", "5", later), ("3", "6", later))
    ]
    landing.table("app/order_lines/0.csv", lines)
