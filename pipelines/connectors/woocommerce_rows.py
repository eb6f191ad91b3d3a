"""WooCommerce's records as rows of the landing contract.

Belongs here: what WooCommerce's fields mean in the contract's words. Does not belong here: how they are asked for.

Amounts of lines come without tax, with the tax beside them; the contract's prices include it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import line_prices, money, money_or_zero, order_rest, plain, to_cents
from pipelines.connectors.rows import Rows, coupon_code, said, text_id, unknown_fields
from pipelines.connectors.times import from_gmt

STATUSES = {
    "pending": "pending",
    "on-hold": "pending",
    "processing": "paid",
    "completed": "completed",
    "cancelled": "cancelled",
    "failed": "cancelled",
    "trash": "cancelled",
    "refunded": "refunded",
}
CARTS = {"checkout-draft", "auto-draft", "draft"}
_TENDERS = {"cod": "cash", "stripe": "card", "alipay": "alipay", "wechat_pay": "wechat_pay"}

_YES = {"1", "yes", "true", "on"}

_ORDER_FIELDS = {
    "id", "parent_id", "number", "order_key", "created_via", "version", "status", "currency", "currency_symbol",
    "date_created", "date_created_gmt", "date_modified", "date_modified_gmt", "discount_total", "discount_tax",
    "shipping_total", "shipping_tax", "cart_tax", "total", "total_tax", "prices_include_tax", "customer_id",
    "customer_ip_address", "customer_user_agent", "customer_note", "billing", "shipping", "payment_method",
    "payment_method_title", "transaction_id", "date_paid", "date_paid_gmt", "date_completed", "date_completed_gmt",
    "cart_hash", "meta_data", "line_items", "tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds",
    "set_paid", "payment_url", "is_editable", "needs_payment", "needs_processing", "_links",
}  # fmt: skip
_CUSTOMER_FIELDS = {
    "id", "date_created", "date_created_gmt", "date_modified", "date_modified_gmt", "email", "first_name", "last_name",
    "role", "username", "billing", "shipping", "is_paying_customer", "avatar_url", "meta_data", "_links",
}  # fmt: skip


def order_rows(order: Mapping[str, Any], refunds: list[Any], statuses: Mapping[str, str]) -> Rows:
    """An order with its refunds. statuses: the shop's own words; a word that nobody explained stays, and its row is
    quarantined with the word as the reason. A cart that isn't placed is no order."""
    word = str(order["status"])
    if word in CARTS:
        return {}
    status = {**STATUSES, **statuses}.get(word, word)
    total = money(order["total"])
    lines, payable = _lines(order["line_items"])
    charges, deductions = _charges(order)
    discount, shipping = order_rest(to_cents(payable), charges - deductions, total)
    if refunds and status in ("paid", "shipped", "completed"):
        status = "partially_refunded"
    placed_at, updated_at = from_gmt(order["date_created_gmt"]), from_gmt(order["date_modified_gmt"])
    paid_at = from_gmt(order["date_paid_gmt"])
    is_paid = paid_at is not None or status not in ("pending", "cancelled")
    member, billing = text_id(order["customer_id"]), order.get("billing") or {}
    tender = order.get("payment_method") or "other"
    row = {
        "order_id": str(order["id"]),
        "updated_at": updated_at or placed_at,
        "placed_at": placed_at,
        "status": status,
        "paid_at": paid_at,
        "completed_at": from_gmt(order["date_completed_gmt"]) if status == "completed" else None,
        "cancelled_at": (updated_at or placed_at) if status == "cancelled" else None,
        "member_id": member,
        "guest_email": None if member else billing.get("email"),
        "guest_phone": None if member else billing.get("phone"),
        "coupon_codes": [coupon_code(line["code"]) for line in order["coupon_lines"]],
        "currency": order["currency"],
        "items_amount": plain(sum((line["unit_price"] * line["quantity"] for line in lines), Decimal(0))),
        "discount_amount": discount,
        "shipping_amount": shipping,
        "tax_amount": plain(to_cents(money_or_zero(order["total_tax"]))),
        "paid_amount": plain(total) if is_paid else Decimal(0),
        "tenders": [{"type": _TENDERS.get(tender, tender), "amount": plain(total)}] if is_paid and total else None,
        "lines": lines,
        **unknown_fields(order, _ORDER_FIELDS),
    }
    return {"orders": [said(row)], "refunds": [_refund(order, refund) for refund in refunds]}


def member_rows(customer: Mapping[str, Any], consent_meta: str | None = None) -> Rows:
    """A customer with an account. consent_meta: key of the meta data that says whether they agreed to advertisements;
    without it nothing is said of consent."""
    billing = customer.get("billing") or {}
    names = (customer["first_name"] or billing.get("first_name"), customer["last_name"] or billing.get("last_name"))
    registered_at = from_gmt(customer["date_created_gmt"])
    row = {
        "member_id": str(customer["id"]),
        "updated_at": from_gmt(customer["date_modified_gmt"]) or registered_at,
        "registered_at": registered_at,
        "email": customer["email"],
        "phone": billing.get("phone"),
        "name": " ".join(name for name in names if name),
        "province": billing.get("state"),
        "city": billing.get("city"),
        "address": " ".join(billing[part] for part in ("address_1", "address_2") if billing.get(part)),
        "consent_marketing": _consent(customer, consent_meta) if consent_meta else None,
        **unknown_fields(customer, _CUSTOMER_FIELDS),
    }
    return {"members": [said(row)]}


