"""Each sentence of "Money on an order" and of the ledger rules, worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from pipelines.settings import Settings
from tests.support.dbt_models import CompiledModels, memory_warehouse
from tests.support.raw_tables import a_channel, create_warehouse_tables, the_channels
from tests.unit.ledger.samples import NOON, a_line, a_product, a_refund, an_order, returned

ORDERS = [
    an_order("markdown", a_line(unit_list_price="120", tax_rate="0.13")),
    an_order("no_list_price", a_line(tax_rate="0.13")),
    an_order("line_discount", a_line(quantity="3", unit_price="10", discount_amount="5")),
    an_order("sold_above_list", a_line(unit_list_price="90")),
    an_order(
        "three_equal_lines", *(a_line(str(n), unit_price="20") for n in (1, 2, 3)), discount_amount="10"
    ),
    an_order(
        "unequal_lines",
        a_line("1", unit_price="10"), a_line("2", unit_price="20"), a_line("3", unit_price="30"),
        discount_amount="1",
    ),
    an_order(
        "with_gift",
        a_line("1"), a_line("2", unit_price="0", unit_list_price="10", is_gift=True), a_line("3", is_gift=True),
        discount_amount="10",
    ),
    an_order("only_gifts", a_line(unit_price="30", is_gift=True), discount_amount="10"),
    an_order(
        "points_and_gift_card",
        discount_amount="10",
        tenders=[{"type": "points", "amount": "15"}, {"type": "gift_card", "amount": "75"}],
    ),
    an_order("discount_finer_than_a_cent", a_line("1"), a_line("2"), discount_amount="0.0150"),
    an_order("tax_of_the_product", a_line(sku="taxed", tax_rate=None, unit_price="109")),
    an_order("tax_of_the_line", a_line(sku="taxed", unit_price="109")),
    an_order("tax_of_nobody", a_line(sku="unheard", tax_rate=None)),
    an_order("tax_below_zero", a_line(tax_rate="-1")),
    an_order("own_product_first", a_line(sku="both", tax_rate=None, unit_price="113")),
    an_order("gift_card_alone", a_line(sku="card")),
    an_order("gift_card_beside", a_line("1"), a_line("2", sku="card"), a_line("3", sku="top_up"), discount_amount="30"),
    an_order("cardholder", a_line(sku="holder")),
    an_order("with_shipping", shipping_amount="12", paid_amount="112"),
    an_order("half_units", a_line(quantity="0.3333", unit_price="9.99")),
    an_order("discount_above_price", a_line(discount_amount="120")),
    an_order("twice_the_same_line", a_line("1", unit_price="1"), a_line("1", unit_price="2")),
    an_order("large_but_bookable", a_line(unit_price="99999999999", quantity="9", tax_rate="0.13")),
    an_order("too_large", a_line(unit_price="99999999999999.9999", quantity="99999999999999.9999")),
    an_order("too_large_discount", discount_amount="-99999999999999"),
    an_order("unpaid", status="pending", paid_at=None),
    an_order("paid_without_a_time", paid_at=None),
    an_order("test", is_test=True),
    an_order("staff", is_staff=True),
    an_order("cancelled", status="cancelled", cancelled_at="2026-06-04 04:00:00"),
    an_order("cancelled_unpaid", status="cancelled", paid_at=None, cancelled_at="2026-06-04 04:00:00"),
    an_order("exchange_by_tender", tenders=[{"type": "exchange_credit", "amount": "100"}]),
    an_order("exchange_by_reference", exchange_of="markdown"),
    an_order("refunded_with_shipping", shipping_amount="12"),
    an_order("refunded_too_much"),
    an_order("refunded_in_two", a_line(unit_price="10", tax_rate="0.13")),
    an_order(
        "refunded_without_lines",
        a_line("1", unit_price="60"), a_line("2", unit_price="40"),
        shipping_amount="10",
    ),
    an_order("refunded_whole_without_lines", a_line("1", unit_price="60"), a_line("2", unit_price="40")),
    an_order("refunded_unknown_line"),
    an_order("refunded_gift_card", a_line("1"), a_line("2", sku="card")),
    an_order("exchanged"),
    an_order(
        "discounted_and_refunded",
        a_line("1", unit_price="20"), a_line("2", unit_price="40"),
        discount_amount="10",
    ),
    an_order("free", discount_amount="100"),
    an_order("dollars", a_line(unit_price="10"), currency="USD"),
    an_order("yen", a_line(unit_price="999", tax_rate="0.10"), currency="JPY"),
    an_order("no_rate", currency="GBP"),
    an_order("dollars_refunded_in_yuan", a_line(unit_price="10"), currency="USD"),
]  # fmt: skip

REFUNDS = [
    a_refund("r1", "refunded_with_shipping", "112", returned("1", "100", "1")),
    a_refund("r2", "refunded_too_much", "150", returned("1", "150", "1")),
    a_refund("r3", "refunded_in_two", "5", returned("1", "5")),
    a_refund("r4", "refunded_in_two", "5", returned("1", "5"), refunded_at="2026-06-05 04:00:00"),
    a_refund("r5", "refunded_without_lines", "25"),
    a_refund("r6", "refunded_whole_without_lines", "104.5"),
    a_refund("r7", "refunded_unknown_line", "30", returned("gone", "30")),
    a_refund("r8", "refunded_gift_card", "100", returned("2", "100")),
    a_refund("r9", "exchanged", "100", returned("1", "100", "1"), reason="exchange"),
    a_refund("r10", "cancelled", "40", returned("1", "40")),
    a_refund("r11", "cancelled", "100", refunded_at="2026-06-05 04:00:00"),
    a_refund("r12", "discounted_and_refunded", "16.67", returned("1", "16.67", "1")),
    a_refund("r13", "dollars", "4", returned("1", "4"), currency="USD"),
    a_refund("r14", "dollars_refunded_in_yuan", "35.5", returned("1", "35.5"), currency="CNY"),
    a_refund("r15", "test", "100"),
    a_refund("r16", "unpaid", "100"),
    a_refund("r17", "never_came", "100"),
]

PRODUCTS = [
    a_product("food", cost="60", currency="CNY"),
    a_product("taxed", tax_rate="0.09"),
    a_product("both", tax_rate="0.09"),
    a_product("both", channel="pos", tax_rate="0.13"),
    a_product("card", category_path="gift_card/100"),
    a_product("top_up", category_path="top_up/mobile"),
    a_product("holder", category_path="gift_card_holders/leather"),
]

RATES = [
    {"currency": "USD", "date": "2026-05-29", "rate": "7.1"},
    {"currency": "USD", "date": "2026-06-02", "rate": "7.2"},
    {"currency": "JPY", "date": "2026-06-01", "rate": "0.0478"},
    {"currency": "GBP", "date": "2026-06-02", "rate": "9"},
]


@pytest.fixture(scope="module")
def ledger(
    ledger_models: CompiledModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), threads=1)
    customers = [
        {"channel": "pos", "order_id": order["order_id"], "customer_id": "c1", "matched_by": "member"}
        for order in ORDERS
    ]
    with memory_warehouse() as connection:
        create_warehouse_tables(
            connection,
            settings,
            the_channels(a_channel("pos")),
            date(2026, 6, 30),
            {"products": PRODUCTS, "fx_rates": RATES, "orders": ORDERS, "refunds": REFUNDS},
            {"order_customers": customers},
        )
        ledger_models.build(connection)
        yield connection


def events(ledger: duckdb.DuckDBPyConnection, order_id: str, columns: str = "net_amount") -> list[Any]:
    """Of an order by line, then time: line, kind and the columns."""
    return ledger.execute(
        f"SELECT line_id, kind, {columns} FROM marts.order_events WHERE order_id = ? "
        "ORDER BY line_id, \"at\", CASE kind WHEN 'sale' THEN 0 ELSE 1 END, refund_id",
        [order_id],
    ).fetchall()


def the_order(ledger: duckdb.DuckDBPyConnection, order_id: str, columns: str) -> tuple[Any, ...] | None:
    row = ledger.execute(f"SELECT {columns} FROM marts.orders WHERE order_id = ?", [order_id]).fetchone()
    return None if row is None else tuple(row)


def D(*texts: str) -> tuple[Decimal, ...]:  # noqa: N802
    return tuple(map(Decimal, texts))


AMOUNTS = "gross_amount, discount_amount, net_amount"


@pytest.mark.parametrize(
    ("order_id", "gross", "discount", "net"),
    [
        ("markdown", "106.19", "17.69", "88.50"),
        ("no_list_price", "88.50", "0.00", "88.50"),
        ("line_discount", "30.00", "5.00", "25.00"),
        ("sold_above_list", "90.00", "-10.00", "100.00"),
        ("points_and_gift_card", "100.00", "25.00", "75.00"),
        ("tax_of_the_product", "100.00", "0.00", "100.00"),
        ("tax_of_the_line", "109.00", "0.00", "109.00"),
        ("tax_of_nobody", "100.00", "0.00", "100.00"),
        ("tax_below_zero", "100.00", "0.00", "100.00"),
        ("own_product_first", "100.00", "0.00", "100.00"),
        ("cardholder", "100.00", "0.00", "100.00"),
        ("with_shipping", "100.00", "0.00", "100.00"),
        ("half_units", "3.33", "0.00", "3.33"),
        ("discount_above_price", "100.00", "120.00", "-20.00"),
        ("only_gifts", "30.00", "0.00", "30.00"),
        ("twice_the_same_line", "2.00", "0.00", "2.00"),
        ("large_but_bookable", "796460176983.19", "0.00", "796460176983.19"),
        ("free", "100.00", "100.00", "0.00"),
        ("yen", "43.41", "0.00", "43.41"),
    ],
)  # fmt: skip
def test_a_single_line_is_worth_what_the_contract_says(
    ledger: duckdb.DuckDBPyConnection, order_id: str, gross: str, discount: str, net: str
) -> None:
    assert events(ledger, order_id, AMOUNTS) == [("1", "sale", *D(gross, discount, net))]


@pytest.mark.parametrize(
    ("order_id", "nets"),
    [
        ("three_equal_lines", ["16.66", "16.67", "16.67"]),
        ("unequal_lines", ["9.83", "19.67", "29.50"]),
        ("with_gift", ["90.00", "0.00", "100.00"]),
        ("gift_card_beside", ["90.00"]),
        ("discount_finer_than_a_cent", ["99.99", "100.00"]),
    ],
)
def test_an_order_discount_goes_to_the_lines_that_are_no_gifts_largest_remainder_first(
    ledger: duckdb.DuckDBPyConnection, order_id: str, nets: list[str]
) -> None:
    assert [row[2] for row in events(ledger, order_id)] == list(D(*nets))


def test_gift_cards_and_top_ups_are_no_sale_and_alone_no_qualified_order(ledger: duckdb.DuckDBPyConnection) -> None:
    assert events(ledger, "gift_card_alone") == []
    assert the_order(ledger, "gift_card_alone", "is_paid, has_merchandise, is_qualified, net_amount") == (
        True, False, False, Decimal("0.00"),
    )  # fmt: skip
    assert [row[0] for row in events(ledger, "gift_card_beside")] == ["1"]


def test_an_amount_beyond_money_waits_and_stops_nothing(ledger: duckdb.DuckDBPyConnection) -> None:
    waiting = ledger.execute(
        "SELECT entity_id FROM marts.waiting WHERE reason LIKE '%too large%' ORDER BY 1"
    ).fetchall()
    assert waiting == [("too_large",), ("too_large_discount",)]
    assert the_order(ledger, "too_large", "net_amount") is None


@pytest.mark.parametrize("order_id", ["unpaid", "test", "cancelled_unpaid"])
def test_unpaid_and_test_orders_have_no_events_whatever_is_refunded(
    ledger: duckdb.DuckDBPyConnection, order_id: str
) -> None:
    assert events(ledger, order_id) == []
    assert the_order(ledger, order_id, "net_amount, refunded_amount, is_qualified") == (*D("0.00", "0.00"), False)


def test_a_paid_status_without_a_time_is_sold_when_it_was_placed(ledger: duckdb.DuckDBPyConnection) -> None:
    assert events(ledger, "paid_without_a_time", '"at"::VARCHAR') == [("1", "sale", NOON)]


def test_a_staff_order_is_a_sale_but_not_qualified(ledger: duckdb.DuckDBPyConnection) -> None:
    assert the_order(ledger, "staff", "net_amount, is_qualified, is_first_order") == (Decimal("100.00"), False, False)


def test_a_cancelled_paid_order_is_reversed_once_whole_and_its_refunds_move_only_cash(
    ledger: duckdb.DuckDBPyConnection,
) -> None:
    assert events(ledger, "cancelled", "net_amount, quantity, business_date::VARCHAR") == [
        ("1", "sale", *D("100.00", "1.0000"), "2026-06-01"),
        ("1", "cancel", *D("-100.00", "-1.0000"), "2026-06-04"),
    ]
    assert the_order(ledger, "cancelled", "net_amount, refunded_amount, is_qualified") == (*D("100.00", "0.00"), False)


@pytest.mark.parametrize("order_id", ["exchange_by_tender", "exchange_by_reference"])
def test_an_exchanges_new_order_is_a_sale_and_not_qualified(ledger: duckdb.DuckDBPyConnection, order_id: str) -> None:
    assert events(ledger, order_id) == [("1", "sale", Decimal("100.00"))]
    assert the_order(ledger, order_id, "is_exchange, is_qualified") == (True, False)


def test_goods_exchanged_are_a_return(ledger: duckdb.DuckDBPyConnection) -> None:
    assert events(ledger, "exchanged")[1:] == [("1", "return", Decimal("-100.00"))]


@pytest.mark.parametrize(
    ("order_id", "returns"),
    [
        ("refunded_with_shipping", [("1", "-100.00")]),
        ("refunded_too_much", [("1", "-100.00")]),
        # 5 / 1.13 = 4.42 twice would leave a cent of 8.85: the return that completes the line takes it.
        ("refunded_in_two", [("1", "-4.42"), ("1", "-4.43")]),
        ("refunded_without_lines", [("1", "-15.00"), ("2", "-10.00")]),
        ("refunded_whole_without_lines", [("1", "-60.00"), ("2", "-40.00")]),
        ("refunded_unknown_line", [("1", "-30.00")]),
        ("refunded_gift_card", []),
        ("discounted_and_refunded", [("1", "-16.67")]),
    ],
)
def test_a_refund_returns_goods_first_and_never_more_than_the_line_was(
    ledger: duckdb.DuckDBPyConnection, order_id: str, returns: list[tuple[str, str]]
) -> None:
    found = [(line, net) for line, kind, net in events(ledger, order_id) if kind == "return"]
    assert found == [(line, Decimal(net)) for line, net in returns]


def test_units_come_back_as_named_else_by_their_share_of_the_amount(ledger: duckdb.DuckDBPyConnection) -> None:
    quantities = {
        order_id: [row[2] for row in events(ledger, order_id, "quantity") if row[1] == "return"]
        for order_id in ("refunded_with_shipping", "refunded_in_two", "refunded_without_lines")
    }
    assert quantities == {
        "refunded_with_shipping": [*D("-1.0000")],
        "refunded_in_two": [*D("-0.5000", "-0.5000")],
        "refunded_without_lines": [*D("-0.2500", "-0.2500")],
    }


@pytest.mark.parametrize(
    ("order_id", "is_qualified"),
    [
        ("refunded_with_shipping", False),
        ("refunded_in_two", False),
        ("refunded_whole_without_lines", False),
        ("refunded_without_lines", True),
        ("refunded_gift_card", True),
        ("free", False),
        ("discount_above_price", False),
        ("with_shipping", True),
    ],
)
def test_an_order_is_qualified_while_goods_of_value_are_kept(
    ledger: duckdb.DuckDBPyConnection, order_id: str, is_qualified: bool
) -> None:
    assert the_order(ledger, order_id, "is_qualified") == (is_qualified,)


def test_a_missing_day_takes_the_last_earlier_rate_and_no_earlier_rate_waits(ledger: duckdb.DuckDBPyConnection) -> None:
    assert the_order(ledger, "dollars", "fx_rate, net_amount, net_amount_local") == D("7.1", "71.00", "10.00")
    assert the_order(ledger, "no_rate", "net_amount") is None
    waiting = ledger.execute("SELECT reason FROM marts.waiting WHERE entity_id = 'no_rate'").fetchall()
    assert waiting == [("no exchange rate for its currency on or before its date",)]


def test_a_refund_reuses_the_rate_of_the_sale_and_the_difference_stands_apart(
    ledger: duckdb.DuckDBPyConnection,
) -> None:
    assert events(ledger, "dollars")[1:] == [("1", "return", Decimal("-28.40"))]
    apart = ledger.execute(
        "SELECT net_amount, net_amount_at_refund_day, fx_amount FROM marts.fx_differences WHERE order_id = 'dollars'"
    ).fetchall()
    assert apart == [D("-28.40", "-28.80", "-0.40")]


def test_a_refund_in_another_currency_is_turned_into_the_orders_at_the_rates_of_the_sale(
    ledger: duckdb.DuckDBPyConnection,
) -> None:
    assert events(ledger, "dollars_refunded_in_yuan", "net_amount, net_amount_local")[1:] == [
        ("1", "return", *D("-35.50", "-5.00"))
    ]


def test_a_refund_without_its_order_waits(ledger: duckdb.DuckDBPyConnection) -> None:
    waiting = ledger.execute(
        "SELECT feed, entity_id FROM marts.waiting WHERE reason = 'the order has not come'"
    ).fetchall()
    assert waiting == [("refunds", "r17")]


def test_cost_follows_the_units(ledger: duckdb.DuckDBPyConnection) -> None:
    assert [row[2] for row in events(ledger, "refunded_with_shipping", "cost_amount")] == list(D("60.00", "-60.00"))


def test_both_series_and_every_split_sum_to_the_ledger(ledger: duckdb.DuckDBPyConnection) -> None:
    (sums,) = ledger.execute(
        """
        SELECT
            (SELECT sum(net_amount) FROM marts.order_events),
            (SELECT sum(net_amount) FROM marts.sales_daily),
            (SELECT sum(net_amount_cohort) FROM marts.sales_daily),
            (SELECT sum(gross_amount - discount_amount) FROM marts.sales_daily),
            (SELECT sum(net_amount) FROM marts.category_daily),
            (SELECT sum(net_amount_cohort) FROM marts.category_daily),
            (SELECT sum(net_amount - refunded_amount) FROM marts.orders WHERE NOT is_cancelled)
        """
    ).fetchall()
    assert set(sums) == {sums[0]}
    cohort = ledger.execute(
        "SELECT business_date::VARCHAR FROM marts.sales_daily WHERE net_amount_cohort != 0"
    ).fetchall()
    assert cohort == [("2026-06-01",)]


def test_event_ids_are_the_same_in_every_build(ledger: duckdb.DuckDBPyConnection) -> None:
    ids = ledger.execute("SELECT count(*), count(DISTINCT event_id) FROM marts.order_events").fetchone()
    assert ids is not None
    assert ids[0] == ids[1]
    (known,) = ledger.execute("SELECT event_id FROM marts.order_events WHERE order_id = 'markdown'").fetchall()
    parts = ("pos", "markdown", "1", "sale", chr(30))
    assert known == (hashlib.md5(chr(31).join(parts).encode(), usedforsecurity=False).hexdigest(),)
