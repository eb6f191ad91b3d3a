"""Shopify's nodes as rows of the landing contract.

Belongs here: what Shopify's fields mean in the contract's words. Does not belong here: how they are asked for.

Prices of a shop whose prices exclude tax are raised by the tax of the line. Discounts of the order come allocated to
its lines, to the cent, and stay there. What an edit took off an order before money moved was never sold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import line_prices, money, money_or_zero, order_rest, plain, shares
from pipelines.connectors.rows import Rows, coupon_code, said, text_id
from pipelines.connectors.shopify_api import amount_of, number_of

_UNPAID = {"PENDING", "AUTHORIZED", "PARTIALLY_PAID", "EXPIRED", None}
_TENDERS = {
    "gift_card": "gift_card",
    "cash": "cash",
    "shopify_payments": "card",
    "alipay": "alipay",
    "wechat_pay": "wechat_pay",
}
_MONEY_IN = {"SALE", "CAPTURE"}


def order_rows(order: Mapping[str, Any]) -> Rows:
    """An order with its refunds. Its nested connections are whole."""
    order_id = str(order["legacyResourceId"])
    updated_at = order["updatedAt"]
    refunds = [_refund(order, refund) for refund in order["refunds"] if amount_of(refund["totalRefundedSet"]) > 0]
    lines, payable = _lines(order)
    removed_whole = order["edited"] and not lines
    if removed_whole:
        lines, payable = _lines(order, as_ordered=True)
    charges = _shipping(order)
    total = payable + charges if order["edited"] else amount_of(order["totalPriceSet"])
    discount, shipping = order_rest(payable, charges, total)
    status, paid_at = _status(order, removed_whole)
    tenders, store = _tenders(order), order.get("retailLocation")
    row = said(
        {
            "order_id": order_id,
            "updated_at": updated_at,
            "placed_at": order["processedAt"] or order["createdAt"],
            "status": status,
            "paid_at": paid_at,
            "completed_at": order["closedAt"] if status == "completed" else None,
            "cancelled_at": (order["cancelledAt"] or updated_at) if status == "cancelled" else None,
            "member_id": _customer(order),
            "guest_email": None if _customer(order) else order["email"],
            "guest_phone": None if _customer(order) else order["phone"],
            "store_id": text_id(store["legacyResourceId"]) if store else None,
            "fulfilment": "in_store" if order["sourceName"] == "pos" else None,
            "coupon_codes": [coupon_code(code) for code in order["discountCodes"] or []],
            "currency": order["currencyCode"],
            "items_amount": plain(sum((line["unit_price"] * line["quantity"] for line in lines), Decimal(0))),
            "discount_amount": discount,
            "shipping_amount": shipping,
            "tax_amount": plain(amount_of(order["totalTaxSet"])),
            "paid_amount": plain(total) if paid_at else Decimal(0),
            "tenders": tenders or None,
            "is_test": bool(order["test"]),
            "lines": lines,
        }
    )
    return {"orders": [row], "refunds": refunds}


def member_rows(customer: Mapping[str, Any]) -> Rows:
    """A customer. Consent is the e-mail's."""
    mail = customer["defaultEmailAddress"] or {}
    phone = customer["defaultPhoneNumber"] or {}
    address = customer["defaultAddress"] or {}
    state = mail.get("marketingState")
    name = " ".join(part for part in (customer["firstName"], customer["lastName"]) if part)
    row = {
        "member_id": str(customer["legacyResourceId"]),
        "updated_at": customer["updatedAt"],
        "registered_at": customer["createdAt"],
        "email": mail.get("emailAddress"),
        "phone": phone.get("phoneNumber"),
        "name": name,
        "province": address.get("province"),
        "city": address.get("city"),
        "address": " ".join(address[part] for part in ("address1", "address2") if address.get(part)),
        "consent_marketing": None if state in (None, "INVALID") else state == "SUBSCRIBED",
        "consent_updated_at": mail.get("marketingUpdatedAt"),
    }
    return {"members": [said(row)]}


