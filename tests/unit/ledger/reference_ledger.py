"""The ledger rules once more, in plain Python: decimals, loops, one order at a time.

Written from the rules alone (FEEDS, "Money on an order"; METRICS, "Ledger rules"), to be compared with the SQL on
random orders. It knows nothing of versions or feeds: it takes the orders as they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

CENT = Decimal("0.01")
PAID_STATUSES = ("paid", "shipped", "completed", "refunded", "partially_refunded")


def cents(amount: Decimal) -> Decimal:
    """Half up, away from zero below it."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def split(total: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """To the cent, largest remainder first, ties to the earlier; the parts sum to the total."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [share.quantize(CENT, ROUND_DOWN) for share in exact]
    rest = total - sum(parts)
    for position in sorted(range(len(parts)), key=lambda i: (-(exact[i] - parts[i]), i)):
        extra = min(CENT, rest)
        if extra <= 0:
            break
        parts[position] += extra
        rest -= extra
    return parts


@dataclass(frozen=True)
class World:
    """What surrounds orders: zones and cutoffs by channel, zones by store, products by sku, rates by currency."""

    as_of: date
    channels: Mapping[str, tuple[str, time]]
    store_zones: Mapping[str, str]
    products: Mapping[str, tuple[str | None, Decimal | None]]
    rates: Mapping[str, Mapping[date, Decimal]]
    reporting_currency: str = "CNY"

    def business_day(self, order: Mapping[str, Any], instant: datetime) -> date:
        """Of an instant (UTC) of this order."""
        zone, cutoff = self.channels[order["channel"]]
        zone = self.store_zones.get(order.get("store_id") or "", zone)
        local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        return (local - timedelta(hours=cutoff.hour, minutes=cutoff.minute)).date()

    def rate(self, currency: str, day: date) -> Decimal | None:
        """Of that day, else of the last earlier one."""
        if currency == self.reporting_currency:
            return Decimal(1)
        earlier = [when for when in self.rates.get(currency, {}) if when <= day]
        return self.rates[currency][max(earlier)] if earlier else None


@dataclass
class Line:
    """A line of an order with what is left of it."""

    line_id: str
    quantity: Decimal
    tax_rate: Decimal
    payable: Decimal
    gross_local: Decimal
    net_local: Decimal
    gross: Decimal
    net: Decimal
    remaining: Decimal
    returned: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """One order event; amounts signed as in the ledger."""

    order: tuple[str, str]
    line_id: str
    kind: str
    refund_id: str | None
    business_date: date
    gross: Decimal
    net: Decimal
    gross_local: Decimal
    net_local: Decimal

    @property
    def key(self) -> tuple[Any, ...]:
        return (*self.order, self.line_id, self.kind, self.refund_id)


def is_gift_card(world: World, sku: str) -> bool:
    path = (world.products.get(sku) or (None, None))[0]
    return path is not None and path.startswith(("gift_card/", "top_up/"))


