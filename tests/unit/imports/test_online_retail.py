"""The Online Retail import on tiny sources, against an independent matcher, and on the real set."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.imports import import_dataset, online_retail
from tests.unit.imports.real_data import dataset_folder

Row = tuple[str, str, int, int, float, int | None]
FIRST = datetime(2011, 1, 4, 9)


def _source(folder: Path, rows: list[Row]) -> Path:
    """A source of these rows: invoice, stock code, quantity, hour since FIRST, price, customer."""
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {
            "InvoiceNo": [row[0] for row in rows],
            "StockCode": [row[1] for row in rows],
            "Description": [f"THING {row[1]}" for row in rows],
            "Quantity": [row[2] for row in rows],
            "InvoiceDate": [FIRST + timedelta(hours=row[3]) for row in rows],
            "UnitPrice": pl.Series([row[4] for row in rows], dtype=pl.Float64),
            "CustomerID": pl.Series([row[5] for row in rows], dtype=pl.Int64),
            "Country": ["EIRE"] * len(rows),
        }
    ).write_parquet(folder / "online_retail.parquet")
    return folder


def _imported(tmp_path: Path, rows: list[Row]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    import_dataset("online-retail", _source(tmp_path / "source", rows), tmp_path / "landing")
    web = tmp_path / "landing" / "web"
    return pl.read_parquet(web / "orders" / "*.parquet").to_dicts(), pl.read_parquet(
        web / "refunds" / "*.parquet"
    ).to_dicts()


def test_an_invoice_is_an_order_and_postage_its_shipping(tmp_path: Path) -> None:
    orders, refunds = _imported(
        tmp_path, [("1", "85123A", 6, 0, 2.55, 17), ("1", "85123A", 6, 0, 2.55, 17), ("1", "POST", 1, 0, 18.0, 17)]
    )
    assert refunds == []
    (order,) = orders
    assert (order["member_id"], order["items_amount"], order["shipping_amount"], order["paid_amount"]) == (
        "17", Decimal("30.60"), Decimal("18"), Decimal("48.60"),
    )  # fmt: skip
    assert [line["line_id"] for line in order["lines"]] == ["1", "2"]


def test_a_sale_without_a_customer_is_unidentified(tmp_path: Path) -> None:
    orders, _ = _imported(tmp_path, [("1", "85123A", 1, 0, 2.55, None)])
    assert orders[0]["member_id"] is None


def test_a_return_goes_to_the_earlier_line_at_its_price(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("1", "A1", 4, 0, 3.0, 17),
        ("2", "A1", 5, 1, 2.0, 17),
        ("3", "A1", 5, 2, 2.0, 18),
        ("C4", "A1", -3, 5, 2.0, 17),
    ]
    _, refunds = _imported(tmp_path, rows)
    assert [(row["refund_id"], row["order_id"], row["amount"], row["reason"]) for row in refunds] == [
        ("C4-2", "2", Decimal("6"), "return")
    ]
    assert refunds[0]["lines"] == [{"line_id": "1", "quantity": 3, "amount": Decimal("6")}]


def test_a_return_over_several_lines_is_split_oldest_first(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "A1", 2, 0, 3.0, 17), ("2", "A1", 5, 1, 3.0, 17), ("C3", "A1", -4, 5, 3.0, 17)]
    _, refunds = _imported(tmp_path, rows)
    assert {row["order_id"]: row["amount"] for row in refunds} == {"1": Decimal(6), "2": Decimal(6)}


def test_a_return_at_a_lower_price_goes_to_the_same_product(tmp_path: Path) -> None:
    _, refunds = _imported(tmp_path, [("1", "A1", 2, 0, 3.0, 17), ("C3", "A1", -1, 5, 2.5, 17)])
    assert refunds[0]["lines"] == [{"line_id": "1", "quantity": 1, "amount": Decimal("2.5")}]


@pytest.mark.parametrize(
    "rows",
    [
        [("C1", "A1", -1, 0, 3.0, 17), ("2", "A1", 5, 1, 3.0, 17)],
        [("1", "A1", 5, 0, 3.0, None), ("C2", "A1", -1, 1, 3.0, None)],
        [("1", "B2", 5, 0, 3.0, 17), ("C2", "A1", -1, 1, 3.0, 17)],
        [("1", "A1", 5, 0, 3.0, 17), ("C2", "A1", -1, 1, 3.5, 17)],
    ],
    ids=["before the sale", "no customer", "another product", "dearer than it was sold"],
)
def test_a_return_that_finds_no_sale_waits_for_an_order_that_is_not_there(tmp_path: Path, rows: list[Row]) -> None:
    orders, refunds = _imported(tmp_path, rows)
    assert len(refunds) == 1
    assert refunds[0]["order_id"].startswith("before-C")
    assert refunds[0]["order_id"] not in {order["order_id"] for order in orders}
    assert refunds[0]["lines"] is None


def test_an_early_return_takes_nothing_from_a_later_one(tmp_path: Path) -> None:
    rows: list[Row] = [("C1", "A1", -2, 0, 3.0, 17), ("2", "A1", 2, 1, 3.0, 17), ("C3", "A1", -2, 2, 3.0, 17)]
    _, refunds = _imported(tmp_path, rows)
    assert {row["order_id"]: row["amount"] for row in refunds} == {"before-C1": Decimal(6), "2": Decimal(6)}


def test_a_discount_is_a_credit_by_value_on_earlier_goods(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "A1", 2, 0, 3.0, 17), ("2", "B2", 9, 1, 1.0, 17), ("C3", "D", -1, 5, 10.0, 17)]
    _, refunds = _imported(tmp_path, rows)
    assert {row["refund_id"]: (row["amount"], row["reason"]) for row in refunds} == {
        "C3-1-credit": (Decimal(6), "credit"),
        "C3-2-credit": (Decimal(4), "credit"),
    }
    assert refunds[0]["lines"][0]["quantity"] is None


def test_postage_given_back_touches_no_goods(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "A1", 2, 0, 3.0, 17), ("C3", "POST", -1, 5, 10.0, 17)]
    _, refunds = _imported(tmp_path, rows)
    assert (refunds[0]["order_id"], refunds[0]["amount"]) == ("1", Decimal(10))
    assert [line["amount"] for line in refunds[0]["lines"]] == [Decimal(0)]


def test_fees_and_stock_movements_are_not_delivered_and_free_goods_are_gifts(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("1", "A1", 2, 0, 3.0, 17), ("1", "B2", 1, 0, 0.0, 17), ("2", "A1", -40, 0, 0.0, None),
        ("3", "A1", 9, 0, 0.0, None), ("4", "AMAZONFEE", 1, 0, 13.0, None), ("A5", "B", 1, 0, -11.0, None),
        ("C6", "CRUK", -1, 0, 5.0, 17), ("7", "DOT", 1, 0, 4.0, None),
    ]  # fmt: skip
    orders, refunds = _imported(tmp_path, rows)
    assert [order["order_id"] for order in orders] == ["1"]
    assert [(line["sku"], line["is_gift"]) for line in orders[0]["lines"]] == [("A1", False), ("B2", True)]
    assert refunds == []


def test_gift_vouchers_stand_where_they_are_no_sale(tmp_path: Path) -> None:
    _imported(tmp_path, [("1", "gift_0001_20", 1, 0, 16.67, 17)])
    products = pl.read_parquet(tmp_path / "landing" / "_shared" / "products" / "products.parquet")
    assert products["category_path"].to_list() == ["gift_card/voucher"]


def _reference(rows: list[Row]) -> dict[tuple[str, str], int]:
    """Units that returns at the sale's own price take from each (invoice, line), one unit after the other."""
    stock: dict[tuple[int, str, float], list[tuple[str, str]]] = defaultdict(list)
    taken: dict[tuple[str, str], int] = defaultdict(int)
    numbered: dict[str, int] = defaultdict(int)
    events = []
    for position, row in enumerate(rows):
        if row[2] > 0:
            numbered[row[0]] += 1
        events.append((row[3], row[2] < 0, position, row, str(numbered[row[0]])))
    for _, is_return, _, row, line in sorted(events):
        key = (row[5] or 0, row[1], row[4])
        if not is_return:
            stock[key] += [(row[0], line)] * row[2]
            continue
        for _ in range(min(-row[2], len(stock[key]))):
            taken[stock[key].pop(0)] += 1
    return dict(taken)