def product_rows(product: Mapping[str, Any], variations: list[Any], store_id: str, currency: str) -> Rows:
    """A product, or its variations if it has any: each one sku, with its price and, where it is counted, its stock."""
    products, prices, inventory = [], [], []
    categories, brands = product.get("categories") or [], product.get("brands") or []
    for item in variations or [product]:
        sku = sku_of(item.get("sku"), product["id"], item["id"] if variations else 0)
        changed_at = max(filter(None, (from_gmt(one["date_modified_gmt"]) for one in (product, item))))
        options = " ".join(str(one["option"]) for one in item.get("attributes") or [] if "option" in one)
        regular, price = money_or_zero(item.get("regular_price")), item.get("price")
        products.append(
            said(
                {
                    "sku": sku,
                    "updated_at": changed_at,
                    "spu": str(product["id"]),
                    "name": f"{product['name']} {options}" if variations and options else product["name"],
                    "category_path": str(categories[0]["name"]).replace("/", " ") if categories else None,
                    "brand": brands[0]["name"] if brands else None,
                    "list_price": plain(max(regular, money_or_zero(price))) if price not in (None, "") else None,
                    "currency": currency,
                    "status": item["status"],
                }
            )
        )
        if price not in (None, ""):
            prices.append({"sku": sku, "price": plain(money(price)), "currency": currency, "valid_from": changed_at})
        # `parent`: a variation whose stock is counted with its product's.
        if item.get("manage_stock") is True and item.get("stock_quantity") is not None:
            count = money(item["stock_quantity"])
            inventory.append({"store_id": store_id, "sku": sku, "counted_at": changed_at, "on_hand": count})
    return {"products": products, "prices": prices, "inventory": inventory}


def coupon_rows(coupon: Mapping[str, Any], currency: str) -> Rows:
    """A coupon. Whom it is for is told by e-mail addresses, which stay where they are."""
    is_percent = coupon["discount_type"] == "percent"
    minimum = money_or_zero(coupon["minimum_amount"])
    row = {
        "coupon_code": coupon_code(coupon["code"]),
        "updated_at": from_gmt(coupon["date_modified_gmt"]) or from_gmt(coupon["date_created_gmt"]),
        "kind": "percent_off" if is_percent else "amount_off",
        "value": plain(money(coupon["amount"])),
        "currency": None if is_percent else currency,
        "threshold": plain(minimum) if minimum else None,
        "issued_at": from_gmt(coupon["date_created_gmt"]),
        "expires_at": from_gmt(coupon["date_expires_gmt"]),
    }
    return {"coupons": [said(row)]}


def sku_of(sku: Any, product_id: Any, variation_id: Any) -> str:
    """The sku; of an article without one, its id."""
    text = str(sku or "").strip()
    return text or (f"variation-{variation_id}" if variation_id else f"product-{product_id}")


def _consent(customer: Mapping[str, Any], key: str) -> bool:
    given = next((meta["value"] for meta in customer.get("meta_data") or [] if meta.get("key") == key), None)
    return str(given).strip().lower() in _YES


def _lines(items: list[Any]) -> tuple[list[dict[str, Any]], Decimal]:
    lines, all_payable = [], Decimal(0)
    for item in items:
        quantity = money(item["quantity"])
        if quantity <= 0:
            continue
        net, tax = money(item["subtotal"]), money_or_zero(item["subtotal_tax"])
        # Rounded together: each alone may be off by half a cent.
        listed = to_cents(net + tax)
        payable = to_cents(money(item["total"]) + money_or_zero(item["total_tax"]))
        unit_price, discount = line_prices(listed / quantity, quantity, payable)
        all_payable += payable
        lines.append(
            {
                "line_id": str(item["id"]),
                "sku": sku_of(item.get("sku"), item["product_id"], item["variation_id"]),
                "quantity": quantity,
                "unit_price": unit_price,
                "discount_amount": discount,
                "tax_rate": (tax / net).quantize(Decimal("0.0001")) if net else Decimal(0),
            }
        )
    return lines, all_payable


def _charges(order: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Shipping with fees, and what negative fees take off."""
    charges = money_or_zero(order["shipping_total"]) + money_or_zero(order["shipping_tax"])
    deductions = Decimal(0)
    for fee in order["fee_lines"]:
        amount = money_or_zero(fee["total"]) + money_or_zero(fee["total_tax"])
        charges, deductions = charges + max(amount, Decimal(0)), deductions + max(-amount, Decimal(0))
    return to_cents(charges), to_cents(deductions)


def _refund(order: Mapping[str, Any], refund: Mapping[str, Any]) -> dict[str, Any]:
    created_at = from_gmt(refund["date_created_gmt"])
    lines = []
    for item in refund["line_items"]:
        amount = to_cents(-(money(item["total"]) + money_or_zero(item["total_tax"])))
        quantity = abs(money(item["quantity"]))
        original = next((meta["value"] for meta in item["meta_data"] if meta["key"] == "_refunded_item_id"), None)
        if original is not None and amount >= 0 and (amount or quantity):
            line = {"line_id": str(original), "quantity": quantity or None, "amount": plain(amount)}
            lines.append(said(line))
    return said(
        {
            "refund_id": str(refund["id"]),
            "order_id": str(order["id"]),
            "updated_at": created_at,
            "refunded_at": created_at,
            "amount": plain(to_cents(abs(money(refund["amount"])))),
            "currency": order["currency"],
            "lines": lines or None,
        }
    )
