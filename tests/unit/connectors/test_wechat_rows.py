"""What the records of a WeChat shop become in the landing contract."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import wechat_rows as rows
from tests.support.landed_rows import assert_adds_up
from tests.support.shapes import shape

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)


def order(name="order", **changes):
    return rows.order_rows(shape("wechat", name) | changes)["orders"][0]


@pytest.mark.parametrize("name", ["order", "order_partly_refunded", "order_unpaid_cancelled"])
def test_an_order_adds_up_to_the_cent(name):
    assert_adds_up(order(name), "216.00")


def test_money_is_fen_and_what_the_platform_gives_is_a_discount_of_the_order():
    row = order()

    assert row["paid_amount"] == Decimal("216.00")
    assert (row["discount_amount"], row["shipping_amount"]) == (Decimal("5.00"), Decimal("8.00"))
    assert row["lines"][0]["unit_list_price"] == Decimal("68.00")


def test_an_article_that_is_bought_and_given_along_is_two_lines():
    assert [line["line_id"] for line in order()["lines"]] == ["234245-23424", "234246-23425", "234245-23424-2"]
    assert [line.get("is_gift") for line in order()["lines"]] == [None, None, True]


@pytest.mark.parametrize(
    ("number", "status"),
    [(10, "pending"), (20, "paid"), (21, "paid"), (30, "shipped"), (100, "completed"), (200, "refunded"),
     (250, "cancelled"), (77, "wechat 77")],
)  # fmt: skip
def test_status(number, status):
    pay = {} if status in ("pending", "cancelled") else shape("wechat", "order")["order_detail"]["pay_info"]
    detail = shape("wechat", "order")["order_detail"] | {"pay_info": pay}

    assert order(status=number, order_detail=detail)["status"] == status


def test_pieces_given_back_make_the_order_partly_refunded():
    assert order("order_partly_refunded")["status"] == "partially_refunded"


def test_an_unpaid_order_paid_nothing():
    row = order("order_unpaid_cancelled")

    assert (row["paid_amount"], row["status"]) == (Decimal(0), "cancelled")
    assert row["cancelled_at"] == "2026-03-01T02:05:00Z"
    assert row["shipping_amount"] == Decimal("3.00")


def test_an_order_tells_the_unionid_of_its_owner_in_a_version_older_than_the_members_list():
    (owner,) = rows.order_rows(shape("wechat", "order"))["members"]
    (member,) = rows.member_rows(shape("wechat", "member"), NOW)["members"]

    assert owner == {
        "member_id": "oShop1",
        "updated_at": "2026-02-28T23:59:59Z",
        "wechat_openid": "oShop1",
        "wechat_unionid": "uUnion1",
    }
    assert member["updated_at"] == "2026-03-01T00:00:00Z" > owner["updated_at"]
    assert member["phone"] == "13912345678"


def test_an_after_sale_order_counts_once_its_money_went_back():
    (refund,) = rows.refund_rows(shape("wechat", "after_sale"))["refunds"]

    assert refund["amount"] == Decimal("55.00")
    assert refund["lines"] == [{"line_id": "234245-23424", "quantity": 1, "amount": Decimal("55.00")}]
    assert rows.refund_rows(shape("wechat", "after_sale_open")) == {}


def test_products_are_named_by_the_retailers_codes():
    made = rows.product_rows(shape("wechat", "product"), "online")

    assert [product["sku"] for product in made["products"]] == ["TEA-01", "OUT-9"]
    assert [count["on_hand"] for count in made["inventory"]] == [Decimal(42), Decimal(0)]


def test_half_a_fen_is_no_money():
    with pytest.raises(ValueError, match="fen"):
        rows.fen(Decimal("0.5"))


FEN = st.integers(0, 999_999)


@given(price=FEN, quantity=st.integers(1, 30), real=FEN, freight=FEN, total=FEN)
def test_any_order_adds_up_whoever_bears_the_discount(price, quantity, real, freight, total):
    node = shape("wechat", "order")
    detail = node["order_detail"]
    detail["product_infos"] = [
        detail["product_infos"][0] | {"sale_price": price, "sku_cnt": quantity, "real_price": real}
    ]
    detail["price_info"] |= {"order_price": total, "freight": freight}

    assert_adds_up(rows.order_rows(node)["orders"][0], str(Decimal(total) / 100))
