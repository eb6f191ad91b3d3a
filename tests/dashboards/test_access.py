from __future__ import annotations

from pathlib import Path

import pytest

from dashboards import data
from dashboards.access import RULES, ForbiddenQueryError, Scope
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


AROUND = [
    "SELECT * FROM marts.orders",
    'SELECT * FROM "marts"."orders"',
    "FROM Marts . orders",
    "SELECT (SELECT count(*) FROM marts.orders) AS n",
    "SELECT 1 AS a UNION ALL SELECT count(*) FROM marts.orders",
    "WITH own AS (SELECT * FROM marts.orders) SELECT * FROM own",
    "SELECT * FROM orders WHERE order_id IN (SELECT order_id FROM marts.orders)",
    "SELECT * FROM orders JOIN marts.stores ON true",
    "FROM (SUMMARIZE orders)",
    "FROM (DESCRIBE orders)",
    "SELECT * FROM (SHOW ALL TABLES)",
    "SELECT * FROM query('FROM orders')",
    "SELECT * FROM query_table('orders')",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM pragma_database_list()",
    "SELECT * FROM system.main.range(3)",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM glob('/*')",
    "SELECT 1; SELECT * FROM marts.orders",
    "ATTACH 'x' AS y",
    "COPY orders TO 'x'",
    "CREATE TABLE own AS FROM marts.orders",
    "PIVOT marts.orders ON channel USING count(*)",
    "SELECT * FROM (PIVOT marts.orders ON channel USING count(*))",
    "SELECT * FROM (VALUES ((SELECT count(*) FROM marts.orders))) AS t (n)",
    "SELECT * FROM range((SELECT count(*) FROM marts.orders))",
    "SELECT count(*) FILTER (WHERE EXISTS (FROM marts.orders)) FROM orders",
    "SELECT list_transform([1], x -> (SELECT count(*) FROM marts.orders)) AS n",
    "SELECT row_number() OVER (ORDER BY (SELECT count(*) FROM marts.orders)) FROM orders LIMIT (SELECT count(*) "
    "FROM marts.orders)",
    "FROM stores POSITIONAL JOIN marts.orders",
    "FROM orders, LATERAL (SELECT * FROM marts.orders AS o WHERE o.order_id = orders.order_id)",
    "SELECT FROM",
]


@pytest.mark.parametrize("sql", AROUND)
def test_no_query_gets_around_the_scope(own_reader: Reader, reader: Reader, sql: str) -> None:
    for found in (own_reader, reader):
        with pytest.raises(ForbiddenQueryError):
            found.rows(sql)


def test_the_connection_alone_holds_too(home_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What if the parser's answer were wrong: without it, the schema behind the scope still can't be named."""
    monkeypatch.setattr(data, "tables_named", lambda *_: frozenset({"orders"}))
    own = Reader(home_settings, find_snapshot(home_settings), OWN)
    assert count(own, "orders", "store_id IS DISTINCT FROM 'S03'") == 0
    for sql in ("FROM marts.orders", "FROM main.marts.orders", "FROM memory.marts.orders", "FROM temp.marts.orders"):
        with pytest.raises(MissingDataError):
            own.rows(sql)
    path = find_snapshot(home_settings).path
    for sql in (f"ATTACH '{path}' AS mine", f"FROM '{path.parent}/*.duckdb'", "SET search_path = 'marts'",
                "SET enable_external_access = true", "SET lock_configuration = false"):  # fmt: skip
        with pytest.raises((data.SnapshotUnreadableError, MissingDataError)):
            own.rows(sql)


def test_names_are_found_whatever_their_case(own_reader: Reader) -> None:
    assert 0 < count(own_reader, "ORDERS") == count(own_reader, '"Orders"')
    assert count(own_reader, "Orders", "store_id IS DISTINCT FROM 'S03'") == 0


def test_a_common_table_expression_may_bear_the_name_of_a_table(own_reader: Reader) -> None:
    found = own_reader.rows("WITH orders AS (SELECT store_id FROM orders) SELECT DISTINCT store_id FROM orders")
    assert found == [{"store_id": "S03"}]


def test_series_and_lists_may_be_sources(own_reader: Reader) -> None:
    assert own_reader.rows("SELECT n FROM range(2) AS t (n), unnest([1]) AS u (m)") == [{"n": 0}, {"n": 1}]


def test_every_rule_is_of_a_mart_and_every_ruled_mart_has_the_column_it_is_narrowed_by(reader: Reader) -> None:
    columns = {"store": "store_id", "home_store": "home_store_id", "customer": "customer_id"}
    for table, rule in RULES.items():
        if rule in columns and table in reader.tables():
            assert reader.table(f"SELECT {columns[rule]} FROM {table} LIMIT 0").num_columns == 1


def test_a_table_the_snapshot_lacks_is_not_found_under_any_scope(own_reader: Reader, reader: Reader) -> None:
    for found in (own_reader, reader):
        with pytest.raises(MissingDataError, match="no_such_mart"):
            found.rows("SELECT * FROM no_such_mart")


def test_no_module_but_the_reader_opens_duckdb() -> None:
    dashboards = Path(__file__).resolve().parents[2] / "dashboards"
    opening = [path.name for path in dashboards.rglob("*.py") if "connect(" in path.read_text(encoding="utf-8")]
    assert opening == ["data.py"]
