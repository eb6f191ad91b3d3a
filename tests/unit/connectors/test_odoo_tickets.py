"""Tickets of Odoo as orders and refunds: every cent of the ticket is somewhere, and nowhere twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors.amounts import money
from pipelines.connectors.odoo_tickets import Card, Names, Ticket, translate

NAMES = Names(
    skus={1: "MILK", 2: "CAP"}, stores={1: "7"}, tenders={1: "cash", 2: "wechat_pay"}, rates={5: Decimal(13)},
    cards={1: Card("CODE1", "coupons"), 2: Card("GIFT", "gift_card"), 3: Card("MEMBER", "loyalty")},
    origins={90: 9, 91: 9, 80: 8},
)  # fmt: skip
ORDER = {
    "id": 10, "state": "paid", "date_order": "2026-03-31 04:00:00", "write_date": "2026-03-31 04:00:01",
    "partner_id": [3, "王芳"], "user_id": [2, "Clerk"], "config_id": [1, "Till"], "currency_id": [6, "CNY"],
    "shipping_date": False, "email": "", "mobile": False,
}  # fmt: skip


def line(number: int, amount: str, quantity: str = "1", **more: Any) -> dict[str, Any]:
    net = (Decimal(amount) / Decimal("1.13")).quantize(Decimal("0.01"))
    return {
        "id": number, "order_id": [10, "T"], "product_id": [1, "Milk"], "qty": Decimal(quantity),
        "price_unit": Decimal(amount) / Decimal(quantity), "discount": 0, "price_subtotal": net,
        "price_subtotal_incl": Decimal(amount), "tax_ids_after_fiscal_position": [5], "refunded_orderline_id": False,
        "combo_line_ids": [], "write_date": "2026-03-31 04:00:00", "coupon_id": False, "points_cost": 0, **more,
    }  # fmt: skip


def ticket(*lines: dict[str, Any], paid: dict[int, str] | None = None, **order: Any) -> Ticket:
    payments = [{"payment_method_id": [kind, "…"], "amount": Decimal(amount)} for kind, amount in (paid or {}).items()]
    return Ticket({**ORDER, **order}, lines, payments)


def the_order(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    (order,) = translate(ticket(*lines, **more), NAMES)["orders"]
    return order


def goods(order: dict[str, Any]) -> Decimal:
    lines = sum((one["unit_price"] * one["quantity"] - one["discount_amount"] for one in order["lines"]), Decimal(0))
    return lines - order["discount_amount"]


def decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


cents = st.integers(min_value=-99999, max_value=99999).map(lambda value: Decimal(value) / 100)


@given(
    st.lists(
        st.tuples(cents, st.sampled_from(["1", "2", "3", "7", "0.35", "0.345", "-1", "-2", "-0.5"]),
                  st.sampled_from([False, [90, "…"], [91, "…"], [80, "…"]]), st.sampled_from([0, 1, 2, 3])),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_orders_less_refunds_are_what_the_ticket_says(made):
    lines = []
    for number, (amount, quantity, origin, card) in enumerate(made, start=1):
        negative = Decimal(quantity) < 0
        off = amount * Decimal(quantity) < 0
        lines.append(
            line(number, str(amount), quantity, refunded_orderline_id=origin if negative else False,
                 coupon_id=[card, "…"] if off and card else False)
        )  # fmt: skip
    total = sum((one["price_subtotal_incl"] for one in lines), Decimal(0))
    rows = translate(ticket(*lines, paid={1: str(total)}), NAMES)
    sold = sum((goods(order) for order in rows["orders"]), Decimal(0))
    back = sum((refund["amount"] for refund in rows["refunds"]), Decimal(0))
    charged = sum((order.get("shipping_amount", Decimal(0)) for order in rows["orders"]), Decimal(0))
    by_card = sum(
        (one["price_subtotal_incl"] for one in lines
         if one["qty"] * one["price_subtotal_incl"] < 0 and one["coupon_id"] == [2, "…"]),
        Decimal(0),
    )  # fmt: skip

    assert abs(sold + charged - back - (total - by_card)) < Decimal("0.005") * len(lines)
    for order in rows["orders"]:
        for one in order["lines"]:
            assert one["quantity"] > 0
            assert one["discount_amount"] >= 0
            assert max(decimals(one["unit_price"]), decimals(one["discount_amount"])) <= 4
    for refund in rows["refunds"]:
        assert refund["amount"] >= sum((one["amount"] for one in refund["lines"]), Decimal(0))


def test_a_price_without_tax_becomes_one_with_tax():
    order = the_order(
        line(1, "33.87", "3", price_unit=Decimal("9.99115"), price_subtotal=Decimal("29.97")), paid={1: "33.87"}
    )

    assert order["lines"][0]["unit_price"] >= Decimal("11.29")
    assert order["lines"][0]["tax_rate"] == Decimal("0.13")
    assert goods(order) == Decimal("33.87")


def test_a_discount_of_the_line_is_told_from_its_price():
    (row,) = the_order(line(1, "33.92", price_unit=Decimal("39.90"), discount=15), paid={1: "33.92"})["lines"]

    assert (row["unit_price"], row["discount_amount"]) == (Decimal("39.90"), Decimal("5.98"))


def test_a_line_that_is_given_away_keeps_its_price_and_is_a_gift():
    (row,) = the_order(line(1, "0", price_unit=Decimal("39.90"), discount=100), paid={})["lines"]

    assert (row["unit_price"], row["discount_amount"], row["is_gift"]) == (Decimal("39.90"), Decimal("39.90"), True)


def test_change_is_taken_off_what_was_paid_in_cash():
    paid = [
        {"payment_method_id": [1, "Cash"], "amount": Decimal(100)},
        {"payment_method_id": [1, "Cash"], "amount": Decimal(-60)},
    ]
    (order,) = translate(Ticket(ORDER, [line(1, "40")], paid), NAMES)["orders"]

    assert order["tenders"] == [{"type": "cash", "amount": Decimal(40)}]
    assert order["paid_amount"] == 40


def test_a_reward_of_points_is_a_discount_with_its_points_and_no_coupon_code():
    order = the_order(line(1, "100"), line(2, "-10", coupon_id=[3, "…"], points_cost=200), paid={1: "90"})

    assert (order["discount_amount"], order["points_used"]) == (10, 200)
    assert "coupon_codes" not in order


def test_goods_without_a_receipt_make_a_refund_that_quarantine_shows():
    rows = translate(ticket(line(1, "-40", "-1"), paid={1: "-40"}), NAMES)

    assert rows["orders"] == []
    assert "order_id" not in rows["refunds"][0]
    assert rows["refunds"][0]["amount"] == 40


def test_goods_of_two_orders_make_a_refund_each():
    rows = translate(
        ticket(
            line(1, "-40", "-1", refunded_orderline_id=[90, "…"]), line(2, "-5", "-1", refunded_orderline_id=[80, "…"]),
            paid={1: "-45"},
        ), NAMES,
    )  # fmt: skip

    assert [(row["refund_id"], row["order_id"], row["amount"]) for row in rows["refunds"]] == [
        ("10", "8", 5),
        ("10-9", "9", 40),
    ]


def test_a_discount_taken_back_with_the_goods_lowers_what_they_are_worth():
    back = [line(number, "-50", "-1", refunded_orderline_id=[origin, "…"]) for number, origin in ((1, 90), (2, 91))]
    (refund,) = translate(ticket(*back, line(3, "10.01", "-1"), paid={1: "-89.99"}), NAMES)["refunds"]

    assert refund["amount"] == Decimal("89.99")
    assert sorted(row["amount"] for row in refund["lines"]) == [Decimal("44.99"), Decimal("45.00")]


def test_the_head_of_a_combo_is_no_good_and_its_parts_are():
    order = the_order(line(1, "0", combo_line_ids=[2, 3]), line(2, "30"), line(3, "9"), paid={1: "39"})

    assert [row["line_id"] for row in order["lines"]] == ["2", "3"]


def test_an_anonymous_ticket_keeps_what_was_typed_for_the_receipt_and_a_members_does_not():
    typed = {"mobile": "13700000001", "email": "a@example.com"}
    guest = the_order(line(1, "9"), paid={1: "9"}, partner_id=False, **typed)
    member = the_order(line(1, "9"), paid={1: "9"}, **typed)

    assert (guest["guest_phone"], guest["guest_email"]) == ("13700000001", "a@example.com")
    assert "guest_phone" not in member
    assert member["member_id"] == "3"


def test_a_cancelled_ticket_was_never_paid():
    order = the_order(line(1, "9"), state="cancel")

    assert (order["status"], order["paid_amount"]) == ("cancelled", 0)
    assert "paid_at" not in order


def test_a_refund_that_was_given_up_on_is_none():
    back = line(1, "-40", "-1", refunded_orderline_id=[90, "…"])

    assert translate(ticket(back, state="cancel"), NAMES) == {"orders": [], "refunds": []}


@pytest.mark.parametrize("state", ["brand_new", None])
def test_a_state_that_nobody_knows_is_no_silent_success(state):
    with pytest.raises(KeyError):
        translate(ticket(line(1, "9"), state=state), NAMES)


def test_money_is_never_a_float():
    with pytest.raises(ValueError):
        money(0.1)
