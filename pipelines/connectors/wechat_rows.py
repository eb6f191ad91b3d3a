"""Records of a WeChat shop 微信小店 as rows of the landing contract.

Belongs here: what WeChat's fields mean in the contract's words. Does not belong here: how they are asked for.

Money is fen, times are seconds since 1970. `real_price` is what the shopper pays for all pieces of a line, whoever
bears the discount. Phones come masked, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import fen, line_prices, money, order_rest, plain
from pipelines.connectors.rows import Rows, said, text_id, unknown_fields
from pipelines.connectors.times import from_epoch, iso, month_start

CURRENCY = "CNY"
_STATUSES = {
    5: "pending",
    10: "pending",
    12: "paid",
    13: "paid",
    20: "paid",
    21: "paid",
    30: "shipped",
    100: "completed",
    200: "refunded",
    250: "cancelled",
}
"""12 and 13: a present that waits for its receiver. 200: everything was given back."""

_REFUNDED = ("REFUND_SUCCESS", "RETURN_SUCCESS")
_ORDER_FIELDS = {
    "order_id", "status", "create_time", "update_time", "order_detail", "aftersale_detail", "openid", "unionid",
    "is_present", "present_order_id", "present_note", "present_giver_openid", "present_giver_unionid",
    "present_order_id_str", "present_send_type", "order_present_info", "is_flash_sale_order", "intra_city_order_info",
    "voucher_order_status", "user_info", "risk_info",
}  # fmt: skip
_DETAIL_FIELDS = {
    "product_infos", "pay_info", "price_info", "delivery_info", "ext_info", "coupon_info", "commission_infos",
    "sharer_info", "settle_info", "sku_sharer_infos", "agent_info", "source_infos", "refund_info",
    "greeting_card_info", "custom_info", "guide_info",
}  # fmt: skip


def order_rows(order: Mapping[str, Any]) -> Rows:
    """An order, and whom it tells of: openid and unionid of its owner."""
    detail = order["order_detail"]
    prices, pay = detail["price_info"], detail.get("pay_info") or {}
    total, shipping = fen(prices["order_price"]), _freight(prices)
    lines, payable = _lines(detail["product_infos"])
    discount, shipping = order_rest(payable, shipping, total)
    paid_at = from_epoch(pay.get("pay_time"))
    updated_at, placed_at = from_epoch(order["update_time"]), from_epoch(order["create_time"])
    # A word that isn't known stays, and its row is quarantined with the word as the reason.
    status = _STATUSES.get(order["status"], f"wechat {order['status']}")
    if status == "refunded" and paid_at is None:
        status = "cancelled"
    if status in ("paid", "shipped", "completed") and any(_given_back(item) for item in detail["product_infos"]):
        status = "partially_refunded"
    is_paid = paid_at is not None or status not in ("pending", "cancelled")
    member = text_id(order.get("openid"))
    row = {
        "order_id": str(order["order_id"]),
        "updated_at": updated_at,
        "placed_at": placed_at,
        "status": status,
        "paid_at": paid_at,
        "completed_at": updated_at if status == "completed" else None,
        "cancelled_at": updated_at if status == "cancelled" else None,
        "member_id": member,
        "coupon_codes": _coupons(detail),
        "currency": CURRENCY,
        "items_amount": plain(sum((line["unit_price"] * line["quantity"] for line in lines), Decimal(0))),
        "discount_amount": discount,
        "shipping_amount": shipping,
        "paid_amount": plain(total) if is_paid else Decimal(0),
        "tenders": [{"type": "wechat_pay", "amount": plain(total)}] if is_paid and total else None,
        "lines": lines,
        **unknown_fields(order, _ORDER_FIELDS),
        **unknown_fields(detail, _DETAIL_FIELDS, "order_detail_"),
    }
    return {"orders": [said(row)], "members": _owner(order)}


def refund_rows(refund: Mapping[str, Any]) -> Rows:
    """An after-sale order whose money went back."""
    if not str(refund["status"]).endswith(_REFUNDED):
        return {}
    amount = fen(refund["refund_info"]["amount"])
    if amount <= 0:
        return {}
    product = refund.get("product_info") or {}
    updated_at = from_epoch(refund["update_time"])
    line = {
        "line_id": f"{product.get('product_id')}-{product.get('sku_id')}",
        "quantity": product.get("count") or None,
        "amount": plain(amount),
    }
    row = {
        "refund_id": str(refund["after_sale_order_id"]),
        "order_id": str(refund["order_id"]),
        "updated_at": updated_at,
        "refunded_at": from_epoch(refund.get("complete_time")) or updated_at,
        "amount": plain(amount),
        "currency": CURRENCY,
        "lines": [said(line)] if product.get("sku_id") else None,
    }
    return {"refunds": [said(row)]}


def member_rows(member: Mapping[str, Any], seen_at: datetime) -> Rows:
    """A member of the shop. The list tells no time of change: a row is a version of the month in which it was read, so
    that a changed phone gets through and an unchanged one is not a new version every night."""
    grade = (member.get("user_grade_info") or {}).get("grade")
    row = {
        "member_id": str(member["openid"]),
        "updated_at": iso(month_start(seen_at)),
        "wechat_openid": member["openid"],
        "wechat_unionid": member.get("unionid"),
        "phone": (member.get("user_info") or {}).get("phone_number"),
        "level": None if grade is None else str(grade),
        "points_balance": member.get("score"),
    }
    return {"members": [said(row)]}


def product_rows(product: Mapping[str, Any], store_id: str) -> Rows:
    """A product's specifications: each one sku, with its price and stock."""
    products, prices, inventory = [], [], []
    changed_at = from_epoch(product["edit_time"])
    for sku in product["skus"]:
        name = sku_of(sku, product["product_id"])
        price = fen(sku["sale_price"])
        products.append(
            said(
                {
                    "sku": name,
                    "updated_at": changed_at,
                    "spu": str(product["product_id"]),
                    "name": product["title"],
                    "list_price": plain(max(price, fen(sku.get("market_price")))),
                    "currency": CURRENCY,
                    "status": {5: "on_sale", 11: "off_shelf"}.get(product.get("status", 0)),
                }
            )
        )
        prices.append({"sku": name, "price": plain(price), "currency": CURRENCY, "valid_from": changed_at})
        if sku.get("stock_num") is not None:
            count = money(sku["stock_num"])
            inventory.append({"store_id": store_id, "sku": name, "counted_at": changed_at, "on_hand": count})
    return {"products": products, "prices": prices, "inventory": inventory}


