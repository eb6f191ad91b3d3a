"""Single rows against the contract: what is accepted as what, and what is quarantined where and why."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from feeds_lake import MEMBER, ORDER, Lake

LINE = ORDER["lines"][0]

BAD_ORDERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no_id": ({"order_id": None}, "order_id", "missing"),
    "blank_id": ({"order_id": " "}, "order_id", "missing"),
    "id_is_object": ({"order_id": {"a": 1}}, "order_id", "one value"),
    "no_such_day": ({"placed_at": "2024-02-30T10:00:00Z"}, "placed_at", "ISO 8601"),
    "slashes": ({"placed_at": "2024/02/03 10:00:00"}, "placed_at", "ISO 8601"),
    "epoch": ({"placed_at": 1714557600}, "placed_at", "ISO 8601"),
    "infinity": ({"placed_at": "infinity"}, "placed_at", "ISO 8601"),
    "wild_offset": ({"placed_at": "2024-05-01T10:00:00+25:00"}, "placed_at", "ISO 8601"),
    "unknown_status": ({"status": "PAID"}, "status", "none of pending"),
    "unknown_fulfilment": ({"fulfilment": "drone"}, "fulfilment", "none of delivery"),
    "unknown_currency": ({"currency": "RMB"}, "currency", "ISO 4217"),
    "small_currency": ({"currency": "cny"}, "currency", "ISO 4217"),
    "words_for_money": ({"paid_amount": "ten"}, "paid_amount", "not a decimal"),
    "grouped_money": ({"paid_amount": "1,000.00"}, "paid_amount", "not a decimal"),
    "underscore_money": ({"paid_amount": "1_000"}, "paid_amount", "not a decimal"),
    "five_decimals": ({"paid_amount": "1.00001"}, "paid_amount", "4 decimals"),
    "five_decimals_number": ({"paid_amount": 0.00001}, "paid_amount", "4 decimals"),
    "many_decimals_number": ({"paid_amount": 0.1 + 0.2}, "paid_amount", "4 decimals"),
    "too_large": ({"paid_amount": "123456789012345"}, "paid_amount", "4 decimals"),
    "no_boolean": ({"is_test": "maybe"}, "is_test", "true nor false"),
    "no_lines": ({"lines": None}, "lines", "missing"),
    "empty_lines": ({"lines": []}, "lines", "empty"),
    "lines_is_number": ({"lines": 3}, "lines", "list of objects"),
    "lines_is_object": ({"lines": LINE}, "lines", "list of objects"),
    "line_is_number": ({"lines": [LINE, 3]}, "lines[1].line_id", "missing"),
    "line_is_null": ({"lines": [LINE, None]}, "lines[1]", "must be an object"),
    "line_without_sku": ({"lines": [LINE, LINE | {"sku": ""}]}, "lines[1].sku", "missing"),
    "quantity_zero": ({"lines": [LINE | {"quantity": 0}]}, "lines[0].quantity", "above 0"),
    "quantity_negative": ({"lines": [LINE | {"quantity": "-1"}]}, "lines[0].quantity", "above 0"),
    "quantity_text": ({"lines": [LINE, LINE, LINE | {"quantity": "two"}]}, "lines[2].quantity", "not a decimal"),
    "line_price_decimals": ({"lines": [LINE | {"unit_price": 1.23456}]}, "lines[0].unit_price", "4 decimals"),
    "sku_is_list": ({"lines": [LINE | {"sku": ["a"]}]}, "lines[0].sku", "one value"),
    "tender_without_amount": ({"tenders": [{"type": "cash"}]}, "tenders[0].amount", "missing"),
    "tenders_is_text": ({"tenders": "cash"}, "tenders", "list of objects"),
    "coupons_is_text": ({"coupon_codes": "C1"}, "coupon_codes", "list of values"),
    "coupon_is_object": ({"coupon_codes": [{"code": "C1"}]}, "coupon_codes", "plain values"),
}


def test_every_bad_order_is_quarantined_with_its_column_and_reason(lake: Lake) -> None:
    rows = [ORDER | {"order_id": name} | change for name, (change, _, _) in BAD_ORDERS.items()]
    lake.write_rows("pos/orders/bad.jsonl", [*rows, ORDER])
    report = lake.load()
    assert (report.rows_received, report.rows_accepted, report.rows_quarantined) == (len(rows) + 1, 1, len(rows))
    found = {line: (column, reason) for line, column, reason in lake.reasons()}
    for line, (name, (_, column, reason)) in enumerate(BAD_ORDERS.items(), start=1):
        assert found[line][0] == column, name
        assert reason in found[line][1], name
    lake.assert_reconciled()


def test_reasons_never_repeat_the_value(lake: Lake) -> None:
    lake.write_rows("pos/orders/bad.jsonl", [ORDER | {"status": "secret-13812345678", "currency": "secret"}])
    lake.load()
    assert all("secret" not in str(row) for row in lake.quarantine())


EXACT_MONEY = {
    '"10"': "10",
    "10": "10",
    "-0.5": "-0.5",
    "1e2": "100",
    "1.10": "1.1",
    '"1.50000000"': "1.5",
    '" 7.25 "': "7.25",
    '"+3.5"': "3.5",
    "12345678901234.5678": "12345678901234.5678",
    "12345678901234.0001": "12345678901234.0001",
    "99999999999999.9999": "99999999999999.9999",
    "0.1234": "0.1234",
    '"1.5e3"': "1500",
}


@pytest.mark.parametrize("texts", [list(EXACT_MONEY), ["0.1234", "10"]], ids=["with_long_numbers", "without"])
def test_money_is_exact(lake: Lake, texts: list[str]) -> None:
    rows = [
        '{"order_id":"1","updated_at":"2024-05-01T10:00:00Z","placed_at":"2024-05-01T10:00:00Z","status":"paid",'
        f'"currency":"CNY","paid_amount":{text},"note":"1234567890123456.7, 8 \\" 9","lines":[{{"line_id":1,"sku":"s",'
        f'"quantity":1,"unit_price":{text}}}]}}\n'
        for text in texts
    ]
    lake.write("pos/orders/a.jsonl", "".join(rows))
    lake.load()
    found = [(row["paid_amount"], row["lines"][0]["unit_price"]) for row in lake.raw("orders")]
    assert found == [(Decimal(EXACT_MONEY[text]),) * 2 for text in texts]


def test_times_with_an_offset_are_that_instant(lake: Lake) -> None:
    texts = {
        "2024-05-01T10:00:00Z": datetime(2024, 5, 1, 10),
        "2024-05-01T10:00:00+08:00": datetime(2024, 5, 1, 2),
        "2024-05-01 10:00:00+0800": datetime(2024, 5, 1, 2),
        "2024-05-01T10:00:00-03": datetime(2024, 5, 1, 13),
        "2024-05-01T10:00:00.123456789+05:30": datetime(2024, 5, 1, 4, 30, 0, 123456),
        "2024-05-01T10:00:00,5Z": datetime(2024, 5, 1, 10, 0, 0, 500000),
        "2024-05-01t10:00z": datetime(2024, 5, 1, 10),
        "2024-05-01T10:00:00 +08:00": datetime(2024, 5, 1, 2),
    }
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"paid_at": text} for text in texts])
    lake.load()
    assert [row["paid_at"] for row in lake.raw("orders")] == list(texts.values())
    assert [row["_local_times"] for row in lake.raw("orders")] == [None] * len(texts)


def test_times_without_an_offset_are_local(lake: Lake) -> None:
    texts = {
        "2024-05-01T10:00:00": datetime(2024, 5, 1, 2),
        "2024-05-01 10:00:00.25": datetime(2024, 5, 1, 2, 0, 0, 250000),
        "2024-05-01T10:00": datetime(2024, 5, 1, 2),
        "2024-05-01": datetime(2024, 4, 30, 16),
    }
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"paid_at": text} for text in texts])
    lake.load()
    assert [row["paid_at"] for row in lake.raw("orders")] == list(texts.values())
    assert {tuple(row["_local_times"]) for row in lake.raw("orders")} == {("paid_at",)}


def test_ids_keep_zeros_and_case_and_large_numbers(lake: Lake) -> None:
    ids = ["0007", "aB", "12345678901234567890123", " x"]
    lake.write("pos/points/a.jsonl", "".join(
        f'{{"entry_id":{entry},"member_id":"m","occurred_at":"2024-05-01T10:00:00Z","delta":1}}\n'
        for entry in ('"0007"', '"aB"', "12345678901234567890123", '" x"')
    ))  # fmt: skip
    lake.load()
    assert [row["entry_id"] for row in lake.raw("points")] == ids


def test_broken_lines_cost_only_themselves_and_blank_lines_nothing(lake: Lake) -> None:
    good = '{"date":"2024-05-01","currency":"USD","rate":"7.1"}'
    lines = [good, "{broken", "", "  \t", "[1]", "7", '{"date":"2024-05-01",}', good.replace("01", "02"), good[:-5],
             '{"date":"2024-05-01","currency":"USD","rate":"7.1","x":"\\ud800"}']  # fmt: skip
    lake.write("_shared/fx_rates/a.jsonl", "\r\n".join(lines))
    report = lake.load()
    assert (report.rows_received, report.rows_accepted) == (8, 2)
    assert [line for line, column, _ in lake.reasons() if column is None] == [2, 5, 6, 7, 9, 10]
    assert [row["_line"] for row in lake.raw("fx_rates")] == [1, 8]


def test_a_broken_order_line_is_a_broken_line_and_not_a_broken_file(lake: Lake) -> None:
    broken = [
        _order_json()[:-8],
        _order_json().strip().replace('"lines": [', '"lines": '),
        '{"lines": [{"line_id": "1"}',
        '"lines"',
    ]
    lake.write("pos/orders/a.jsonl", "\n".join([*broken, _order_json()]))
    assert lake.load().rows_accepted == 1
    assert [row[:2] for row in lake.reasons()] == [(line, None) for line in (1, 2, 3, 4)]


def test_a_comma_before_a_brace_within_text_is_no_fault(lake: Lake) -> None:
    lake.write("pos/orders/a.jsonl", '{"note": "a,} b, ]", ' + _order_json()[1:])
    assert lake.load().rows_accepted == 1


def test_rating_must_be_from_one_to_five(lake: Lake) -> None:
    ratings = [1, 5, "4.5", 0, 6, "5.001", "x", 0.99, 100]
    lake.write_rows("pos/reviews/a.jsonl", [
        {"review_id": str(position), "created_at": "2024-05-01T10:00:00Z", "rating": rating, "text": "喜欢"}
        for position, rating in enumerate(ratings)
    ])  # fmt: skip
    lake.load()
    assert [row["rating"] for row in lake.raw("reviews")] == [Decimal("1"), Decimal("5"), Decimal("4.5")]
    assert [row["column_name"] for row in lake.quarantine()] == ["rating"] * 6


def test_unknown_time_zone_of_a_store_is_quarantined(lake: Lake) -> None:
    store = {"store_id": "S1", "updated_at": "2024-05-01T10:00:00Z", "name": "A"}
    lake.write_rows(
        "_shared/stores/a.jsonl", [store | {"timezone": "Mars/Olympus"}, store | {"timezone": "Asia/Tokyo"}]
    )
    lake.load()
    assert lake.reasons()[0][:2] == (1, "timezone")
    assert [row["timezone"] for row in lake.raw("stores")] == ["Asia/Tokyo"]


def test_member_identifiers_become_tokens_and_issues(lake: Lake) -> None:
    phones = ["138 1234 5678", "+86-13812345678", "１３８１２３４５６７８", "138****5678", "12", "13800000000", None]
    rows = [MEMBER | {"member_id": f"m{position}", "phone": phone} for position, phone in enumerate(phones)]
    lake.write_rows("pos/members/a.jsonl", rows)
    report = lake.load()
    found = lake.raw("members")
    tokens = [row["phone_token"] for row in found]
    assert tokens[0] == tokens[1] == tokens[2]
    assert len(tokens[0]) == 32
    assert [row["phone_issue"] for row in found] == [None, None, None, "masked", "invalid", "placeholder", None]
    assert [token is None for token in tokens] == [False, False, False, True, True, False, True]
    assert report.identifiers_dropped == 2
    assert report.rows_accepted == len(phones)


def test_the_same_value_has_the_same_token_in_every_feed(lake: Lake) -> None:
    lake.write_rows("pos/members/a.jsonl", [
        MEMBER
        | {"phone": "13812345678", "wechat_openid": "wx1", "email": "A@b.cn "}
        | {"device_ids": ["d2", "d1", "d1", ""]}
    ])  # fmt: skip
    lake.write_rows("pos/orders/a.jsonl", [
        ORDER | {"guest_phone": "+86 13812345678", "guest_openid": "wx1", "device_id": "d1", "guest_email": "a@B.cn"}
    ])  # fmt: skip
    lake.write_rows("pos/staff/a.jsonl", [
        {"staff_id": "1", "updated_at": "2024-05-01T10:00:00Z", "phone": "008613812345678", "name": "王"}
    ])  # fmt: skip
    lake.write_rows("pos/events/a.jsonl", [
        {"event_id": "1", "occurred_at": "2024-05-01T10:00:00Z", "type": "login", "anonymous_id": "d1"}
    ])  # fmt: skip
    lake.load()
    (member,), (order,), (staff,), (event,) = (lake.raw(feed) for feed in ("members", "orders", "staff", "events"))
    assert member["phone_token"] == order["guest_phone_token"] == staff["phone_token"]
    assert member["email_token"] == order["guest_email_token"]
    assert member["wechat_openid_token"] == order["guest_openid_token"]
    assert order["device_token"] == event["anonymous_token"]
    assert order["device_token"] in member["device_tokens"]
    assert len(member["device_tokens"]) == 2


def test_a_member_id_that_is_a_phone_or_email_is_replaced_everywhere(lake: Lake) -> None:
    lake.write_rows("pos/members/a.jsonl", [
        MEMBER | {"member_id": "13812345678"}, MEMBER | {"member_id": "Ann@b.cn"}, MEMBER | {"member_id": "10000000001"}
    ])  # fmt: skip
    lake.write_rows("mini/orders/a.jsonl", [ORDER | {"member_id": "+8613812345678"}])
    lake.load()
    phone, email, plain = (row["member_id"] for row in lake.raw("members"))
    assert lake.raw("orders")[0]["member_id"] == phone
    assert (len(phone), len(email), plain) == (32, 32, "10000000001")


def test_birthday_becomes_a_token_and_a_month(lake: Lake) -> None:
    lake.write_rows("pos/members/a.jsonl", [MEMBER | {"birthday": "1990-02-03"}, MEMBER | {"birthday": "1990-02-31"}])
    lake.load()
    (member,) = lake.raw("members")
    assert member["birth_month"] == "1990-02"
    assert "birthday" not in member
    assert lake.reasons()[0][:2] == (2, "birthday")


def test_only_promoted_attributes_stay(lake: Lake) -> None:
    attributes = {"child_birthday": "2020-01-01", "shoe size": 38, "secret": "x"}
    for channel in ("pos", "paris"):
        lake.write_rows(
            f"{channel}/members/a.jsonl", [MEMBER | {"attributes": attributes}, MEMBER | {"attributes": {}}]
        )
    lake.load()
    promoted = [row["attributes"] for row in lake.raw("members")]
    assert promoted == ['{"child_birthday":"2020-01-01","shoe size":38}', None, '{"child_birthday":"2020-01-01"}', None]


def test_dates_of_fx_rates_are_dates(lake: Lake) -> None:
    lake.write("_shared/fx_rates/a.csv", "date,currency,rate\n2024-05-01,USD,7.1234567891\n2024-05-02T00:00:00,USD,7\n"
               "2024-13-01,USD,7\n2024-05-03,USD,0\n")  # fmt: skip
    lake.load()
    assert [row["date"] for row in lake.raw("fx_rates")] == [date(2024, 5, 1), date(2024, 5, 2)]
    assert [row[:2] for row in lake.reasons()] == [(4, "date"), (5, "rate")]


def _order_json() -> str:
    return json.dumps(ORDER) + "\n"
