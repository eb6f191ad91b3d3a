"""What the awkward landing of contract_landing must come out as, worked out by hand from the contracts' own words.

Belongs here: amounts and days as written down, or computed in Decimal. Does not belong here: anything that is read from
the code under test.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
JUNE_10, JUNE_11 = "2026-06-10", "2026-06-11"


def net(amount: str, tax_rate: str = "0", rate: str = "1") -> Decimal:
    """VAT out, to the cent; then into the reporting currency, to the cent."""
    without_tax = (Decimal(amount) / (1 + Decimal(tax_rate))).quantize(CENT, ROUND_HALF_UP)
    return (without_tax * Decimal(rate)).quantize(CENT, ROUND_HALF_UP)


# (channel, order): business date, net before returns, goods returned, qualified.
ORDERS: dict[tuple[str, str], tuple[str, Decimal, Decimal, bool]] = {}


def _expect(
    channel: str,
    order_id: str,
    amount: Decimal | str,
    returned: Decimal | str = "0",
    qualified: bool = True,
    day: str = JUNE_10,
) -> None:
    ORDERS[channel, order_id] = (day, Decimal(amount), Decimal(returned), qualified)


_expect("web", "tax_line", net("99.98", "0.13"))
_expect("web", "tax_own", net("10.60", "0.06"))
_expect("web", "tax_zero", "11.30")
_expect("web", "half_cent", "0.11")
_expect("web", "ties", "29")
_expect("web", "remainders", "25")
_expect("web", "gift", "9")
_expect("web", "mixed_card", "95")
_expect("web", "cards", "0", qualified=False)
_expect("web", "cardboard", "4")
_expect("web", "by_card", "30")
_expect("web", "exchanged", "12", qualified=False)
_expect("web", "credit", "13", qualified=False)
_expect("web", "test", "0", qualified=False)
_expect("web", "staff", "21", qualified=False)
_expect("web", "unpaid", "0", qualified=False)
_expect("web", "never_paid", "0", qualified=False)
_expect("web", "paid_cancelled", "40", "0", qualified=False)
_expect("web", "swap", "12", "12", qualified=False)
_expect("web", "part", "100", net("56.50", "0.13"))
_expect("web", "goods_first", "50", "30")
_expect("web", "all_back", "50", "50", qualified=False)
_expect("web", "over", "50", "50", qualified=False)
_expect("web", "shipped_back", "50", "49.99")
_expect("web", "only_gifts", "0", qualified=False)
_expect("web", "status_paid", "17")
_expect("web", "pays_later", "0", qualified=False)
_expect("web", "cancelled_later", "70")
_expect("web", "back_later", "80")
_expect("web", "plus", "3.75")
_expect("web", "exponent", "100")
_expect("berlin", "eur", net("11.90", "0.19", "7.85") + net("0.35", "0", "7.85"), net("11.90", "0.19", "7.85"))
_expect("berlin", "gap", net("10", rate="8.1"), day="2026-03-29")
_expect("berlin", "overlap", net("10", rate="8.1"), day="2025-10-26")
_expect("berlin", "in_ny", net("10", rate="7.85"), net("4", rate="7.85"))
_expect("berlin", "unknown_store", net("10", rate="7.85"))
_expect("berlin", "zulu", net("10", rate="7.85"), day=JUNE_11)
for _order in ("no_colon", "no_seconds", "hours_only"):
    _expect("berlin", _order, net("10", rate="7.85"))
_expect("till", "before_cutoff", "10")
_expect("till", "after_cutoff", "10", day=JUNE_11)
_expect("till", "last_of_june", "10", day="2026-06-30")
for _order in ("gbk1", "gbk2", "0007", "7"):
    _expect("till", _order, "1")
_expect("web", "bom1", "1")
_expect("app", "12", "0.20")
for _order in ("is_false", "is_False", "is_"):
    _expect("app", _order, "10")
for _order in ("is_true", "is_TRUE"):
    _expect("app", _order, "0", qualified=False)
_expect("app", "pq1", "30")
_expect("app", "Pq1", "10")
_expect("app", "set", "11")
_expect("web", "ok_among_bad", "10")
_expect("web", "v_newer", "2")
_expect("web", "v_tie", "2")
_expect("web", "v_files", "2")
_expect("web", "v_fewer", "4")
_expect("web", "V_case", "8")
_expect("web", "v_case", "9")
_expect("mini_a", "shared_content", "3")
_expect("mini_b", "shared_content", "3")
for _order in ("p_gift", "p_guest", "p_stranger", "p_device", "p_masked", "p_never", "p_gone", "p_by_phone"):
    _expect("web", _order, "20")
_expect("web", "s1", "10")
_expect("web", "s2", "10")

MEMBER_ORDERS = {
    ("web", order)
    for order in (
        "cards", "exchanged", "staff", "all_back", "shipped_back", "plus", "p_gift", "p_never", "p_gone", "p_by_phone",
        "s2",
        "cancelled_later", "back_later",
    )
}  # fmt: skip

# Returns and cancellations: the day they are booked on, and their net amount.
REVERSALS: dict[tuple[str, str], list[tuple[str, Decimal]]] = {
    ("web", "paid_cancelled"): [("2026-06-13", Decimal(-40))],
    ("web", "swap"): [("2026-06-12", Decimal(-12))],
    ("web", "part"): [("2026-06-12", Decimal(-50))],
    ("web", "goods_first"): [("2026-06-12", Decimal(-30))],
    ("web", "all_back"): [("2026-06-12", Decimal(-50))],
    ("web", "over"): [("2026-06-12", Decimal(-50))],
    ("web", "shipped_back"): [("2026-06-12", Decimal("-49.99"))],
    ("berlin", "eur"): [("2026-06-12", Decimal("-78.50"))],
    ("berlin", "in_ny"): [("2026-06-15", Decimal("-31.40"))],
}