def product_rows(product: Mapping[str, Any], currency: str) -> Rows:
    """A product's variants: each is one sku, with its price."""
    path = (product["category"] or {}).get("fullName", "").replace("/", " ").replace(" > ", "/")
    if product["isGiftCard"]:
        path = f"gift_card/{path}" if path else "gift_card/"
    products, prices = [], []
    for variant in product["variants"]["nodes"]:
        sku, own = sku_of(variant["sku"], variant), variant["title"]
        cost = (variant["inventoryItem"] or {}).get("unitCost")
        products.append(
            said(
                {
                    "sku": sku,
                    "updated_at": max(product["updatedAt"], variant["updatedAt"]),
                    "spu": str(product["legacyResourceId"]),
                    "name": product["title"] if own in (None, "Default Title") else f"{product['title']} {own}",
                    "category_path": path,
                    "brand": product["vendor"],
                    "list_price": plain(max(money(variant["price"]), money_or_zero(variant["compareAtPrice"]))),
                    "cost": plain(money(cost["amount"])) if cost else None,
                    "currency": currency,
                    "status": product["status"].lower(),
                }
            )
        )
        prices.append(
            {
                "sku": sku,
                "price": plain(money(variant["price"])),
                "currency": currency,
                "valid_from": variant["updatedAt"],
            }
        )
    return {"products": products, "prices": prices}


def inventory_rows(item: Mapping[str, Any]) -> Rows:
    """An inventory item's levels, one row a location."""
    rows = []
    for level in item["inventoryLevels"]["nodes"]:
        counts = {quantity["name"]: quantity["quantity"] for quantity in level["quantities"]}
        rows.append(
            said(
                {
                    "store_id": str(level["location"]["legacyResourceId"]),
                    "sku": sku_of(item["sku"], item["variant"]),
                    "counted_at": level["updatedAt"],
                    "on_hand": counts["on_hand"],
                    "reserved": counts.get("committed"),
                }
            )
        )
    return {"inventory": rows}


def store_rows(location: Mapping[str, Any]) -> Rows:
    """A location. Shopify doesn't say whether it is a shop or a warehouse."""
    address = location["address"] or {}
    row = {
        "store_id": str(location["legacyResourceId"]),
        "updated_at": location["updatedAt"],
        "name": location["name"],
        "province": address.get("province"),
        "city": address.get("city"),
        "latitude": address.get("latitude"),
        "longitude": address.get("longitude"),
    }
    return {"stores": [said(row)]}


def coupon_rows(node: Mapping[str, Any]) -> Rows:
    """A code discount with one code; discounts with many codes and other kinds are none of the contract's coupons."""
    discount = node["codeDiscount"]
    if not discount or discount["codesCount"]["count"] != 1:
        return {}
    customers = (discount["context"] or {}).get("customers") or []
    value = discount["customerGets"]["value"]
    amount, percent = value.get("amount"), value.get("percentage")
    minimum = (discount["minimumRequirement"] or {}).get("greaterThanOrEqualToSubtotal")
    if amount is None and percent is None:
        return {}
    row = {
        "coupon_code": coupon_code(discount["codes"]["nodes"][0]["code"]),
        "updated_at": discount["updatedAt"],
        "member_id": str(customers[0]["legacyResourceId"]) if len(customers) == 1 else None,
        "kind": "amount_off" if amount else "percent_off",
        "value": plain(money(amount["amount"]) if amount else money(percent) * 100),
        "currency": amount["currencyCode"] if amount else None,
        "threshold": plain(money(minimum["amount"])) if minimum else None,
        "issued_at": discount["createdAt"],
        "expires_at": discount["endsAt"],
    }
    return {"coupons": [said(row)]}


def sku_of(sku: Any, variant: Mapping[str, Any] | None) -> str:
    """The sku; of a variant without one, its id; `custom` for a line that is no product of the shop."""
    text = str(sku or "").strip()
    if text:
        return text
    return f"variant-{variant['legacyResourceId']}" if variant else "custom"


def _customer(order: Mapping[str, Any]) -> str | None:
    return text_id(order["customer"]["legacyResourceId"]) if order["customer"] else None


def _sold(order: Mapping[str, Any]) -> dict[str, int]:
    """How many of each line of an edited order were sold: what is left of it, and what came back for money."""
    sold = {item["id"]: int(item["currentQuantity"]) for item in order["lineItems"]["nodes"]}
    for refund in order["refunds"]:
        if amount_of(refund["totalRefundedSet"]) > 0:
            for line in refund["refundLineItems"]["nodes"]:
                sold[line["lineItem"]["id"]] = sold.get(line["lineItem"]["id"], 0) + int(line["quantity"])
    return sold