@given(
    moves=st.lists(
        st.tuples(st.integers(-6, 6).filter(bool), st.integers(0, 9), st.sampled_from(["A1", "B2"]), st.integers(1, 2)),
        min_size=1, max_size=14,
    )
)  # fmt: skip
@checked(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_matching_is_that_of_a_queue_of_single_units(moves: list[tuple[int, int, str, int]]) -> None:
    rows: list[Row] = [
        (f"{'C' if quantity < 0 else ''}{position}", sku, quantity, hour, 2.0, customer)
        for position, (quantity, hour, sku, customer) in enumerate(moves)
    ]
    with tempfile.TemporaryDirectory() as name:
        _, refunds = _imported(Path(name), rows)
    taken: dict[tuple[str, str], int] = defaultdict(int)
    for refund in refunds:
        for line in refund["lines"] or []:
            taken[(refund["order_id"], line["line_id"])] += line["quantity"]
    assert dict(taken) == _reference(rows)
    returned = sum(-quantity for quantity, *_ in moves if quantity < 0)
    assert sum(refund["amount"] for refund in refunds) == Decimal(2) * returned


def test_an_import_that_was_begun_can_be_run_again(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "A1", 5, 0, 3.0, 17)]
    first = _imported(tmp_path, rows)
    (tmp_path / "landing" / "web" / "orders" / "orders.parquet").unlink()
    assert _imported(tmp_path, rows) == first


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--source"):
        import_dataset("online-retail", None, tmp_path / "landing")
    with pytest.raises(ConfigurationError, match="is not a folder"):
        import_dataset("online-retail", tmp_path / "nowhere", tmp_path / "landing")


