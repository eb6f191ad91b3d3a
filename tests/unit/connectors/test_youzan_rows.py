"""What Youzan's records become in the landing contract."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import youzan_rows as rows
from tests.support.landed_rows import assert_adds_up
from tests.support.shapes import shape

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)


def order(name="order", **info):
    entry = shape("youzan", name)
    entry["full_order_info"]["order_info"] |= info
    return rows.order_rows(entry)["orders"][0]


@pytest.mark.parametrize("name", ["order", "order_partly_refunded", "order_guest_closed"])
def test_an_order_adds_up_to_the_cent(name):
    assert_adds_up(order(name), "198.50")


def test_the_discount_of_the_order_is_what_its_lines_and_the_postage_leave_over():
    row = order()

    assert row["discount_amount"] == Decimal("24.50")
    assert row["shipping_amount"] == Decimal("8.00")
    assert [line["discount_amount"] for line in row["lines"]] == [Decimal(15), Decimal(0), Decimal(10)]


def test_stored_value_is_fen_where_everything_else_is_yuan():
    assert order()["tenders"] == [
        {"type": "gift_card", "amount": Decimal("50.00")},
        {"type": "wechat_pay", "amount": Decimal("148.50")},
    ]


def test_times_are_of_china():
    assert order()["placed_at"] == "2026-03-01T10:00:00+08:00"
    assert order(update_time="2026-13-01 00:00:00")["updated_at"] == "2026-13-01 00:00:00"


def test_the_retailers_code_is_the_sku_and_else_youzans_ids():
    assert [line["sku"] for line in order()["lines"]] == ["TEA-01", "102", "103"]
    assert order()["lines"][2]["is_gift"] is True


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "WAIT_BUYER_PAY", "pay_time": ""}, "pending"),
        ({"status": "WAIT_CONFIRM"}, "paid"),
        ({"status": "WAIT_BUYER_CONFIRM_GOODS"}, "shipped"),
        ({"status": "TRADE_SUCCESS"}, "completed"),
        ({"status": "TRADE_SUCCESS", "refund_state": 2}, "partially_refunded"),
        ({"status": "TRADE_SUCCESS", "refund_state": 1}, "completed"),
        ({"status": "TRADE_CLOSED", "refund_state": 12}, "refunded"),
        ({"status": "TRADE_CLOSED", "refund_state": 0}, "cancelled"),
        ({"status": "TRADE_CLOSED", "pay_time": ""}, "cancelled"),
        ({"status": "TRADE_NEW_WORD"}, "TRADE_NEW_WORD"),
    ],
)
def test_status(changes, status):
    assert order(**changes)["status"] == status


def test_a_guests_encrypted_phone_stays_as_it_came():
    row = order("order_guest_closed")

    assert row["guest_phone"] == "$dXNlcg==$1$"
    assert (row["paid_amount"], row["status"]) == (Decimal(0), "cancelled")
    assert "member_id" not in row


def test_a_refund_names_its_line_and_one_that_did_not_go_through_is_none():
    found, detail = shape("youzan", "refund"), shape("youzan", "refund_detail")

    assert rows.refund_rows(found, detail)["refunds"][0] | {"amount": 0} == {
        "refund_id": "202603050000000001",
        "order_id": "E20260301100000000000002",
        "updated_at": "2026-03-05T12:00:00+08:00",
        "refunded_at": "2026-03-05T12:00:00+08:00",
        "amount": 0,
        "currency": "CNY",
        "lines": [{"line_id": "9000001", "amount": Decimal("55.00")}],
    }
    assert rows.refund_rows(found | {"status": "CLOSED"}, detail) == {}
    assert rows.refund_rows(found | {"refund_fee": "0.00"}, detail) == {}


def test_a_listed_customer_is_a_version_of_the_month_in_which_they_were_read():
    (listed,) = rows.member_rows(shape("youzan", "customer"), NOW)["members"]
    (detailed,) = rows.member_rows(shape("youzan", "customer_detail"), NOW)["members"]

    assert listed["updated_at"] == "2026-03-01T00:00:00Z"
    assert detailed["updated_at"] == "2026-03-01T02:00:00Z"
    assert listed["registered_at"] == detailed["registered_at"] == "2025-03-01T00:00:00Z"


def test_unknown_fields_go_along_under_names_of_their_own():
    entry = shape("youzan", "order")
    entry["full_order_info"]["order_info"]["member_id"] = "spoof"
    row = rows.order_rows(entry)["orders"][0]

    assert row["platform_order_info_member_id"] == "spoof"
    assert row["member_id"] == "yzQ1"


def test_stock_of_a_shop_on_the_street_is_read_from_its_text():
    item = shape("youzan", "item_detail")
    item["sku_list"][0] |= {"stock_num": 42000, "stock_num_str": "42"}

    assert rows.item_rows(item, "42", "2026-03-01T00:00:00Z")["inventory"][0]["on_hand"] == Decimal(42)


YUAN = st.decimals(min_value=0, max_value=9_999, places=2)


@given(price=YUAN, quantity=st.integers(1, 30), item_off=YUAN, order_off=YUAN, adjusted=YUAN, postage=YUAN)
def test_any_order_adds_up_whatever_promotions_and_changes_of_price(
    price, quantity, item_off, order_off, adjusted, postage
):
    entry = shape("youzan", "order")
    whole = entry["full_order_info"]
    line_total = max(price * quantity - item_off, Decimal(0))
    payment = max(line_total - order_off, Decimal(0)) + adjusted + postage
    whole["orders"] = [whole["orders"][0] | {"num": quantity, "price": str(price), "total_fee": str(line_total)}]
    whole["pay_info"] |= {"payment": str(payment), "post_fee": str(postage), "deduction_pay": 0}

    assert_adds_up(rows.order_rows(entry)["orders"][0], str(payment))