def _lines(order: Mapping[str, Any], as_ordered: bool = False) -> tuple[list[dict[str, Any]], Decimal]:
    sold = _sold(order) if order["edited"] and not as_ordered else None
    lines, all_payable = [], Decimal(0)
    for item in order["lineItems"]["nodes"]:
        ordered = Decimal(item["quantity"])
        quantity = ordered if sold is None else min(Decimal(sold[item["id"]]), ordered)
        if quantity <= 0:
            continue
        unit = amount_of(item["originalUnitPriceSet"])
        payable = unit * ordered - _total(item["discountAllocations"], "allocatedAmountSet")
        rate = sum((money(tax["rate"]) for tax in item["taxLines"] if tax["rate"] is not None), Decimal(0))
        if not order["taxesIncluded"]:
            payable += _total(item["taxLines"], "priceSet")
            unit *= 1 + rate
        if quantity != ordered:
            payable = shares(payable, [quantity, ordered - quantity])[0]
        unit_price, discount = line_prices(unit, quantity, payable)
        all_payable += payable
        lines.append(
            {
                "line_id": number_of(item["id"]),
                "sku": sku_of(item["sku"], item["variant"]),
                "quantity": int(quantity),
                "unit_price": unit_price,
                "discount_amount": discount,
                "tax_rate": rate,
            }
        )
    return lines, all_payable


def _shipping(order: Mapping[str, Any]) -> Decimal:
    """Shipping, with tips, duties and fees: charged, and no goods."""
    charges = sum(
        (amount_of(order[name]) for name in
         ("totalTipReceivedSet", "originalTotalDutiesSet", "originalTotalAdditionalFeesSet")),
        Decimal(0),
    )  # fmt: skip
    for line in order["shippingLines"]["nodes"]:
        charges += amount_of(line["discountedPriceSet"])
        if not order["taxesIncluded"]:
            charges += _total(line["taxLines"], "priceSet")
    return charges


def _status(order: Mapping[str, Any], removed_whole: bool) -> tuple[str, str | None]:
    """Status and time of payment."""
    financial = order["displayFinancialStatus"]
    paid_at = None if financial in _UNPAID else _paid_at(order)
    if order["cancelledAt"] or removed_whole or financial == "VOIDED":
        # Voided: authorised, never captured.
        return "cancelled", _first_payment(order)
    if paid_at is None:
        return "pending", None
    if financial == "REFUNDED":
        return "refunded", paid_at
    if financial == "PARTIALLY_REFUNDED":
        return "partially_refunded", paid_at
    if order["displayFulfillmentStatus"] == "FULFILLED":
        return ("completed" if order["closedAt"] else "shipped"), paid_at
    return "paid", paid_at


def _paid_at(order: Mapping[str, Any]) -> str:
    """The first money that came in; an order that costs nothing is paid when it is placed."""
    return _first_payment(order) or str(order["processedAt"] or order["createdAt"])


def _first_payment(order: Mapping[str, Any]) -> str | None:
    times = [transaction["processedAt"] for transaction in _payments(order) if transaction["processedAt"]]
    return min(times) if times else None


def _payments(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in order["transactions"] if one["kind"] in _MONEY_IN and one["status"] == "SUCCESS"]


def _tenders(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": _TENDERS.get(transaction["gateway"], transaction["gateway"] or "other"),
            "amount": plain(amount_of(transaction["amountSet"])),
        }
        for transaction in _payments(order)
    ]


def _refund(order: Mapping[str, Any], refund: Mapping[str, Any]) -> dict[str, Any]:
    amount = amount_of(refund["totalRefundedSet"])
    items = refund["refundLineItems"]["nodes"]
    goods = [
        amount_of(item["subtotalSet"]) + (Decimal(0) if order["taxesIncluded"] else amount_of(item["totalTaxSet"]))
        for item in items
    ]
    if sum(goods, Decimal(0)) > amount:
        goods = shares(amount, goods)  # less was given back than the goods had cost
    lines = [
        {"line_id": number_of(item["lineItem"]["id"]), "quantity": int(item["quantity"]), "amount": plain(part)}
        for item, part in zip(items, goods, strict=True)
        if item["quantity"] > 0
    ]
    return said(
        {
            "refund_id": str(refund["legacyResourceId"]),
            "order_id": str(order["legacyResourceId"]),
            "updated_at": refund["updatedAt"],
            "refunded_at": refund["createdAt"] or refund["updatedAt"],
            "amount": plain(amount),
            "currency": order["currencyCode"],
            "lines": lines or None,
        }
    )


def _total(items: Iterable[Mapping[str, Any]], name: str) -> Decimal:
    return sum((amount_of(item[name]) for item in items), Decimal(0))