def book(world: World, order: Mapping[str, Any], refunds: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Every event of one order, up to the as-of date."""
    paid = order["paid_at"] is not None or order["status"] in PAID_STATUSES
    sold_at = order["paid_at"] or order["placed_at"]
    sold_on = world.business_day(order, sold_at)
    rate = world.rate(order["currency"], sold_on)
    if not paid or order.get("is_test") or sold_on > world.as_of or rate is None:
        return []
    lines = _lines(world, order, rate)
    key = (order["channel"], order["order_id"])
    events = [
        Event(key, line.line_id, "sale", None, sold_on, line.gross, line.net, line.gross_local, line.net_local)
        for line in lines
    ]
    if order["status"] == "cancelled":
        cancelled_on = world.business_day(order, order["cancelled_at"])
        if cancelled_on <= world.as_of:
            return events + [
                Event(key, e.line_id, "cancel", None, cancelled_on, -e.gross, -e.net, -e.gross_local, -e.net_local)
                for e in events
            ]
    known = {line["line_id"] for line in order["lines"]}
    for refund in sorted(refunds, key=lambda r: (r["refunded_at"], r["refund_id"])):
        refunded_on = world.business_day(order, refund["refunded_at"])
        own_rate = world.rate(refund["currency"], sold_on)
        if refunded_on <= world.as_of and own_rate is not None:
            same = refund["currency"] == order["currency"]
            events += _book_refund(key, lines, known, refund, refunded_on, rate, None if same else own_rate / rate)
    return events


def _lines(world: World, order: Mapping[str, Any], rate: Decimal) -> list[Line]:
    rows = order["lines"]
    amounts = [row["unit_price"] * row["quantity"] - (row["discount_amount"] or 0) for row in rows]
    discount = (order.get("discount_amount") or Decimal(0)) + sum(
        (tender["amount"] for tender in order.get("tenders") or () if tender["type"] == "points"), Decimal(0)
    )
    shares = [Decimal(0)] * len(rows)
    bearing = [i for i, row in enumerate(rows) if not row["is_gift"] and amounts[i] > 0]
    if discount and bearing:
        for i, share in zip(bearing, split(discount, [amounts[i] for i in bearing]), strict=True):
            shares[i] = share
    lines = []
    for row, amount, share in zip(rows, amounts, shares, strict=True):
        if is_gift_card(world, row["sku"]):
            continue
        product_rate = (world.products.get(row["sku"]) or (None, None))[1]
        tax = next((r for r in (row["tax_rate"], product_rate) if r is not None), Decimal(0))
        list_price = row["unit_price"] if row["unit_list_price"] is None else row["unit_list_price"]
        payable = amount - share
        gross_local = cents(list_price * row["quantity"] / (1 + tax))
        net_local = cents(payable / (1 + tax))
        lines.append(
            Line(
                row["line_id"], row["quantity"], tax, payable, gross_local, net_local,
                cents(gross_local * rate), cents(net_local * rate), max(payable, Decimal(0)),
            )
        )  # fmt: skip
    return lines


def _book_refund(
    key: tuple[str, str],
    lines: list[Line],
    known: set[str],
    refund: Mapping[str, Any],
    refunded_on: date,
    rate: Decimal,
    to_order_currency: Decimal | None,
) -> list[Event]:
    def in_order_currency(amount: Decimal) -> Decimal:
        return amount if to_order_currency is None else cents(amount * to_order_currency)

    named: dict[str, Decimal] = {}
    for row in refund["lines"] or ():
        named[row["line_id"]] = named.get(row["line_id"], Decimal(0)) + row["amount"]
    asked = {line.line_id: Decimal(0) for line in lines}
    goods = in_order_currency(refund["amount"]) if not named else Decimal(0)
    for line_id, amount in named.items():
        if line_id in asked:
            asked[line_id] = in_order_currency(amount)
        elif line_id not in known:
            goods += in_order_currency(amount)
    taken = {line.line_id: min(asked[line.line_id], line.remaining) for line in lines}
    left = {line.line_id: line.remaining - taken[line.line_id] for line in lines}
    if goods >= sum(left.values()) - CENT:
        taken = {line.line_id: line.remaining for line in lines} if goods > 0 else taken
    elif goods > 0:
        open_lines = [line for line in lines if left[line.line_id] > 0]
        for line, part in zip(open_lines, split(goods, [left[line.line_id] for line in open_lines]), strict=True):
            taken[line.line_id] = min(line.remaining, taken[line.line_id] + part)
    events = []
    for line in lines:
        amount = taken[line.line_id]
        if amount <= 0:
            continue
        before, line.remaining = line.remaining, line.remaining - amount
        gross_local = cents(line.gross_local * amount / line.payable)
        net_local = cents(amount / (1 + line.tax_rate))
        gross, net = cents(gross_local * rate), cents(net_local * rate)
        if before >= CENT and line.remaining < CENT:
            gross_local = line.gross_local + sum(e.gross_local for e in line.returned)
            net_local = line.net_local + sum(e.net_local for e in line.returned)
            gross = line.gross + sum(e.gross for e in line.returned)
            net = line.net + sum(e.net for e in line.returned)
        event = Event(
            key, line.line_id, "return", refund["refund_id"], refunded_on, -gross, -net, -gross_local, -net_local
        )
        line.returned.append(event)
        events.append(event)
    return events
