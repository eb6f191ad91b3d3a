"""From a ticket of Odoo's point of sale to orders and refunds of the landing contract.

Belongs here: pure translation. Does not belong here: calls (odoo). A ticket holds three kinds of lines: goods sold
(quantity and amount above zero), goods taken back (quantity below zero), and money off (amount of the other sign: a
discount, a reward, a gift card used to pay). So a ticket can be an order, a refund, or an exchange, which is both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import ZERO, line_prices, money_or_zero, plain, shares
from pipelines.connectors.odoo_api import Record, id_of, moment, text_id, text_of
from pipelines.connectors.rows import Rows, said

PAYMENT_PROGRAMS = ("gift_card", "ewallet")
"""Loyalty programs whose reward is a means of payment."""
CODE_PROGRAMS = ("coupons", "next_order_coupons")
"""Loyalty programs whose cards are coupons with a code for one person."""
_POINTS_PROGRAMS = ("loyalty",)
_STATUSES = {"paid": "completed", "done": "completed", "invoiced": "completed", "cancel": "cancelled"}
_FINEST_QUANTITY = Decimal("0.0001")
_FINEST_RATE = Decimal("0.000001")


@dataclass(frozen=True)
class Card:
    """A loyalty card that a line was paid with: its code, and the type of its program."""

    code: str | None
    program_type: str


@dataclass
class Names:
    """What the ids on tickets mean. skus: by product. stores: warehouse by till. tenders: by payment method.

    origins: order of a line that was taken back. rates: percent by tax, of taxes that are a plain percentage.
    """

    skus: dict[int, str] = field(default_factory=dict)
    stores: dict[int, str | None] = field(default_factory=dict)
    tenders: dict[int, str] = field(default_factory=dict)
    cards: dict[int, Card] = field(default_factory=dict)
    origins: dict[int, int] = field(default_factory=dict)
    rates: dict[int, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A record of pos.order with its lines and payments."""

    order: Record
    lines: Sequence[Record]
    payments: Sequence[Record]


def translate(ticket: Ticket, names: Names) -> Rows:
    """Rows of the feeds orders and refunds.

    Raises KeyError, TypeError or ValueError for a ticket that can't be understood.
    """
    status = _STATUSES[ticket.order["state"]]
    sold, back, off = _sorted_lines(ticket.lines)
    if status == "cancelled":
        back = []  # a refund that was given up on is none
        if not sold:
            return {"orders": [], "refunds": []}
    refunds = _refunds(ticket, back, off, names, is_exchange=bool(sold))
    if refunds and not sold:
        # Money handed out beyond the goods' worth, as a kindness: the refund's, outside net sales.
        refunds[0]["amount"] = plain(refunds[0]["amount"] + _money_off(off, names))
    orders = []
    if sold or not back:
        returned = sum((refund["amount"] for refund in refunds), ZERO)
        orders = [_order(ticket, status, sold, off, returned, refunds, names)]
    return {"orders": orders, "refunds": refunds}


def _sorted_lines(lines: Sequence[Record]) -> tuple[list[Record], list[Record], list[Record]]:
    """Goods sold, goods taken back, money off. The head of a combo has no price of its own and is no good."""
    sold: list[Record] = []
    back: list[Record] = []
    off: list[Record] = []
    for line in lines:
        quantity, amount = money_or_zero(line["qty"]), money_or_zero(line["price_subtotal_incl"])
        if quantity == 0 or (line.get("combo_line_ids") and amount == 0):
            continue
        if quantity * amount < 0:
            off.append(line)
        else:
            (sold if quantity > 0 else back).append(line)
    return sold, back, off


