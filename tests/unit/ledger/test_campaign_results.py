"""Campaigns against those held out: who counts where, when an order counts, what it brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

from tests.support.raw_tables import a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import a_line, a_product, a_refund, an_order, returned

CHANNELS = the_channels(a_channel("pos"))
AS_OF = date(2026, 6, 30)
RULES = {
    "campaign_id": "recall", "name_zh": "召回", "name_en": "Recall", "kind": "recall", "holdout_share": "0.5",
    "valid_days": 9, "currency": "CNY", "send_cost": "0.05", "budget_coupons": 100, "budget_liability": "900",
}  # fmt: skip


def treated(customer: str, **changes: Any) -> dict[str, Any]:
    """Decided on 1 June to get a coupon that is valid to 10 June."""
    return {
        "delivery_id": f"d{customer}{changes.get('destination', '')}", "campaign_id": "recall", "wave": "1",
        "customer_id": customer,
        "state": "applied", "decided_on": "2026-06-01", "valid_to": "2026-06-10", "liability_cents": 3000,
    } | {name: value for name, value in changes.items() if name != "destination"}  # fmt: skip


def held_out(customer: str, **changes: Any) -> dict[str, Any]:
    """Held out on 1 June."""
    return treated(customer, state="held_out", valid_to=None, liability_cents=0) | changes


def bought(order: str, day: str, **changes: Any) -> dict[str, Any]:
    """An order of 100 at noon of that day in Shanghai."""
    at = f"{day} 04:00:00"
    return dict(an_order(order, updated_at=at, placed_at=at, paid_at=at, **changes))


def results(
    build: Build,
    decisions: Sequence[Mapping[str, Any]],
    orders: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    rules: Mapping[str, Any] = RULES,
    merges: Sequence[Mapping[str, Any]] = (),
    as_of: date = AS_OF,
    **feeds: Any,
) -> dict[str, Any]:
    """The row of campaign `recall`. orders: by the customer who placed them, as (customer, number)."""
    placed = dict(orders or {})
    identity = {
        "order_customers": [
            {"channel": "pos", "order_id": order["order_id"], "customer_id": name.split("/")[0]}
            for name, order in placed.items()
        ],
        "merges": merges,
    }
    connection = build(
        CHANNELS,
        as_of,
        {"orders": list(placed.values()), "products": [a_product("food", cost="60")], **feeds},
        identity,
        {"campaign_decisions": decisions, "campaign_rules": [rules]},
    )
    found = connection.execute("SELECT * FROM marts.campaign_results WHERE campaign_id = 'recall'").to_arrow_table()
    (row,) = found.to_pylist()
    return row


def test_whoever_was_decided_counts_and_orders_count_within_the_window_alone(build: Build) -> None:
    row = results(
        build,
        [
            treated("c1"),
            treated("c1", destination="mall", state="applied"),
            treated("c2"),
            treated("c3"),
            treated("c4", state="suppressed"),
            held_out("c5"),
            held_out("c6"),
        ],
        {
            "c1/1": bought("o1", "2026-06-02"),
            "c1/2": bought("o2", "2026-06-01"),
            "c2/1": bought("o3", "2026-06-10"),
            "c3/1": bought("o4", "2026-06-11"),
            "c4/1": bought("o5", "2026-06-05", status="cancelled", cancelled_at="2026-06-05 05:00:00"),
            "c6/1": bought("o6", "2026-06-11"),
        },
        refunds=[a_refund("r1", "o3", "30", returned("1", "30"))],
    )
    assert (row["treated"], row["held_out"]) == (4, 2)
    assert (row["converted_treated"], row["converted_control"]) == (2, 0)
    assert (row["conversion_treated"], row["conversion_control"], row["uplift"]) == (0.5, 0.0, 0.5)
    # 100 less a cost of 60; and of the second, of which three tenths came back, seven tenths of that.
    assert row["margin_treated"] == Decimal("40.00") + Decimal("28.00")
    assert (row["coupons_issued"], row["cost"], row["liability_used"]) == (3, Decimal("0.15"), Decimal("90.00"))
    assert row["incremental_margin"] == row["margin_treated"] - row["cost"]
    assert row["roi"] == pytest.approx(float(row["incremental_margin"]) / 0.15)
    assert (row["is_complete"], row["window_ends_on"], row["verdict"]) == (True, date(2026, 6, 10), "too_few")


def test_a_window_that_is_still_open_says_so_and_the_future_does_not_count(build: Build) -> None:
    orders = {"c1/1": bought("o1", "2026-06-03"), "c2/1": bought("o2", "2026-06-07")}
    row = results(build, [treated("c1"), treated("c2"), held_out("c3")], orders, as_of=date(2026, 6, 5))
    assert (row["is_complete"], row["converted_treated"]) == (False, 1)


def test_merged_persons_count_once_and_those_decided_both_ways_not_at_all(build: Build) -> None:
    merges = [
        {"event_id": "1", "at": "2026-06-20", "kind": "merge", "from_customer_id": old, "into_customer_id": new}
        for old, new in (("c2", "c1"), ("c4", "c3"))
    ]
    decisions = [treated("c1"), treated("c2"), treated("c3"), held_out("c4"), held_out("c5")]
    row = results(build, decisions, {"c1/1": bought("o1", "2026-06-03")}, merges=merges)
    assert (row["treated"], row["held_out"], row["converted_treated"]) == (1, 1, 1)


def test_margins_a_head_are_compared_where_the_groups_differ_in_size(build: Build) -> None:
    decisions = [*(treated(f"t{number}") for number in range(3)), held_out("h1"), held_out("h2")]
    orders = {
        "t0/1": bought("o1", "2026-06-02"),
        "t1/1": bought("o2", "2026-06-02"),
        "h1/1": bought("o3", "2026-06-02"),
    }
    row = results(build, decisions, orders)
    # 80 - 40 x 3 / 2 - 3 coupons of 0.05
    assert row["incremental_margin"] == Decimal("19.85")
    assert row["incremental_margin_low"] < row["incremental_margin"] < row["incremental_margin_high"]


@pytest.mark.parametrize(
    ("decisions", "verdict"),
    [([], "not_decided"), ([treated("c1")], "no_control"), ([held_out("c1")], "no_treated")],
)
def test_without_both_groups_there_is_no_effect_to_speak_of(
    build: Build, decisions: list[dict[str, Any]], verdict: str
) -> None:
    row = results(build, decisions, {"c1/1": bought("o1", "2026-06-02")})
    assert row["verdict"] == verdict
    assert [row[name] for name in ("uplift", "ci_low", "ci_high", "incremental_margin", "roi")] == [None] * 5


def test_a_cost_in_another_currency_is_converted_and_one_without_a_rate_is_unknown(build: Build) -> None:
    campaign = {
        "campaign_id": "recall",
        "name": "x",
        "kind": "k",
        "updated_at": "2026-01-01",
        "cost": "10",
        "currency": "EUR",
    }
    rate = {"currency": "EUR", "date": "2026-01-01", "rate": "7.8"}
    decisions = [treated("c1"), held_out("c2")]
    known = results(build, decisions, campaigns=[campaign], fx_rates=[rate])
    assert known["cost"] == Decimal("78.05")
    unknown = results(build, decisions, campaigns=[campaign])
    assert (unknown["cost"], unknown["roi"]) == (None, None)
    free = results(build, decisions, rules=RULES | {"send_cost": None})
    assert (free["cost"], free["roi"], free["incremental_margin"]) == (None, None, Decimal(0))


def wilson(share: float, n: int, side: int) -> float:
    """End of Wilson's 95 % interval."""
    z = norm.ppf(0.975)
    return (share + z * z / (2 * n) + side * z * np.sqrt((share * (1 - share) + z * z / (4 * n)) / n)) / (1 + z * z / n)


@pytest.mark.parametrize(("n_treated", "n_control", "verdict"), [(70, 60, "lift"), (120, 40, "broken_split")])
def test_the_interval_is_newcombes_and_the_split_is_tested(
    build: Build, n_treated: int, n_control: int, verdict: str
) -> None:
    decisions = [treated(f"t{n}") for n in range(n_treated)] + [held_out(f"h{n}") for n in range(n_control)]
    orders = {f"t{n}/1": bought(f"ot{n}", "2026-06-03") for n in range(30)}
    orders |= {f"h{n}/1": bought(f"oh{n}", "2026-06-03", lines=[a_line()]) for n in range(5)}
    row = results(build, decisions, orders)
    p, q = 30 / n_treated, 5 / n_control
    low = p - q - np.hypot(p - wilson(p, n_treated, -1), q - wilson(q, n_control, 1))
    high = p - q + np.hypot(p - wilson(p, n_treated, 1), q - wilson(q, n_control, -1))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=1e-6)
    half = (n_treated + n_control) / 2
    statistic = (n_treated - half) ** 2 / half + (n_control - half) ** 2 / half
    assert row["srm_p_value"] == pytest.approx(chi2.sf(statistic, 1), abs=1e-6)
    assert row["verdict"] == verdict
