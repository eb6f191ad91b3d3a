from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.access import RULES, Scope
from dashboards.data import MissingDataError, Reader, find_snapshot
from pipelines.settings import Settings

OWN = Scope(("S03",))


@pytest.fixture
def own_reader(home_settings: Settings) -> Reader:
    return Reader(home_settings, find_snapshot(home_settings), OWN)


def count(reader: Reader, table: str, condition: str = "true") -> int:
    return int(reader.rows(f"SELECT count(*) AS n FROM {table} WHERE {condition}")[0]["n"])


def test_head_office_sees_every_store(reader: Reader) -> None:
    assert count(reader, "sales_daily", "store_id IS NULL") > 0
    assert reader.rows("SELECT count(DISTINCT store_id) AS n FROM sales_daily") == [{"n": 12}]


@pytest.mark.parametrize("table", ["sales_daily", "category_daily", "orders", "stores"])
def test_a_store_list_sees_its_own_rows_alone(own_reader: Reader, table: str) -> None:
    assert count(own_reader, table) > 0
    assert count(own_reader, table, "store_id IS DISTINCT FROM 'S03'") == 0


@pytest.mark.parametrize("table", ["customer_rfm", "customer_tags", "segment_members", "recommendations"])
def test_a_store_list_sees_the_customers_at_home_there_alone(own_reader: Reader, reader: Reader, table: str) -> None:
    own = {row["customer_id"] for row in reader.rows("SELECT customer_id FROM customers WHERE home_store_id = 'S03'")}
    seen = {row["customer_id"] for row in own_reader.rows(f"SELECT DISTINCT customer_id FROM {table}")}
    assert seen
    assert seen <= own


@pytest.mark.parametrize("table", ["batches", "quarantine", "activation_log", "runs"])
def test_a_table_without_a_rule_is_empty_to_a_restricted_reader(own_reader: Reader, table: str) -> None:
    assert table not in RULES
    assert count(own_reader, table) == 0


def test_an_empty_store_list_sees_nothing(home_settings: Settings) -> None:
    nobody = Reader(home_settings, find_snapshot(home_settings), Scope(()))
    assert count(nobody, "sales_daily") == count(nobody, "customers") == 0
    assert count(nobody, "channels") > 0


def test_a_store_id_cannot_break_out_of_the_scope(home_settings: Settings) -> None:
    sly = Reader(home_settings, find_snapshot(home_settings), Scope(("S03') OR ('1' = '1",)))
    assert count(sly, "sales_daily") == 0


def test_the_cache_keeps_scopes_apart(reader: Reader, own_reader: Reader) -> None:
    everything = count(reader, "sales_daily")
    assert count(own_reader, "sales_daily") < everything
    assert count(reader, "sales_daily") == everything


@pytest.mark.parametrize("sql", ["SELECT * FROM marts.orders", 'SELECT * FROM "marts"."orders"', "FROM Marts . orders"])
def test_a_query_cannot_name_the_schema_behind_the_scope(own_reader: Reader, sql: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        own_reader.rows(sql)


def test_a_table_the_snapshot_lacks_is_not_found_under_any_scope(own_reader: Reader, reader: Reader) -> None:
    for found in (own_reader, reader):
        with pytest.raises(MissingDataError, match="stock_health"):
            found.rows("SELECT * FROM stock_health")


def test_no_module_but_the_reader_opens_duckdb() -> None:
    dashboards = Path(__file__).resolve().parents[2] / "dashboards"
    opening = [path.name for path in dashboards.rglob("*.py") if "connect(" in path.read_text(encoding="utf-8")]
    assert opening == ["data.py"]
