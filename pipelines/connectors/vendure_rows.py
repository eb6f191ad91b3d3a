"""Vendure's records as rows of the landing contract.

Belongs here: which field becomes which column, states, and money. Does not belong here: asking the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from pipelines.connectors.vendure_api import Node, major

Row = dict[str, Any]

_STATES = {
    "PaymentAuthorized": "pending",
    "PaymentSettled": "paid",
    "PartiallyShipped": "paid",
    "Shipped": "shipped",
    "PartiallyDelivered": "shipped",
    "Delivered": "completed",
    "Cancelled": "cancelled",
}
_KINDS = {
    "order_fixed_discount": ("amount_off", "discount", True),
    "order_percentage_discount": ("percent_off", "discount", False),
}
"""Action code to coupon kind, the argument that holds its value, and whether that is money."""


def member_row(customer: Node, consent_field: str | None = None) -> Row | None:
    """A registered customer; None for a guest, who has no user and whose identifiers stand on the order.

    consent_field: the boolean custom field that says whether they may be sent advertisements, if there is one.
    """
    if customer["user"] is None:
        return None
    address = _home(customer.get("addresses") or [])
    return {
        "member_id": customer["id"],
        "updated_at": customer["updatedAt"],
        "registered_at": customer["createdAt"],
        "phone": customer["phoneNumber"] or None,
        "email": customer["emailAddress"] or None,
        "name": _name(customer["firstName"], customer["lastName"]),
        "province": address.get("province") or None,
        "city": address.get("city") or None,
        "consent_marketing": customer["customFields"][consent_field] if consent_field else None,
    }


def _name(first: str, last: str) -> str | None:
    """As it is spoken: family name first, without a space, where it is written in ideographs."""
    is_ideographic = any("\u4e00" <= character <= "\u9fff" for character in first + last)
    return (f"{last}{first}" if is_ideographic else f"{first} {last}").strip() or None


def _home(addresses: Sequence[Node]) -> Node:
    defaults = [address for address in addresses if address["defaultShippingAddress"]]
    return (defaults or [*addresses, {}])[0]


def order_rows(order: Node, digits: int) -> dict[str, list[Row]]:
    """An order with the refunds it had and the one-time coupons it redeemed; nothing for a part of another order."""
    if order["type"] == "Seller" or order["orderPlacedAt"] is None:
        return {}
    refunds = [_refund_row(order, refund, digits) for refund in _refunds(order) if refund["state"] == "Settled"]
    row = _order_row(order, digits)
    redeemed = [promotion for promotion in order["promotions"] if promotion["couponCode"]]
    coupons = [
        {**coupon_row(promotion, order["currencyCode"], digits), "redeemed_at": order["orderPlacedAt"],
         "redeemed_order_id": order["id"], "updated_at": max(row["updated_at"], promotion["updatedAt"])}
        for promotion in redeemed if promotion["usageLimit"] == 1
    ]  # fmt: skip
    return {"orders": [row], "refunds": refunds, "coupons": coupons}


def touched_at(order: Node) -> str:
    """When anything about the order last happened. Its own updatedAt stands still while it is paid, shipped, delivered
    and refunded."""
    moments = [order["updatedAt"], order["orderPlacedAt"], *(event["createdAt"] for event in order["history"]["items"])]
    for payment in order.get("payments") or []:
        moments += [payment["updatedAt"], *(refund["updatedAt"] for refund in payment["refunds"])]
    return str(max(moment for moment in moments if moment))


def _refunds(order: Node) -> list[Node]:
    return [refund for payment in order["payments"] or [] for refund in payment["refunds"]]


def _order_row(order: Node, digits: int) -> Row:
    settled = [payment for payment in order["payments"] or [] if payment["state"] == "Settled"]
    paid = sum(payment["amount"] for payment in settled)
    lines = [_Line(line) for line in order["lines"]]
    lines = [line for line in lines if line.quantity]
    surcharges = [surcharge["priceWithTax"] for surcharge in order["surcharges"]]
    shipping = order["shippingWithTax"] + sum(price for price in surcharges if price > 0)
    discount = sum(line.discounted - line.prorated for line in lines) - sum(price for price in surcharges if price < 0)
    if any(line.is_emptied for line in lines) and settled:
        # The server has forgotten the discounts of what was cancelled whole; what was paid remembers them.
        discount = max(sum(line.discounted for line in lines) + shipping - paid, 0)
    status, is_known = _status(order, paid)
    customer = order["customer"] or {}
    is_member = bool(customer.get("user"))
    row = {
        "order_id": order["id"],
        "updated_at": touched_at(order),
        "placed_at": order["orderPlacedAt"],
        "status": status,
        "paid_at": _reached(order, "PaymentSettled"),
        "completed_at": _reached(order, "Delivered"),
        "cancelled_at": _reached(order, "Cancelled") or (order["updatedAt"] if status == "cancelled" else None),
        "member_id": customer["id"] if is_member else None,
        "guest_phone": None if is_member else customer.get("phoneNumber") or None,
        "guest_email": None if is_member else customer.get("emailAddress") or None,
        "fulfilment": "delivery" if order["shippingLines"] else None,
        # Codes that gave their discount. A code that was typed in by somebody who may not use it stands in couponCodes.
        "coupon_codes": [promotion["couponCode"] for promotion in order["promotions"] if promotion["couponCode"]],
        "currency": order["currencyCode"],
        "items_amount": major(sum(line.listed for line in lines), digits),
        "discount_amount": major(discount, digits),
        "shipping_amount": major(shipping, digits),
        "tax_amount": major(order["totalWithTax"] - order["total"], digits),
        "paid_amount": major(paid, digits),
        "tenders": [
            {"type": payment["method"], "amount": major(payment["amount"], digits)} for payment in settled
        ],
        "lines": [line.row(digits) for line in lines],
    }  # fmt: skip
    if not is_known:
        row["vendure_state"] = order["state"]  # a state of the retailer's own process: shown as drift
    return row


class _Line:
    """An order line as it was placed: cancelling takes its quantity away, and its discount with it."""

    def __init__(self, line: Node) -> None:
        self._line = line
        now = line["quantity"]
        # A line added to a placed order has an orderPlacedQuantity of 0.
        self.quantity: int = max(line["orderPlacedQuantity"], now)
        self.is_emptied = now == 0 < self.quantity
        self.listed: int = line["unitPriceWithTax"] * self.quantity
        self.discounted = self._as_placed(line["discountedLinePriceWithTax"])
        self.prorated = self._as_placed(line["proratedLinePriceWithTax"])

    def _as_placed(self, amount: int) -> int:
        now = self._line["quantity"]
        if now == self.quantity:
            return amount
        if now == 0:
            return self.listed
        return int((Decimal(amount) * self.quantity / now).quantize(Decimal(1), ROUND_HALF_EVEN))

    def row(self, digits: int) -> Row:
        return {
            "line_id": self._line["id"],
            "sku": self._line["productVariant"]["sku"],
            "quantity": self.quantity,
            "unit_price": major(self._line["unitPriceWithTax"], digits),
            "discount_amount": major(self.listed - self.discounted, digits),
            "tax_rate": _rate(self._line["taxRate"]),
        }


def _status(order: Node, paid: int) -> tuple[str, bool]:
    """The contract's status, and whether the server's state is one of its own."""
    state = order["state"]
    refunded = sum(refund["total"] for refund in _refunds(order) if refund["state"] == "Settled")
    status = _STATES.get(state) or ("paid" if paid and paid >= order["totalWithTax"] else "pending")
    is_known = state in _STATES or state in ("Modifying", "ArrangingAdditionalPayment")
    if status == "cancelled" or not refunded:
        return status, is_known
    return ("refunded" if refunded >= paid else "partially_refunded"), is_known


def _reached(order: Node, state: str) -> str | None:
    return min(_events(order, "ORDER_STATE_TRANSITION", to=state), default=None)


def _events(order: Node, kind: str, **data: str) -> list[str]:
    """When such events of the order's history happened."""
    return [
        event["createdAt"]
        for event in order["history"]["items"]
        if event["type"] == kind and all(str(event["data"].get(name)) == value for name, value in data.items())
    ]


