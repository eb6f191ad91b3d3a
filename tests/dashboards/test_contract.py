"""What the pages ask of the marts, against what the marts promise: every column a query names exists."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import duckdb
import pytest
import yaml

from dashboards import queries
from dashboards.access import RULES, Scope
from dashboards.data import Reader, find_snapshot
from dashboards.filters import Filters
from dashboards.queries import customers, health
from pipelines.marts_contract import MARTS
from pipelines.settings import DBT_PROJECT, load_settings
from pipelines.stock_health.health import CREATE
from tests.dashboards.snapshots import publish

MODULES = [import_module(f"{queries.__name__}.{module.name}") for module in iter_modules(queries.__path__)]
DAY = date(2026, 5, 31)
VALUES = {
    "start": DAY, "end": DAY, "day": DAY, "snapshot_date": DAY, "weeks": 4, "customer_id": "c1", "language": "zh",
    "period": "month", "quarter": DAY, "season": DAY,
    "channel_0": "mall", "store_0": "S01", "version": "churn-1", "model": "churn",
    "left": "c1", "right": "c2",
    **{f"{measure}_{score}": score for measure in "rfm" for score in range(2, 6)},
}  # fmt: skip
BUILT = {"{members}": "SELECT customer_id FROM customers", "{table}": "customers", "{column}": "level"}
"""What the segment builder puts into its statements."""
FILTERS = Filters("90", DAY, DAY, ("mall",), ("S01",))


def promised_tables() -> dict[str, dict[str, str]]:
    """Columns with types of every mart dbt enforces, and the names of those that others write."""
    tables = {table: dict.fromkeys(columns, "VARCHAR") for table, columns in MARTS.items()}
    for path in sorted((DBT_PROJECT / "models" / "marts").glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            tables[model["name"]] = {column["name"]: column["data_type"] for column in model["columns"]}
    return tables


@pytest.fixture(scope="module")
def promised(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A reader of an empty snapshot that has exactly what is promised."""
    home = tmp_path_factory.mktemp("promised")
    source = home / "made.duckdb"
    with duckdb.connect(str(source)) as connection:
        connection.execute("CREATE SCHEMA marts")
        for table, columns in promised_tables().items():
            typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"CREATE TABLE marts.{table} ({typed})")
        connection.execute(CREATE)  # written by no model of dbt, and typed all the same
    publish(home, source, "1")
    settings = load_settings(home)
    return Reader(settings, find_snapshot(settings), Scope())


def statements(module: ModuleType) -> list[tuple[str, str]]:
    """Every SQL text of a module of queries, with its filters filled in."""
    found = []
    for name, value in vars(module).items():
        if isinstance(value, str) and value.lstrip().startswith(("SELECT", "WITH")) and not name.startswith("_"):
            sql = customers.over_chosen(value, FILTERS) if "{chosen}" in value else value
            for place, built in BUILT.items():
                sql = sql.replace(place, built)
            condition = health.condition(FILTERS) if module is health else FILTERS.condition()
            sql = sql.replace("{condition}", condition)
            found.append((name, FILTERS.fill(sql)))
    return found


@pytest.mark.parametrize(
    ("name", "sql"), [found for module in MODULES for found in statements(module)], ids=lambda value: str(value)[:40]
)
def test_the_marts_have_what_a_query_asks_for(promised: Reader, name: str, sql: str) -> None:
    table = promised.table(sql, VALUES)
    assert table.column_names, name


def test_every_table_of_a_store_rule_has_a_store() -> None:
    tables = promised_tables()
    columns = {"store": "store_id", "home_store": "home_store_id", "customer": "customer_id"}
    for table, rule in RULES.items():
        if table in tables and rule in columns:
            assert columns[rule] in tables[table], table
