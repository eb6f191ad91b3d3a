"""Schema `identity` as the dbt project and the marts rely on it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pipelines.feeds.contract import FEEDS
from pipelines.identity import find_customers
from pipelines.settings import Settings
from tests.support.raw_tables import IDENTITY_TABLES

COLUMNS = IDENTITY_TABLES | {
    "households": {"kind": "VARCHAR", "channel": "VARCHAR", "identity": "VARCHAR", "customer_id": "VARCHAR"},
    "value_owners": {
        "kind": "VARCHAR",
        "channel": "VARCHAR",
        "identity": "VARCHAR",
        "customer_id": "VARCHAR",
        "from_at": "TIMESTAMP",
        "to_at": "TIMESTAMP",
    },
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create schema raw")
    for feed, declaration in FEEDS.items():
        columns = ", ".join(f'"{name}" {sql_type}' for name, sql_type in declaration.raw_columns().items())
        connection.execute(f"create table raw.{feed} ({columns})")
    home: Path = tmp_path_factory.mktemp("home")
    find_customers(connection, Settings(home=home))
    return connection


@pytest.mark.parametrize("table", COLUMNS)
def test_identity_tables_have_the_contracts_columns_even_when_nothing_came(connection, table):
    found = dict(
        connection.execute(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'identity' and table_name = ?",
            [table],
        ).fetchall()
    )
    assert COLUMNS[table].items() <= found.items()


def test_no_working_table_outlives_the_run(connection):
    assert connection.execute("select table_name from duckdb_tables() where temporary").fetchall() == []
    assert connection.execute("select view_name from duckdb_views() where temporary and not internal").fetchall() == []