def _refund_row(order: Node, refund: Node, digits: int) -> Row:
    prices = {line["id"]: line for line in order["lines"]}
    lines = [line for line in refund["lines"] if line["quantity"] > 0 and line["orderLineId"] in prices]
    amounts = _shares(
        # A refund beyond the goods it names repays shipping and the like, which no line takes.
        min(refund["total"], refund["items"] or refund["total"]),
        [prices[line["orderLineId"]]["proratedUnitPriceWithTax"] * line["quantity"] for line in lines],
    )
    settled_at = _events(order, "ORDER_REFUND_TRANSITION", to="Settled", refundId=refund["id"])
    return {
        "refund_id": refund["id"],
        "order_id": order["id"],
        "updated_at": refund["updatedAt"],
        "refunded_at": min(settled_at, default=refund["createdAt"]),
        "amount": major(refund["total"], digits),
        "currency": order["currencyCode"],
        "reason": refund["reason"] or None,
        "lines": [
            {"line_id": line["orderLineId"], "quantity": line["quantity"], "amount": major(amount, digits)}
            for line, amount in zip(lines, amounts, strict=True)
        ],
    }


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight, largest remainder first, but to no part more than its weight."""
    whole = sum(weights)
    if whole <= total:
        return list(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(total * weights[place] % whole))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


def coupon_row(promotion: Node, currency: str, digits: int) -> Row:
    """A promotion that asks for a code. Kinds the contract doesn't know have neither kind nor value."""
    row = {
        "coupon_code": promotion["couponCode"],
        "updated_at": promotion["updatedAt"],
        "issued_at": promotion["createdAt"],
        "expires_at": promotion["endsAt"],
        "currency": currency,
    }
    actions = promotion["actions"]
    if len(actions) == 1 and (known := _KINDS.get(actions[0]["code"])):
        kind, argument, is_money = known
        row |= {"kind": kind, "value": _argument(actions[0], argument, digits if is_money else 0)}
    for condition in promotion["conditions"]:
        if condition["code"] == "minimum_order_amount":
            row["threshold"] = _argument(condition, "amount", digits)
    return row


