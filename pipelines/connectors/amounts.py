"""Money of the platforms as exact decimals, arranged as the landing contract has it: VAT included, lines first.

Belongs here: conversions that keep every cent. Does not belong here: what a platform calls its amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

ZERO = Decimal(0)
_CENT = Decimal("0.01")
_FINEST = Decimal("0.0001")
"""The landing contract takes four decimals."""


def money(value: Any) -> Decimal:
    """The amount of a decimal text, whole number or Decimal. Raises ValueError for anything else, floats included."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("no amount of money")
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError("no finite amount of money")
    return amount


def money_or_zero(value: Any) -> Decimal:
    """As `money`; nothing said is zero."""
    return ZERO if value is None or value == "" else money(value)


def fen(value: Any) -> Decimal:
    """Yuan of a whole number of fen; nothing said is zero. Raises ValueError if it is no whole number."""
    amount = money_or_zero(value)
    if amount != amount.to_integral_value():
        raise ValueError("fen are whole")
    return (amount / 100).quantize(_CENT)


def to_cents(amount: Decimal) -> Decimal:
    """Rounded half up to two decimals."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def line_prices(unit_price: Decimal, quantity: Decimal, payable: Decimal) -> tuple[Decimal, Decimal]:
    """Unit price and discount of a line, such that unit price × quantity − discount is exactly `payable`.

    The unit price has at most four decimals: where it doesn't come out even it is rounded up, and the discount takes
    the rest. It is never below what is payable, so no discount is negative.
    """
    unit = max(unit_price, payable / quantity).quantize(_FINEST, ROUND_CEILING)
    discount = (unit * quantity - payable).quantize(_FINEST, ROUND_HALF_UP)
    return plain(unit), plain(discount)


def order_rest(lines_payable: Decimal, shipping: Decimal, total: Decimal) -> tuple[Decimal, Decimal]:
    """Discount of the order, and shipping with what else was charged, such that lines − discount + shipping is `total`.

    What the total lacks is a discount on the order; what it has beyond is a charge and goes with shipping, outside
    net sales.
    """
    rest = lines_payable + shipping - total
    return (plain(rest), plain(shipping)) if rest >= 0 else (ZERO, plain(shipping - rest))


def shares(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """`total` divided by the weights, to the cent, largest remainder first; in equal parts if all weights are zero."""
    if not weights:
        return []
    whole = sum(weights, ZERO)
    exact = [total * weight / whole if whole else total / len(weights) for weight in weights]
    parts = [part.quantize(_CENT, ROUND_FLOOR) for part in exact]
    missing = int((total - sum(parts, ZERO)) / _CENT)
    for index in sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))[:missing]:
        parts[index] += _CENT
    return parts


def plain(amount: Decimal) -> Decimal:
    """The same amount with two decimals, or with as many more as it needs."""
    exponent = amount.normalize().as_tuple().exponent
    return amount.quantize(_CENT) if not isinstance(exponent, int) or exponent > -2 else amount.normalize()
