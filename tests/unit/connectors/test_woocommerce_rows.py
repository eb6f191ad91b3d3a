"""What WooCommerce's records become in the landing contract."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import woocommerce_rows as rows
from tests.support.landed_rows import assert_adds_up
from tests.support.shapes import shape


def order(name="order", refunds=(), statuses=None, **changes):
    return rows.order_rows(shape("woocommerce", name) | changes, list(refunds), statuses or {})["orders"][0]


@pytest.mark.parametrize(("name", "total"), [("order", "205.66"), ("order_refunded", "200.01")])
def test_an_order_adds_up_to_the_cent(name, total):
    assert_adds_up(order(name), total)


def test_prices_include_the_tax_that_stands_beside_them():
    first, second = order()["lines"]

    assert (first["unit_price"], first["discount_amount"]) == (Decimal("56.50"), Decimal("10.17"))
    assert first["tax_rate"] == Decimal("0.13")
    assert second["sku"] == "product-94"


def test_fees_go_with_shipping_and_what_they_take_off_is_a_discount():
    row = order("order_refunded")

    assert row["shipping_amount"] - row["discount_amount"] == Decimal("3.39")


def test_a_refund_names_the_lines_of_the_order_and_their_money_with_tax():
    made = rows.order_rows(shape("woocommerce", "order_refunded"), shape("woocommerce", "refunds"), {})
    (refund,) = made["refunds"]

    assert refund["amount"] == Decimal("53.11")
    assert refund["lines"] == [{"line_id": "315", "quantity": Decimal(1), "amount": Decimal("53.11")}]
    assert refund["refunded_at"] == "2026-03-05T09:00:00Z"
    assert made["orders"][0]["status"] == "partially_refunded"


@pytest.mark.parametrize(
    ("word", "status", "paid"),
    [("processing", "paid", "205.66"), ("on-hold", "pending", "0"), ("failed", "cancelled", "0"),
     ("refunded", "refunded", "205.66")],
)  # fmt: skip
def test_status_and_what_was_paid(word, status, paid):
    row = order(status=word, date_paid_gmt=None)

    assert (row["status"], row["paid_amount"]) == (status, Decimal(paid))


def test_a_word_of_the_shops_own_is_explained_by_a_setting_or_stays_to_be_seen():
    assert order(status="wc-packed")["status"] == "wc-packed"
    assert order(status="wc-packed", statuses={"wc-packed": "shipped"})["status"] == "shipped"


def test_a_cart_is_no_order():
    assert rows.order_rows(shape("woocommerce", "order") | {"status": "checkout-draft"}, [], {}) == {}


def test_a_paid_order_that_is_cancelled_keeps_its_payment():
    row = order(status="cancelled")

    assert (row["paid_at"], row["paid_amount"]) == ("2026-03-01T02:01:00Z", Decimal("205.66"))
    assert row["cancelled_at"] == "2026-03-01T03:00:00Z"


def test_a_guest_is_known_by_what_they_left_and_a_member_by_their_id():
    assert order("order_guest_failed")["guest_email"] == "mei@example.com"
    assert order()["member_id"] == "25"
    assert "guest_phone" not in order()


def test_codes_of_ours_get_their_case_back():
    assert order()["coupon_codes"] == ["ABCDEFGH234567"]


def test_a_field_nobody_knows_goes_along_under_a_name_of_its_own():
    assert order(email="x@example.com", loyalty_tier="gold")["platform_loyalty_tier"] == "gold"
    assert "email" not in order(email="x@example.com")


def test_stock_that_a_variation_shares_with_its_product_is_not_counted_twice():
    variations = [one | {"manage_stock": "parent"} for one in shape("woocommerce", "variations")]
    made = rows.product_rows(shape("woocommerce", "product"), variations, "web", "CNY")

    assert made["inventory"] == []
    assert made["prices"][0]["price"] == Decimal("50.00")
    assert made["products"][0]["list_price"] == Decimal("56.00")


def test_consent_is_said_where_the_shop_says_where_it_keeps_it():
    customer = shape("woocommerce", "customer")
    agreed = customer | {"meta_data": [{"id": 1, "key": "newsletter", "value": "yes"}]}

    assert "consent_marketing" not in rows.member_rows(agreed)["members"][0]
    assert rows.member_rows(agreed, "newsletter")["members"][0]["consent_marketing"] is True
    assert rows.member_rows(customer, "newsletter")["members"][0]["consent_marketing"] is False


NET = st.decimals(min_value=0, max_value=9_999, places=4)


@given(net=NET, share=st.decimals(0, 1, places=3), rate=st.decimals(0, "0.3", places=3), quantity=st.integers(1, 40),
       off=st.integers(-3, 3))  # fmt: skip
def test_any_order_adds_up_though_the_shop_rounds_elsewhere(net, share, rate, quantity, off):
    paid_net = (net * (1 - share)).quantize(Decimal("0.0001"))
    tax, paid_tax = ((amount * rate).quantize(Decimal("0.0001")) for amount in (net, paid_net))
    shape_of_order = shape("woocommerce", "order")
    line = shape_of_order["line_items"][0] | {
        "quantity": quantity, "subtotal": str(net), "subtotal_tax": str(tax), "total": str(paid_net),
        "total_tax": str(paid_tax),
    }  # fmt: skip
    total = max((paid_net + paid_tax + Decimal("9.04")).quantize(Decimal("0.01")) + Decimal(off) / 100, Decimal(0))

    assert_adds_up(order(line_items=[line], total=str(total)), str(total))
