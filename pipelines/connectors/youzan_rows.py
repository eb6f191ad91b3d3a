"""Youzan's records as rows of the landing contract.

Belongs here: what Youzan's fields mean in the contract's words. Does not belong here: how they are asked for.

Money of orders is yuan as text, of stored value and of articles fen as whole numbers. Times without a zone are China's.
Phones and names of a shop that has them encrypted stay as they come: intake drops and counts what is no phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import fen, line_prices, money, money_or_zero, order_rest, plain
from pipelines.connectors.rows import Rows, said, text_id, unknown_fields
from pipelines.connectors.times import from_china, from_epoch, iso, month_start

CURRENCY = "CNY"
_STATUSES = {
    "WAIT_BUYER_PAY": "pending",
    "TRADE_PAID": "paid",
    "WAIT_CONFIRM": "paid",
    "WAIT_SELLER_SEND_GOODS": "paid",
    "WAIT_BUYER_CONFIRM_GOODS": "shipped",
    "TRADE_SUCCESS": "completed",
    "TRADE_CLOSED": "cancelled",
}
_FULFILMENTS = {0: "delivery", 1: "pickup", 2: "same_city"}
_PARTLY_REFUNDED, _WHOLLY_REFUNDED = 2, 12
"""Of `refund_state`; 1 and 11 are states of passage, in which the money is on its way."""
_GENDERS = {1: "male", 2: "female"}
_TENDERS = {
    **dict.fromkeys((1, 10, 11, 19, 29, 72, 102, 110), "wechat_pay"),
    **dict.fromkeys((2, 3, 30, 103, 111), "alipay"),
    **dict.fromkeys((104, 112, 113), "card"),
    **dict.fromkeys((25, 28, 33, 35, 106, 107), "gift_card"),
    201: "cash",
}

_PARTS = {"full_order_info", "order_promotion", "refund_order", "delivery_order", "qr_info"}
_INFO_PARTS = {
    "order_info", "buyer_info", "address_info", "pay_info", "orders", "remark_info", "child_info", "source_info",
    "invoice_info",
}  # fmt: skip
_ORDER_INFO = {
    "tid", "status", "status_str", "type", "created", "update_time", "pay_time", "consign_time", "success_time",
    "expired_time", "confirm_time", "refund_state", "express_type", "close_type", "pay_type", "pay_type_str",
    "channel_type", "order_tags", "order_extra", "is_retail_order", "offline_id", "shop_name", "shop_display_no",
    "team_type", "node_kdt_id", "root_kdt_id", "activity_type",
}  # fmt: skip


def order_rows(entry: Mapping[str, Any]) -> Rows:
    """An order. Its refunds are a feed of their own."""
    whole = entry["full_order_info"]
    info, pay, buyer = whole["order_info"], whole["pay_info"], whole.get("buyer_info") or {}
    total, shipping = money(pay["payment"]), money_or_zero(pay.get("post_fee"))
    lines, payable = _lines(whole["orders"])
    discount, shipping = order_rest(payable, shipping, total)
    updated_at, placed_at = from_china(info["update_time"]), from_china(info["created"])
    paid_at = from_china(info.get("pay_time"))
    status = _status(info, paid_at)
    is_paid = paid_at is not None or status not in ("pending", "cancelled")
    member = text_id(buyer.get("yz_open_id"))
    row = {
        "order_id": str(info["tid"]),
        "updated_at": updated_at or placed_at,
        "placed_at": placed_at,
        "status": status,
        "paid_at": paid_at,
        "completed_at": from_china(info.get("success_time")) if status == "completed" else None,
        "cancelled_at": (updated_at or placed_at) if status == "cancelled" else None,
        "member_id": member,
        "guest_phone": None if member else buyer.get("buyer_phone"),
        "store_id": text_id(info.get("offline_id")),
        "fulfilment": _FULFILMENTS.get(info.get("express_type", 9)),
        "coupon_codes": _coupons(entry.get("order_promotion") or {}),
        "currency": CURRENCY,
        "items_amount": plain(sum((line["unit_price"] * line["quantity"] for line in lines), Decimal(0))),
        "discount_amount": discount,
        "shipping_amount": shipping,
        "paid_amount": plain(total) if is_paid else Decimal(0),
        "tenders": _tenders(info, pay, total) if is_paid and total else None,
        "lines": lines,
        **unknown_fields(entry, _PARTS),
        **unknown_fields(whole, _INFO_PARTS),
        **unknown_fields(info, _ORDER_INFO, "order_info_"),
    }
    return {"orders": [said(row)]}


def refund_rows(found: Mapping[str, Any], detail: Mapping[str, Any]) -> Rows:
    """A refund that went through. found: as the search has it; detail: as it is read singly, which names the line."""
    amount = money(found["refund_fee"])
    if found["status"] != "SUCCESS" or amount <= 0:
        return {}
    updated_at = _moment(found["modified"])
    line = text_id(detail.get("oid"))
    row = {
        "refund_id": str(found["refund_id"]),
        "order_id": str(found["tid"]),
        "updated_at": updated_at,
        "refunded_at": _moment(detail.get("refund_success_time")) or updated_at,
        "amount": plain(amount),
        "currency": CURRENCY,
        "lines": [{"line_id": line, "amount": plain(amount)}] if line else None,
    }
    return {"refunds": [said(row)]}


def member_rows(customer: Mapping[str, Any], seen_at: datetime) -> Rows:
    """A customer, as the list or the single call has them.

    The list tells when they came, and not when they changed: it is a version of the month in which it was read, so
    that a changed phone gets through and an unchanged one is not a new version every night.
    """
    created_at, changed_at = from_epoch(customer["created_at"]), from_epoch(customer.get("updated_at"))
    row = {
        "member_id": str(customer["yz_open_id"]),
        "updated_at": changed_at or max(iso(month_start(seen_at)), created_at or ""),
        "registered_at": created_at,
        "phone": customer.get("mobile"),
        "name": customer.get("name"),
        "gender": _GENDERS.get(customer.get("gender") or 0),
        "card_no": customer.get("outer_card_no"),
        "points_balance": customer.get("points"),
    }
    return {"members": [said(row)]}


def item_rows(item: Mapping[str, Any], store_id: str, updated_at: str) -> Rows:
    """An article's specifications: each one sku, with its price and stock. updated_at: as the list names it."""
    products, prices, inventory = [], [], []
    whole_price = (item.get("item_price_param") or {}).get("price")
    for sku in item.get("sku_list") or [{}]:
        name = sku_of(sku.get("sku_code"), item.get("item_code"), item["item_id"], sku.get("sku_id"))
        price = fen(sku["price"] if sku.get("price") is not None else whole_price)
        cost = sku.get("cost_price")
        products.append(
            said(
                {
                    "sku": name,
                    "updated_at": updated_at,
                    "spu": str(item["item_id"]),
                    "name": item["title"],
                    "list_price": plain(price),
                    "cost": plain(fen(cost)) if cost else None,
                    "currency": CURRENCY,
                    "status": {1: "on_sale", 0: "off_shelf"}.get(item.get("display", 1)),
                }
            )
        )
        prices.append({"sku": name, "price": plain(price), "currency": CURRENCY, "valid_from": updated_at})
        # Of a shop on the street `stock_num` is a thousandfold; the text is not.
        count = sku.get("stock_num_str", sku.get("stock_num"))
        if count is not None:
            inventory.append({"store_id": store_id, "sku": name, "counted_at": updated_at, "on_hand": money(count)})
    return {"products": products, "prices": prices, "inventory": inventory}


