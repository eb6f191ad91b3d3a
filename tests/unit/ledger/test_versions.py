"""Which version of an order, a line and a refund holds, and what waits for the rest of itself."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.raw_tables import Row, a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import a_line, a_refund, an_order, returned

CHANNELS = the_channels(a_channel("pos"), a_channel("web"))
AS_OF = date(2026, 6, 30)
EARLY, LATE, LATER = "2026-06-02 00:00:00", "2026-06-03 00:00:00", "2026-06-04 00:00:00"


def line_nets(build: Build, **feeds: list[Row]) -> dict[str, dict[str, Decimal]]:
    """Net sales before returns by order and line."""
    connection = build(CHANNELS, AS_OF, feeds)
    nets: dict[str, dict[str, Decimal]] = {}
    for order_id, line_id, net in connection.execute(
        "SELECT order_id, line_id, net_amount FROM marts.order_events WHERE kind = 'sale' ORDER BY ALL"
    ).fetchall():
        nets.setdefault(order_id, {})[line_id] = net
    return nets


def a_separate_line(order_id: str, line_id: str, price: str, updated_at: str | None = None, **changes: Any) -> Row:
    line = a_line(line_id, unit_price=price, **changes)
    return {"channel": "pos", "order_id": order_id, "updated_at": updated_at, **line}


def test_the_newest_version_holds_whatever_order_they_arrive_in(build: Build) -> None:
    newest = an_order("o", a_line(unit_price="30"), updated_at=LATER)
    older = an_order("o", a_line(unit_price="20"), updated_at=EARLY)
    assert line_nets(build, orders=[newest, older, older]) == {"o": {"1": Decimal("30.00")}}


def test_of_equal_versions_the_later_arrival_holds(build: Build) -> None:
    first = an_order("o", a_line(unit_price="20"), updated_at=LATE)
    second = an_order("o", a_line(unit_price="30"), updated_at=LATE)
    assert line_nets(build, orders=[first, second]) == {"o": {"1": Decimal("30.00")}}


def test_one_number_in_two_channels_is_two_orders(build: Build) -> None:
    orders = [an_order("o", a_line(unit_price="20")), an_order("o", a_line(unit_price="30"), channel="web")]
    connection = build(CHANNELS, AS_OF, {"orders": orders})
    found = connection.execute("SELECT channel, net_amount FROM marts.orders ORDER BY channel").fetchall()
    assert found == [("pos", Decimal("20.00")), ("web", Decimal("30.00"))]


def test_an_order_sent_again_with_other_lines_has_those_lines_alone(build: Build) -> None:
    first = an_order("o", a_line("1"), a_line("2"), updated_at=EARLY)
    again = an_order("o", a_line("2", unit_price="7"), a_line("3", unit_price="8"), updated_at=LATE)
    assert line_nets(build, orders=[again, first]) == {"o": {"2": Decimal("7.00"), "3": Decimal("8.00")}}


def test_a_later_version_without_lines_keeps_the_lines_known(build: Build) -> None:
    first = an_order("o", a_line("1", unit_price="20"), updated_at=EARLY)
    status_only = an_order("o", status="completed", updated_at=LATE, lines=None)
    assert line_nets(build, orders=[first, status_only]) == {"o": {"1": Decimal("20.00")}}


def test_lines_of_a_second_feed_are_upserts_by_line(build: Build) -> None:
    lines = [
        a_separate_line("o", "1", "20"),
        a_separate_line("o", "2", "30"),
        a_separate_line("o", "2", "35"),
    ]
    assert line_nets(build, orders=[an_order("o", lines=None)], order_lines=lines) == {
        "o": {"1": Decimal("20.00"), "2": Decimal("35.00")}
    }


def test_a_newer_set_of_lines_replaces_the_older_whole(build: Build) -> None:
    lines = [
        a_separate_line("o", "2", "9", LATE),
        a_separate_line("o", "3", "8", LATE),
        a_separate_line("o", "1", "20", EARLY),
        a_separate_line("o", "2", "30", EARLY),
    ]
    assert line_nets(build, orders=[an_order("o", lines=None)], order_lines=lines) == {
        "o": {"2": Decimal("9.00"), "3": Decimal("8.00")}
    }


@pytest.mark.parametrize(("arrives_late", "expected"), [(True, {"1", "2"}), (False, {"1"})])
def test_a_line_without_a_version_joins_the_newest_set_only_if_it_came_after(
    build: Build, arrives_late: bool, expected: set[str]
) -> None:
    versioned, plain = a_separate_line("o", "1", "20", LATE), a_separate_line("o", "2", "30")
    lines = [versioned, plain] if arrives_late else [plain, versioned]
    assert set(line_nets(build, orders=[an_order("o", lines=None)], order_lines=lines)["o"]) == expected


def test_lines_within_the_newest_order_stand_above_the_feed_of_lines(build: Build) -> None:
    order = an_order("o", a_line("1", unit_price="20"), updated_at=LATE)
    assert line_nets(build, orders=[order], order_lines=[a_separate_line("o", "9", "5")]) == {
        "o": {"1": Decimal("20.00")}
    }


def test_an_order_without_lines_and_lines_without_an_order_wait(build: Build) -> None:
    connection = build(
        CHANNELS,
        AS_OF,
        {"orders": [an_order("no_lines", lines=None)], "order_lines": [a_separate_line("no_order", "1", "5")]},
    )
    waiting = connection.execute("SELECT feed, channel, entity_id, reason FROM marts.waiting ORDER BY feed").fetchall()
    assert waiting == [
        ("order_lines", "pos", "no_order", "the order has not come"),
        ("orders", "pos", "no_lines", "lines have not come"),
    ]
    assert connection.execute("SELECT count(*) FROM marts.orders").fetchone() == (0,)


def test_the_discount_of_an_order_with_separate_lines_breaks_ties_by_arrival(build: Build) -> None:
    lines = [a_separate_line("o", line_id, "20") for line_id in ("c", "a", "b")]
    orders = [an_order("o", lines=None, discount_amount="10")]
    assert line_nets(build, orders=orders, order_lines=lines)["o"] == {
        "c": Decimal("16.66"),
        "a": Decimal("16.67"),
        "b": Decimal("16.67"),
    }


def test_the_newest_version_of_a_refund_holds(build: Build) -> None:
    refunds = [
        a_refund("r", "o", "30", returned("1", "30"), updated_at=LATE),
        a_refund("r", "o", "20", returned("1", "20"), updated_at=EARLY),
    ]
    connection = build(CHANNELS, AS_OF, {"orders": [an_order("o")], "refunds": refunds})
    assert connection.execute("SELECT refunded_amount FROM marts.orders").fetchall() == [(Decimal("30.00"),)]


def test_a_refund_that_comes_before_its_order_is_booked_once_the_order_has_come(build: Build) -> None:
    refunds = [a_refund("r", "o", "30", returned("1", "30"), _arrival=1)]
    connection = build(CHANNELS, AS_OF, {"orders": [an_order("o", _arrival=2)], "refunds": refunds})
    assert connection.execute("SELECT refunded_amount FROM marts.orders").fetchall() == [(Decimal("30.00"),)]
    assert connection.execute("SELECT count(*) FROM marts.waiting").fetchone() == (0,)


def test_the_newest_version_of_a_product_gives_category_and_rate(build: Build) -> None:
    products = [
        {"sku": "food", "updated_at": LATE, "name": "n", "category_path": " /drinks/tea/", "tax_rate": "0.13"},
        {"sku": "food", "updated_at": EARLY, "name": "n", "category_path": "food", "tax_rate": "0.09"},
    ]
    orders = [an_order("o", a_line(unit_price="113", tax_rate=None))]
    connection = build(CHANNELS, AS_OF, {"products": products, "orders": orders})
    assert connection.execute("SELECT category, net_amount FROM marts.category_daily").fetchall() == [
        ("drinks", Decimal("100.00"))
    ]


def test_the_later_arrival_of_a_days_rate_holds(build: Build) -> None:
    rates = [{"currency": "USD", "date": "2026-06-01", "rate": rate} for rate in ("7", "8")]
    connection = build(CHANNELS, AS_OF, {"orders": [an_order("o", currency="USD")], "fx_rates": rates})
    assert connection.execute("SELECT fx_rate, net_amount FROM marts.orders").fetchall() == [
        (Decimal("8"), Decimal("800.00"))
    ]
