"""Orders of a Vendure server as rows of the contract: money that adds up, whatever became of the order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors.vendure_api import is_id, major, minor
from pipelines.connectors.vendure_rows import coupon_row, member_row, order_rows, variant_rows
from tests.support.mall_server import order

AT = "2026-03-31T04:00:00.000Z"
LATER = "2026-04-02T04:00:00.000Z"


def changed(**fields: Any) -> dict[str, Any]:
    return {**order("1", AT), **fields}


def line(**fields: Any) -> dict[str, Any]:
    return {**order("1", AT)["lines"][0], **fields}


def paid_with(amount: int, *refunds: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**order("1", AT)["payments"][0], "amount": amount, "refunds": list(refunds)}]


def refund(total: int, *lines: tuple[str, int], items: int = 0, state: str = "Settled") -> dict[str, Any]:
    named = [{"orderLineId": name, "quantity": count} for name, count in lines]
    return {"id": "9", "createdAt": AT, "updatedAt": LATER, "state": state, "total": total, "items": items,
            "reason": "damaged", "lines": named}  # fmt: skip


def row(node: dict[str, Any]) -> dict[str, Any]:
    (found,) = order_rows(node, 2)["orders"]
    return found


def adds_up(found: dict[str, Any]) -> bool:
    goods = sum(Decimal(one["unit_price"]) * one["quantity"] - Decimal(one["discount_amount"])
                for one in found["lines"])  # fmt: skip
    whole = goods - Decimal(found["discount_amount"]) + Decimal(found["shipping_amount"])
    return whole == Decimal(found["paid_amount"])


def test_a_line_discount_stays_on_the_line_and_an_order_discount_on_the_order() -> None:
    lines = [line(discountedLinePriceWithTax=2260, proratedLinePriceWithTax=2000)]
    found = row(changed(lines=lines, payments=paid_with(2300), shippingWithTax=300))

    assert (found["lines"][0]["discount_amount"], found["discount_amount"]) == ("2.00", "2.60")
    assert adds_up(found)


def test_an_order_cancelled_whole_keeps_quantities_and_adds_up_to_what_was_paid() -> None:
    gone = line(quantity=0, discountedLinePriceWithTax=0, proratedLinePriceWithTax=0)
    found = row(changed(state="Cancelled", lines=[gone], payments=paid_with(2000), totalWithTax=0, total=0))

    assert found["status"] == "cancelled"
    assert found["cancelled_at"] == AT
    assert found["lines"][0]["quantity"] == 2
    assert found["discount_amount"] == "4.60"
    assert adds_up(found)


def test_a_line_cancelled_in_part_keeps_its_share_of_the_discount() -> None:
    left = line(quantity=1, discountedLinePriceWithTax=1130, proratedLinePriceWithTax=1000)
    found = row(changed(lines=[left], payments=paid_with(2000)))

    assert (found["lines"][0]["quantity"], found["lines"][0]["discount_amount"]) == (2, "2.00")
    assert found["discount_amount"] == "2.60"
    assert adds_up(found)


def test_surcharges_are_shipping_and_rebates_are_discount() -> None:
    surcharges = [{"priceWithTax": 500}, {"priceWithTax": -160}]
    found = row(changed(surcharges=surcharges, payments=paid_with(2800)))

    assert (found["shipping_amount"], found["discount_amount"]) == ("5.00", "1.60")
    assert adds_up(found)


@pytest.mark.parametrize(
    ("refunds", "status"),
    [
        ([refund(2460)], "refunded"),
        ([refund(1)], "partially_refunded"),
        ([refund(2460, state="Pending")], "paid"),
        ([refund(2460, state="Failed")], "paid"),
        ([], "paid"),
    ],
)
def test_the_status_follows_the_money_that_went_back(refunds: list[dict[str, Any]], status: str) -> None:
    rows = order_rows(changed(payments=paid_with(2460, *refunds)), 2)

    assert rows["orders"][0]["status"] == status
    assert [one["amount"] for one in rows["refunds"]] == [
        major(one["total"], 2) for one in refunds if one["state"] == "Settled"
    ]


def test_a_refund_moves_the_order_whose_own_time_stood_still() -> None:
    assert row(changed(payments=paid_with(2460, refund(100))))["updated_at"] == LATER


@given(st.integers(1, 5000), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_lines_of_a_refund_never_say_more_than_the_refund(total: int, counts: list[int]) -> None:
    lines = [line(id=str(place), quantity=9, orderPlacedQuantity=9) for place in range(len(counts))]
    back = refund(total, *((str(place), count) for place, count in enumerate(counts)))
    (found,) = order_rows(changed(lines=lines, payments=paid_with(99999, back)), 2)["refunds"]
    amounts = [minor(Decimal(one["amount"]), 2) for one in found["lines"]]

    assert sum(amounts) == min(total, sum(counts) * 1230)
    assert all(0 <= amount <= count * 1230 for amount, count in zip(amounts, counts, strict=True))


def test_carts_and_parts_of_other_orders_are_no_orders() -> None:
    assert order_rows(changed(orderPlacedAt=None), 2) == {}
    assert order_rows(changed(type="Seller"), 2) == {}


def test_a_guest_is_no_member_and_stands_on_the_order() -> None:
    guest = {**order("1", AT)["customer"], "user": None}
    found = row(changed(customer=guest))

    assert (found["member_id"], found["guest_phone"], found["guest_email"]) == (None, "13912345678", "a@example.com")
    assert member_row(guest | {"createdAt": AT, "updatedAt": AT}) is None
    assert row(changed(customer=None))["guest_phone"] is None


def test_a_code_that_gave_no_discount_was_not_redeemed() -> None:
    condition = {"code": "minimum_order_amount", "args": [{"name": "amount", "value": "19900"}]}
    action = {"code": "order_fixed_discount", "args": [{"name": "discount", "value": "3000"}]}
    promotion = {"couponCode": "X1", "usageLimit": 1, "createdAt": AT, "updatedAt": AT, "endsAt": LATER,
                 "conditions": [condition], "actions": [action]}  # fmt: skip
    rows = order_rows(changed(couponCodes=["X1", "TYPED"], promotions=[promotion]), 2)

    assert rows["orders"][0]["coupon_codes"] == ["X1"]
    (coupon,) = rows["coupons"]
    assert (coupon["coupon_code"], coupon["redeemed_order_id"]) == ("X1", "1")
    assert (coupon["value"], coupon["threshold"]) == ("30.00", "199.00")
    public = order_rows(changed(promotions=[{**promotion, "usageLimit": None}]), 2)
    assert public["coupons"] == []
    assert public["orders"][0]["coupon_codes"] == ["X1"]


@pytest.mark.parametrize(
    ("code", "name", "text", "kind", "value"),
    [
        ("order_percentage_discount", "discount", "12.5", "percent_off", "12.5"),
        ("order_fixed_discount", "discount", "no number", "amount_off", None),
        ("free_shipping", "x", "1", None, None),
    ],
)
def test_a_promotion_is_a_coupon_of_the_kinds_the_contract_knows(
    code: str, name: str, text: str, kind: str | None, value: str | None
) -> None:
    node = {"couponCode": "X", "createdAt": AT, "updatedAt": AT, "endsAt": None, "conditions": [],
            "actions": [{"code": code, "args": [{"name": name, "value": text}]}]}  # fmt: skip
    found = coupon_row(node, "CNY", 2)

    assert (found.get("kind"), found.get("value")) == (kind, value)


def test_a_state_of_the_retailers_own_shows_as_drift_and_follows_the_money() -> None:
    found = row(changed(state="AwaitingPickup"))

    assert (found["status"], found["vendure_state"]) == ("paid", "AwaitingPickup")
    assert row(changed(state="AwaitingPickup", payments=[]))["status"] == "pending"
    assert "vendure_state" not in row(changed(state="Modifying"))


def test_the_deepest_collection_is_the_category_and_facets_stand_in() -> None:
    def path(collections: list[Any], facets: list[Any]) -> str | None:
        product = {"id": "1", "enabled": True, "updatedAt": AT, "collections": collections, "facetValues": facets}
        variant = {"sku": "007", "name": "x", "enabled": True, "updatedAt": AT, "priceWithTax": 100,
                   "currencyCode": "CNY", "taxRateApplied": {"value": Decimal("9.5")}, "stockLevels": [],
                   "product": product}  # fmt: skip
        (found,) = variant_rows(variant, {}, "mall", 2)["products"]
        assert found["tax_rate"] == "0.095"
        return found["category_path"]

    def collection(*names: str) -> dict[str, Any]:
        return {"breadcrumbs": [{"name": name} for name in ("root", *names)]}

    facet = {"code": "nappies", "name": "Nappies", "facet": {"code": "category"}}
    assert path([collection("baby"), collection("baby", "nap/pies")], [facet]) == "baby/nap-pies"
    assert path([], [facet]) == "nappies"
    assert path([], []) is None


@given(st.integers(0, 10**12), st.integers(0, 4))
def test_minor_and_major_are_each_others_way_back(amount: int, digits: int) -> None:
    assert minor(Decimal(major(amount, digits)), digits) == amount


def test_what_cannot_be_an_id_is_asked_of_nobody() -> None:
    assert is_id("17")
    assert is_id("6f9619ff-8b86-d011-b42d-00cf4fc964ff")
    assert not any(map(is_id, ["", "t_9f=", "13912345678", "1 or 1", "x" * 65, "٣"]))