def _order(
    ticket: Ticket,
    status: str,
    sold: list[Record],
    off: list[Record],
    returned: Decimal,
    refunds: list[Record],
    names: Names,
) -> Record:
    order = ticket.order
    items = sum((money_or_zero(line["price_subtotal_incl"]) for line in sold), ZERO)
    used = [line for line in off if money_or_zero(line["qty"]) > 0]
    tenders = _tenders(ticket.payments, names)
    discount = _money_off(off, names)
    for line in used:
        if _program(line, names) in PAYMENT_PROGRAMS:
            tenders["gift_card"] = tenders.get("gift_card", ZERO) - money_or_zero(line["price_subtotal_incl"])
    if refunds:
        _credit(tenders, returned, items - discount)
    placed = moment(order["date_order"])
    member = text_id(order["partner_id"])
    return said(
        {
            "order_id": str(order["id"]),
            "updated_at": moment(max([order["write_date"], *(line["write_date"] for line in ticket.lines)])),
            "placed_at": placed,
            "status": status,
            "paid_at": placed if status == "completed" else None,
            "completed_at": placed if status == "completed" else None,
            "cancelled_at": moment(order["write_date"]) if status == "cancelled" else None,
            "member_id": member,
            # What was typed for the receipt; for a member it is a copy of the contact's own.
            "guest_phone": None if member else text_of(order.get("mobile")),
            "guest_email": None if member else text_of(order.get("email")),
            "store_id": names.stores.get(id_of(order["config_id"]) or 0),
            "fulfilment": "ship_from_store" if order.get("shipping_date") else "in_store",
            "staff_id": text_id(order["user_id"]),
            "coupon_codes": _codes(used, names) or None,
            "currency": order["currency_id"][1],
            "items_amount": plain(items),
            "discount_amount": plain(discount),
            # A discount that is undone though no goods came back is a charge, outside net sales.
            "shipping_amount": None if refunds else plain(_undone(off, names)) or None,
            "tax_amount": plain(sum((_tax(line) for line in (*sold, *used)), ZERO)),
            "paid_amount": plain(sum(tenders.values(), ZERO)),
            "tenders": [{"type": kind, "amount": plain(amount)} for kind, amount in tenders.items() if amount],
            "points_used": _points(used, names) or None,
            "exchange_of": refunds[0].get("order_id") if len(refunds) == 1 else None,
            "lines": [_line(line, names) for line in sold],
        }
    )


def _credit(tenders: dict[str, Decimal], returned: Decimal, due: Decimal) -> None:
    """What goods taken back on the same ticket paid for. Money handed out is the refund's, not a tender."""
    credit = min(returned, due - tenders.get("gift_card", ZERO))
    if returned > credit:
        for kind in [kind for kind, amount in tenders.items() if amount < 0]:
            del tenders[kind]
    tenders["exchange_credit"] = credit


def _refunds(ticket: Ticket, back: list[Record], off: list[Record], names: Names, *, is_exchange: bool) -> list[Record]:
    """One refund for each order that goods of this ticket came from. Goods without a receipt have no order: their
    refund lacks what the contract requires, and is seen in quarantine."""
    if not back:
        return []
    amounts = [-money_or_zero(line["price_subtotal_incl"]) for line in back]
    # A discount that is taken back with the goods lowers what they are worth now.
    undone = _undone(off, names)
    if undone:
        amounts = [amount - part for amount, part in zip(amounts, shares(undone, amounts), strict=True)]
    by_origin: dict[int, list[Record]] = {}
    for line, amount in zip(back, amounts, strict=True):
        origin = id_of(line["refunded_orderline_id"])
        row = said(
            {
                "line_id": str(line["id"]) if origin is None else str(origin),
                "quantity": _quantity(-money_or_zero(line["qty"])),
                "amount": plain(amount),
            }
        )
        by_origin.setdefault(names.origins.get(origin or 0, 0), []).append(row)
    order = ticket.order
    refunds = []
    for number, (origin, lines) in enumerate(sorted(by_origin.items(), key=lambda entry: (entry[0] == 0, entry[0]))):
        refunds.append(
            said(
                {
                    "refund_id": str(order["id"]) if number == 0 else f"{order['id']}-{origin}",
                    "order_id": str(origin) if origin else None,
                    "updated_at": moment(order["write_date"]),
                    "refunded_at": moment(order["date_order"]),
                    "amount": plain(sum((line["amount"] for line in lines), ZERO)),
                    "currency": order["currency_id"][1],
                    "reason": "exchange" if is_exchange else None,
                    "return_store_id": names.stores.get(id_of(order["config_id"]) or 0),
                    "lines": lines,
                }
            )
        )
    return refunds


