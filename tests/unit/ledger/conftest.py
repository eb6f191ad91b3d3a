"""The ledger's models, compiled once for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.channels import Channels
from pipelines.settings import Settings
from tests.support.dbt_models import CompiledModels, compile_models, memory_warehouse
from tests.support.raw_tables import create_warehouse_tables

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
Build = Callable[..., duckdb.DuckDBPyConnection]

LEDGER_MARTS = (
    "sales_daily",
    "category_daily",
    "fx_differences",
    "customers",
    "waiting",
    "products",
    "stores",
    "stock",
    "campaign_results",
)


FIGURE_MARTS = (
    "funnel_daily",
    "traffic_daily",
    "store_online_daily",
    "door_flows",
    "stores_scorecard",
    "price_conflicts",
)


@pytest.fixture(scope="session")
def compiled_models(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Everything the tests here build, compiled by dbt once."""
    home: Path = tmp_path_factory.mktemp("ledger")
    selection = [f"+{name}" for name in (*LEDGER_MARTS, "int_customer_rfm", *FIGURE_MARTS)]
    return compile_models(Settings(home=home, threads=1), *selection)


@pytest.fixture(scope="session")
def ledger_models(compiled_models: CompiledModels) -> CompiledModels:
    return compiled_models.only_for(*LEDGER_MARTS, "int_customer_rfm")


@pytest.fixture
def build(ledger_models: CompiledModels, settings: Settings) -> Iterator[Build]:
    """Builds the ledger in memory from the rows given: `build(channels, as_of, feeds, identity=None, ops=None)`."""
    with memory_warehouse() as connection:

        def build_ledger(
            channels: Channels, as_of: date, feeds: Rows, identity: Rows | None = None, ops: Rows | None = None
        ) -> duckdb.DuckDBPyConnection:
            create_warehouse_tables(connection, settings, channels, as_of, feeds, identity, ops)
            ledger_models.build(connection)
            return connection

        yield build_ledger


@pytest.fixture
def build_figures(compiled_models: CompiledModels, settings: Settings) -> Iterator[Build]:
    """Builds the named figures and what they read, as `build` does: `build_figures(channels, as_of, feeds, *marts)`."""
    with memory_warehouse() as connection:

        def build_them(
            channels: Channels, as_of: date, feeds: Rows, *marts: str, identity: Rows | None = None
        ) -> duckdb.DuckDBPyConnection:
            create_warehouse_tables(connection, settings, channels, as_of, feeds, identity)
            compiled_models.only_for(*marts).build(connection)
            return connection

        yield build_them