def test_the_real_set_comes_out_to_the_penny(tmp_path: Path) -> None:
    source = dataset_folder("online_retail")
    report = import_dataset("online-retail", source, tmp_path / "landing")
    web = f"{tmp_path}/landing/web"
    connection = duckdb.connect()
    connection.execute(
        f"""
        create table sold as
        select order_id, member_id, unnest(lines) as line from '{web}/orders/*.parquet';
        create table back as
        select refund_id, order_id, unnest(lines) as line from '{web}/refunds/*.parquet';
        """
    )
    sales, unidentified = connection.execute(
        """
        select sum(round(line.unit_price * line.quantity, 2)), count(*) filter (member_id is null)
        from sold where line.sku not like 'gift_%'
        """
    ).fetchone() or (Decimal(0), 0)
    (returned,) = connection.execute("select sum(line.amount) from back").fetchone() or (Decimal(0),)
    amounts = [Decimal(amount) for _, amount in report.bridge]
    assert amounts[0] == Decimal("9747747.934")
    assert amounts[-1] == sum(amounts[:-1]) == sales - returned == Decimal("9796719.55")
    assert unidentified > 130_000
    beyond = connection.execute(
        """
        select count(*)
        from (select order_id, line.line_id as line_id, sum(line.amount) as amount from back group by all) as given
        inner join sold on given.order_id = sold.order_id and given.line_id = sold.line.line_id
        where given.amount > sold.line.unit_price * sold.line.quantity
        """
    ).fetchone()
    assert beyond == (0,)
    assert online_retail.bridge(source)[-1][1] == Decimal("9796719.55")
