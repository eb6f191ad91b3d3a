"""As-of: the last business date included; what happened later has not happened."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest

from tests.support.raw_tables import Row, a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import NOON, a_line, a_refund, an_order, returned

CHANNELS = the_channels(
    a_channel("pos", business_day_cutoff=time(4)), a_channel("web", timezone="America/New_York", online=True)
)


def orders_as_of(build: Build, day: int, columns: str, **feeds: list[Row]) -> list[tuple[Any, ...]]:
    """The orders mart on that day of June."""
    connection = build(CHANNELS, date(2026, 6, day), feeds)
    return connection.execute(f"SELECT {columns} FROM marts.orders ORDER BY order_id").fetchall()


@pytest.mark.parametrize(("day", "known"), [(1, []), (2, [("o",)])])
def test_an_order_belongs_to_the_as_of_date_by_its_business_day(
    build: Build, day: int, known: list[tuple[str]]
) -> None:
    # Four in the morning of 2 June in Shanghai: the first minute of that business day.
    order = an_order("o", placed_at="2026-06-01 20:00:00", paid_at="2026-06-01 20:00:00")
    assert orders_as_of(build, day, "order_id", orders=[order]) == known


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1, ("pending", False, date(2026, 6, 1), Decimal("0.00"))),
        (3, ("paid", True, date(2026, 6, 3), Decimal("100.00"))),
    ],
)
def test_a_payment_after_the_as_of_date_has_not_happened(build: Build, day: int, expected: tuple[Any, ...]) -> None:
    order = an_order("o", paid_at="2026-06-03 04:00:00")
    found = orders_as_of(build, day, "status, is_paid, business_date, net_amount", orders=[order])
    assert found == [expected]


@pytest.mark.parametrize(("day", "expected"), [(3, ("paid", True)), (4, ("cancelled", False))])
def test_a_cancellation_after_the_as_of_date_has_not_happened(
    build: Build, day: int, expected: tuple[str, bool]
) -> None:
    order = an_order("o", status="cancelled", cancelled_at="2026-06-04 04:00:00")
    assert orders_as_of(build, day, "status, is_qualified", orders=[order]) == [expected]


@pytest.mark.parametrize(
    ("day", "net_by_day"),
    [
        (3, {1: "100.00", 3: "-40.00"}),
        (4, {1: "100.00", 4: "-100.00"}),
    ],
)
def test_a_refund_counts_until_the_cancellation_takes_its_place(
    build: Build, day: int, net_by_day: dict[int, str]
) -> None:
    order = an_order("o", status="cancelled", cancelled_at="2026-06-04 04:00:00")
    refund = a_refund("r", "o", "40", returned("1", "40"))
    connection = build(CHANNELS, date(2026, 6, day), {"orders": [order], "refunds": [refund]})
    found = connection.execute("SELECT day(business_date), net_amount FROM marts.sales_daily ORDER BY ALL").fetchall()
    assert found == [(number, Decimal(net)) for number, net in net_by_day.items()]


@pytest.mark.parametrize(("day", "expected"), [(2, ("paid", "0.00")), (3, ("refunded", "100.00"))])
def test_a_refund_after_the_as_of_date_has_not_happened(build: Build, day: int, expected: tuple[str, str]) -> None:
    order = an_order("o", status="refunded")
    found = orders_as_of(build, day, "status, refunded_amount", orders=[order], refunds=[a_refund("r", "o", "100")])
    assert found == [(expected[0], Decimal(expected[1]))]


def test_a_later_refund_never_changes_what_an_earlier_one_took(build: Build) -> None:
    order = an_order("o", a_line("1", unit_price="60"), a_line("2", unit_price="40"))
    refunds = [
        a_refund("r1", "o", "10"),
        a_refund("r2", "o", "60", returned("1", "60"), refunded_at="2026-06-05 04:00:00"),
    ]
    taken = []
    for day in (3, 6):
        connection = build(CHANNELS, date(2026, 6, day), {"orders": [order], "refunds": refunds})
        taken.append(
            connection.execute(
                "SELECT line_id, net_amount FROM marts.order_events WHERE refund_id = 'r1' ORDER BY line_id"
            ).fetchall()
        )
    assert taken[0] == taken[1] == [("1", Decimal("-6.00")), ("2", Decimal("-4.00"))]


def test_operating_and_cohort_series_differ_by_the_day_of_the_return(build: Build) -> None:
    connection = build(
        CHANNELS,
        date(2026, 6, 30),
        {"orders": [an_order("o")], "refunds": [a_refund("r", "o", "40", returned("1", "40"))]},
    )
    assert connection.execute(
        "SELECT day(business_date), net_amount, net_amount_cohort FROM marts.sales_daily ORDER BY ALL"
    ).fetchall() == [(1, Decimal("100.00"), Decimal("60.00")), (3, Decimal("-40.00"), Decimal("0.00"))]


def test_a_return_to_another_store_is_booked_to_the_selling_store(build: Build) -> None:
    connection = build(
        CHANNELS,
        date(2026, 6, 30),
        {
            "orders": [an_order("o", store_id="s1")],
            "refunds": [a_refund("r", "o", "40", returned("1", "40"), return_store_id="s2")],
        },
    )
    assert connection.execute(
        "SELECT store_id, return_store_id FROM marts.order_events WHERE kind = 'return'"
    ).fetchall() == [("s1", "s2")]


def test_an_order_and_its_later_events_use_the_zone_of_its_store(build: Build) -> None:
    stores = [
        {"store_id": "berlin", "updated_at": NOON, "name": "b", "timezone": "Europe/Berlin"},
        {"store_id": "nowhere", "updated_at": NOON, "name": "n", "timezone": "Mars/Olympus"},
    ]
    # 22:30 UTC on 1 June: past midnight in Berlin (cutoff 4: still the 1st), half past six in Shanghai on the 2nd.
    orders = [
        an_order(f"at_{store}", store_id=store, placed_at="2026-06-01 22:30:00", paid_at="2026-06-01 22:30:00")
        for store in ("berlin", "nowhere", "unheard")
    ]
    refunds = [a_refund("r", "at_berlin", "9", refunded_at="2026-06-03 01:00:00")]
    connection = build(CHANNELS, date(2026, 6, 30), {"orders": orders, "stores": stores, "refunds": refunds})
    assert connection.execute(
        'SELECT order_id, kind, day(business_date) FROM marts.order_events ORDER BY order_id, "at"'
    ).fetchall() == [
        ("at_berlin", "sale", 1),
        ("at_berlin", "return", 2),
        ("at_nowhere", "sale", 2),
        ("at_unheard", "sale", 2),
    ]


def test_the_store_of_the_channel_itself_stands_above_the_shared_one(build: Build) -> None:
    stores = [
        {"store_id": "s", "updated_at": NOON, "name": "shared", "timezone": "Asia/Shanghai"},
        {"channel": "web", "store_id": "s", "updated_at": NOON, "name": "own", "timezone": "Europe/Berlin"},
    ]
    order = an_order("o", channel="web", store_id="s", paid_at="2026-06-01 21:30:00")
    connection = build(CHANNELS, date(2026, 6, 30), {"orders": [order], "stores": stores})
    assert connection.execute("SELECT business_date FROM marts.orders").fetchall() == [(date(2026, 6, 1),)]
    assert connection.execute("SELECT name FROM marts.stores").fetchall() == [("shared",)]


def test_summer_time_does_not_move_a_business_day(build: Build) -> None:
    # New York, 8 March: 23:30 standard time the day before, 23:30 daylight time on the day.
    orders = [
        an_order("before", channel="web", paid_at="2026-03-08 04:30:00"),
        an_order("after", channel="web", paid_at="2026-03-09 03:30:00"),
    ]
    connection = build(CHANNELS, date(2026, 6, 30), {"orders": orders})
    assert connection.execute("SELECT order_id, business_date FROM marts.orders ORDER BY 2").fetchall() == [
        ("before", date(2026, 3, 7)),
        ("after", date(2026, 3, 8)),
    ]


def test_the_rate_is_that_of_the_business_day_of_the_sale(build: Build) -> None:
    rates = [{"currency": "USD", "date": f"2026-06-0{day}", "rate": str(day)} for day in (1, 2, 3)]
    # Three in the morning of 3 June in Shanghai is still the business day of the 2nd.
    order = an_order("o", currency="USD", placed_at="2026-06-01 04:00:00", paid_at="2026-06-02 19:00:00")
    connection = build(CHANNELS, date(2026, 6, 30), {"orders": [order], "fx_rates": rates})
    assert connection.execute("SELECT fx_rate FROM marts.orders").fetchall() == [(Decimal(2),)]
