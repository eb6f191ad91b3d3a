"""What Shopify's nodes become in the landing contract."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import shopify_rows as rows
from pipelines.connectors.rows import translated
from tests.support.landed_rows import assert_adds_up
from tests.support.shapes import shape


def order(name="order", **changes):
    return rows.order_rows(shape("shopify", name) | changes)["orders"][0]


@pytest.mark.parametrize(
    ("name", "total"),
    [("order", "245.00"), ("order_partly_refunded", "245.00"), ("order_tax_excluded", "40.80")],
)
def test_an_order_adds_up_to_the_cent(name, total):
    assert_adds_up(order(name), total)


def test_discounts_of_the_order_stay_with_the_lines_they_were_allocated_to():
    first, second = order()["lines"]

    assert (first["unit_price"], first["discount_amount"]) == (Decimal("60.00"), Decimal("23.33"))
    assert (second["sku"], second["discount_amount"]) == ("variant-8000000000002", Decimal("6.67"))
    assert order()["discount_amount"] == 0


def test_prices_without_tax_are_raised_by_the_tax_of_their_line():
    line = order("order_tax_excluded")["lines"][0]

    assert line["unit_price"] * 3 - line["discount_amount"] == Decimal("32.36")
    assert line["tax_rate"] == Decimal("0.08")
    assert line["sku"] == "CUP-7"


def test_only_money_that_came_in_is_a_tender_and_dates_the_payment():
    row = order()

    assert row["tenders"] == [
        {"type": "card", "amount": Decimal("195.00")},
        {"type": "gift_card", "amount": Decimal("50.00")},
    ]
    assert row["paid_at"] == "2026-03-01T02:00:07Z"


def test_what_an_edit_took_off_before_money_moved_was_never_sold_and_is_no_refund():
    made = rows.order_rows(shape("shopify", "order_edited"))
    first, second = made["orders"][0]["lines"]

    assert (first["quantity"], second["quantity"]) == (2, 1)
    assert first["unit_price"] * 2 - first["discount_amount"] == Decimal("104.45")
    assert [refund["refund_id"] for refund in made["refunds"]] == ["6000000000003"]
    assert_adds_up(made["orders"][0], "192.78")


def test_a_refund_of_less_than_the_goods_cost_gives_its_lines_no_more_than_itself():
    (refund,) = rows.order_rows(shape("shopify", "order_edited"))["refunds"]

    assert refund["amount"] == Decimal("70.00")
    assert [line["amount"] for line in refund["lines"]] == [Decimal("70.00")]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"displayFinancialStatus": "PENDING"}, "pending"),
        ({"displayFinancialStatus": "AUTHORIZED"}, "pending"),
        ({"displayFinancialStatus": "VOIDED"}, "cancelled"),
        ({"cancelledAt": "2026-03-02T00:00:00Z"}, "cancelled"),
        ({"displayFinancialStatus": "REFUNDED"}, "refunded"),
        ({"displayFulfillmentStatus": "UNFULFILLED"}, "paid"),
        ({}, "shipped"),
        ({"closedAt": "2026-03-04T00:00:00Z"}, "completed"),
    ],
)
def test_status(changes, status):
    assert order(**changes)["status"] == status


def test_a_guest_is_known_by_what_they_left_and_a_member_by_their_id():
    guest = order("order_tax_excluded")

    assert (guest["guest_email"], guest["guest_phone"]) == ("guest@example.com", "+12125550100")
    assert guest["is_test"] is True
    assert (guest["store_id"], guest["fulfilment"]) == ("4000000000001", "in_store")
    assert order()["member_id"] == "7000000000001"
    assert "guest_email" not in order()


def test_a_gift_card_is_filed_where_the_ledger_knows_it_as_no_sale():
    product = shape("shopify", "product") | {"isGiftCard": True, "category": None}

    assert rows.product_rows(product, "CNY")["products"][0]["category_path"] == "gift_card/"


def test_a_code_of_ours_is_upper_case_again_and_others_stay():
    assert rows.coupon_rows(shape("shopify", "discount"))["coupons"][0]["coupon_code"] == "ABCDEFGH234567"
    assert order(discountCodes=["Summer"])["coupon_codes"] == ["Summer"]


def test_a_node_that_makes_no_sense_is_kept_whole():
    broken = shape("shopify", "order") | {"lineItems": {"nodes": [{"id": None}]}}

    assert translated("orders", broken, rows.order_rows) == {"orders": [{"untranslated": broken}]}


CENTS = st.decimals(min_value=0, max_value=99_999, places=2)


@given(
    unit=CENTS, quantity=st.integers(1, 50), share=st.decimals(0, 1, places=3), rate=st.decimals(0, "0.3", places=3),
    shipping=CENTS, included=st.booleans(),
)  # fmt: skip
def test_any_line_adds_up_whatever_its_tax_and_discount(unit, quantity, share, rate, shipping, included):
    def bag(amount):
        return {"shopMoney": {"amount": str(amount), "currencyCode": "CNY"}}

    discount = (unit * quantity * share).quantize(Decimal("0.01"))
    net = unit * quantity - discount
    tax = (net * rate).quantize(Decimal("0.01"))
    total = net + shipping + (0 if included else tax)
    node = shape("shopify", "order")
    line = node["lineItems"]["nodes"][0] | {
        "quantity": quantity,
        "originalUnitPriceSet": bag(unit),
        "discountAllocations": [{"allocatedAmountSet": bag(discount)}],
        "taxLines": [{"rate": rate, "priceSet": bag(tax)}],
    }
    node |= {
        "lineItems": {"nodes": [line]},
        "taxesIncluded": included,
        "totalPriceSet": bag(total),
        "shippingLines": {"nodes": [{"discountedPriceSet": bag(shipping), "taxLines": []}]},
    }

    assert_adds_up(rows.order_rows(node)["orders"][0], str(total))