def _line(line: Record, names: Names) -> Record:
    quantity, payable = _quantity(money_or_zero(line["qty"])), money_or_zero(line["price_subtotal_incl"])
    unit, discount = line_prices(_price_with_tax(line, payable), quantity, payable)
    product = id_of(line["product_id"]) or 0
    return said(
        {
            "line_id": str(line["id"]),
            "sku": names.skus.get(product, str(product)),
            "quantity": quantity,
            "unit_price": unit,
            "discount_amount": discount,
            "tax_rate": _tax_rate(line, names),
            "is_gift": payable == 0,
        }
    )


def _price_with_tax(line: Record, payable: Decimal) -> Decimal:
    """The price of one before the line's discount, with VAT: `price_unit` is with or without it, as the tax says."""
    price, without_tax = money_or_zero(line["price_unit"]), money_or_zero(line["price_subtotal"])
    expected = price * money_or_zero(line["qty"]) * (100 - money_or_zero(line["discount"])) / 100
    if without_tax and abs(expected - payable) > abs(expected - without_tax):
        price = price * payable / without_tax
    return max(price, ZERO).quantize(_FINEST_QUANTITY)


def _tax_rate(line: Record, names: Names) -> Decimal:
    taxes = line.get("tax_ids_after_fiscal_position") or []
    if all(tax in names.rates for tax in taxes):
        return plain(sum((names.rates[tax] for tax in taxes), ZERO) / 100)
    net = money_or_zero(line["price_subtotal"])
    return (_tax(line) / net).quantize(_FINEST_RATE) if net else ZERO


def _tax(line: Record) -> Decimal:
    return money_or_zero(line["price_subtotal_incl"]) - money_or_zero(line["price_subtotal"])


def _quantity(quantity: Decimal) -> Decimal:
    """Odoo keeps quantities as floats: what lies beyond four decimals is their noise."""
    return Decimal(format(quantity.quantize(_FINEST_QUANTITY).normalize(), "f"))


def _money_off(off: list[Record], names: Names) -> Decimal:
    """Discounts and rewards given on this ticket, but those that are means of payment."""
    return -sum((amount for amount in _amounts(off, names) if amount < 0), ZERO)


def _undone(off: list[Record], names: Names) -> Decimal:
    """Discounts and rewards of an earlier ticket, taken back on this one."""
    return sum((amount for amount in _amounts(off, names) if amount > 0), ZERO)


def _amounts(off: list[Record], names: Names) -> list[Decimal]:
    return [money_or_zero(line["price_subtotal_incl"]) for line in off if _program(line, names) not in PAYMENT_PROGRAMS]


def _tenders(payments: Sequence[Record], names: Names) -> dict[str, Decimal]:
    """What was paid by type, change given back taken off."""
    tenders: dict[str, Decimal] = {}
    for payment in payments:
        kind = names.tenders.get(id_of(payment["payment_method_id"]) or 0, "other")
        tenders[kind] = tenders.get(kind, ZERO) + money_or_zero(payment["amount"])
    return tenders


def _program(line: Mapping[str, Any], names: Names) -> str:
    card = names.cards.get(id_of(line.get("coupon_id")) or 0)
    return card.program_type if card else ""


def _codes(used: list[Record], names: Names) -> list[str]:
    cards = [names.cards.get(id_of(line.get("coupon_id")) or 0) for line in used]
    return sorted({card.code for card in cards if card and card.code and card.program_type in CODE_PROGRAMS})


def _points(used: list[Record], names: Names) -> Decimal:
    return sum(
        (money_or_zero(line.get("points_cost")) for line in used if _program(line, names) in _POINTS_PROGRAMS), ZERO
    )