def sku_of(item: Mapping[str, Any], product_id: Any) -> str:
    """The retailer's own code; of an article without one, WeChat's ids."""
    own = str(item.get("sku_code") or "").strip() or str(item.get("out_sku_id") or "").strip()
    return own or f"{product_id}-{item['sku_id']}"


def _owner(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Whose order it is: only here does a shopper who is no member show their unionid.

    A version of the last second before the order's month, older than any of the members' list, which knows more.
    """
    openid = text_id(order.get("openid"))
    if openid is None:
        return []
    placed_at = datetime.fromtimestamp(int(order["create_time"]), UTC)
    row = {
        "member_id": openid,
        "updated_at": iso(month_start(placed_at) - timedelta(seconds=1)),
        "wechat_openid": openid,
        "wechat_unionid": order.get("unionid"),
    }
    return [said(row)]


def _lines(items: list[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], Decimal]:
    lines, all_payable, seen = [], Decimal(0), dict[str, int]()
    for item in items:
        quantity, price = money(item["sku_cnt"]), fen(item["sale_price"])
        if quantity <= 0:
            continue
        line_id = f"{item['product_id']}-{item['sku_id']}"
        seen[line_id] = seen.get(line_id, 0) + 1
        real = item.get("real_price")
        payable = price * quantity if real is None else fen(real)
        unit_price, discount = line_prices(price, quantity, payable)
        all_payable += payable
        listed = fen(item.get("market_price"))
        lines.append(
            said(
                {
                    # The same article, once bought and once given along, is two lines.
                    "line_id": line_id if seen[line_id] == 1 else f"{line_id}-{seen[line_id]}",
                    "sku": sku_of(item, item["product_id"]),
                    "quantity": quantity,
                    "unit_list_price": plain(listed) if listed > unit_price else None,
                    "unit_price": unit_price,
                    "discount_amount": discount,
                    "is_gift": True if item.get("is_free_gift") else None,
                }
            )
        )
    return lines, all_payable


def _freight(prices: Mapping[str, Any]) -> Decimal:
    if prices.get("is_change_freight"):
        return fen(prices.get("change_freight"))
    return fen(prices.get("freight"))


def _given_back(item: Mapping[str, Any]) -> bool:
    return int(item.get("finish_aftersale_sku_cnt") or 0) > 0


def _coupons(detail: Mapping[str, Any]) -> list[str] | None:
    used = [(detail.get("coupon_info") or {}).get("user_coupon_id")]
    for item in detail["product_infos"]:
        used += [one.get("user_coupon_id") for one in item.get("order_product_coupon_info_list") or []]
    return list(dict.fromkeys(str(coupon) for coupon in used if coupon)) or None