def _argument(operation: Node, name: str, digits: int) -> str | None:
    for argument in operation["args"]:
        if argument["name"] == name:
            is_number = re.fullmatch(r"\d+(\.\d+)?", argument["value"])
            return major(Decimal(argument["value"]), digits) if is_number else None
    return None


def variant_rows(variant: Node, store_ids: Mapping[str, str], channel: str, digits: int) -> dict[str, list[Row]]:
    """A product variant with its prices, its stock at each location, and those locations."""
    product = variant["product"]
    updated_at = max(variant["updatedAt"], product["updatedAt"])
    is_enabled = variant["enabled"] and product["enabled"]
    return {
        "products": [
            {
                "sku": variant["sku"],
                "updated_at": updated_at,
                "spu": product["id"],
                "name": variant["name"],
                "category_path": _category(product),
                "brand": _facet(product, "brand", "name"),
                "stage": _facet(product, "stage", "name"),
                "list_price": major(variant["priceWithTax"], digits),
                "currency": variant["currencyCode"],
                "tax_rate": _rate(variant["taxRateApplied"]["value"]),
                "status": "on_sale" if is_enabled else "off_sale",
            }
        ],
        "prices": [
            {
                "sku": variant["sku"],
                "price": major(variant["priceWithTax"], digits),
                "currency": variant["currencyCode"],
                "valid_from": variant["updatedAt"],
            }
        ],
        "inventory": [
            {
                "store_id": store_id(store_ids, channel, level["stockLocationId"]),
                "sku": variant["sku"],
                "counted_at": level["updatedAt"],
                "on_hand": level["stockOnHand"],
                "reserved": level["stockAllocated"],
            }
            for level in variant["stockLevels"]
        ],
    }


def store_row(location: Node, store_ids: Mapping[str, str], channel: str) -> Row:
    """A stock location as a warehouse."""
    return {
        "store_id": store_id(store_ids, channel, location["id"]),
        "updated_at": location["updatedAt"],
        "name": location["name"],
        "kind": "warehouse",
    }


def store_id(store_ids: Mapping[str, str], channel: str, location_id: str) -> str:
    """The retailer's id of a stock location, if the channel's setting `stores` names it; else one of our making, since
    "1" is some other store elsewhere."""
    return store_ids.get(location_id) or f"{channel}-{location_id}"


def _category(product: Node) -> str | None:
    """The deepest collection's path below the root; without collections, the facet `category`."""
    paths = [
        "/".join(step["name"].replace("/", "-") for step in collection["breadcrumbs"][1:])
        for collection in product["collections"]
    ]
    return max(paths, key=lambda path: (path.count("/"), path)) if any(paths) else _facet(product, "category", "code")


def _facet(product: Node, facet: str, column: str) -> str | None:
    names = sorted(value[column] for value in product["facetValues"] if value["facet"]["code"] == facet)
    return names[0] if names else None


def _rate(percent: int | Decimal) -> str:
    return format(Decimal(percent).scaleb(-2), "f")