def sku_of(sku_code: Any, item_code: Any, item_id: Any, sku_id: Any) -> str:
    """The retailer's own code; of an article without one, Youzan's ids."""
    own = str(sku_code or "").strip() or str(item_code or "").strip()
    return own or (f"{item_id}-{sku_id}" if text_id(sku_id) else str(item_id))


def _lines(orders: list[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], Decimal]:
    """Lines with the discounts of their own; those of the order are left to the order, as `payment` of a line would
    hold a share of the postage too."""
    lines, all_payable = [], Decimal(0)
    for item in orders:
        quantity, price = money(item["num"]), money(item["price"])
        if quantity <= 0:
            continue
        total = item.get("total_fee")
        payable = price * quantity if total in (None, "") else money(total)
        unit_price, discount = line_prices(price, quantity, payable)
        all_payable += payable
        lines.append(
            said(
                {
                    "line_id": str(item["oid"]),
                    "sku": sku_of(item.get("outer_sku_id"), item.get("outer_item_id"), item["item_id"], item["sku_id"]),
                    "quantity": quantity,
                    "unit_price": unit_price,
                    "discount_amount": discount,
                    "is_gift": True if item.get("is_present") else None,
                }
            )
        )
    return lines, all_payable


def _status(info: Mapping[str, Any], paid_at: str | None) -> str:
    """A word that isn't known stays, and its row is quarantined with the word as the reason."""
    status = _STATUSES.get(info["status"], str(info["status"]))
    if paid_at is None and status in ("pending", "cancelled"):
        return status
    state = info.get("refund_state")
    if state == _WHOLLY_REFUNDED:
        return "refunded"
    return "partially_refunded" if state == _PARTLY_REFUNDED and status != "cancelled" else status


def _tenders(info: Mapping[str, Any], pay: Mapping[str, Any], total: Decimal) -> list[dict[str, Any]]:
    stored = min(fen(pay.get("deduction_pay")), total)
    rest = total - stored
    name = _TENDERS.get(info.get("pay_type", 0), f"youzan:{info.get('pay_type')}")
    tenders = [{"type": "gift_card", "amount": plain(stored)}, {"type": name, "amount": plain(rest)}]
    return [tender for tender in tenders if tender["amount"]]


def _coupons(promotion: Mapping[str, Any]) -> list[str] | None:
    used = [one.get("coupon_id") for one in promotion.get("order") or []]
    return [str(coupon) for coupon in used if coupon] or None


def _moment(value: Any) -> str | None:
    return from_epoch(value) if str(value or "").isdigit() else from_china(value)
