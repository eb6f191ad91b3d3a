"""The whole job on real data, through the command line: what the source's columns sum to is what the marts say."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.integration.conftest import Home
from tests.unit.imports.real_data import dataset_folder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real"), pytest.mark.timeout(1500)]


@dataclass(frozen=True)
class RealHome:
    """A home after one nightly run on an imported data set. bridge: label to amount, as the import printed it."""

    home: Home
    source: Path
    as_of: str
    bridge: dict[str, Decimal]

    def run(self) -> str:
        """The nightly job; its output."""
        done = self.home.omnilake("run", "--landing", self.home.landing, "--as-of", self.as_of, "--no-activate")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, sql: str) -> list[str]:
        """The one row of a query on the published snapshot, as `omnilake query` prints it."""
        done = self.home.omnilake("query", sql, "--format", "csv")
        assert done.returncode == 0, done.stderr
        return list(csv.reader(io.StringIO(done.stdout)))[1]


def import_and_run(make_home: Callable[[str], Home], dataset: str, as_of: str) -> RealHome:
    source = dataset_folder(dataset.replace("-", "_"))
    home = make_home(dataset)
    done = home.omnilake("import", dataset, "--source", source, "--out", home.landing)
    assert done.returncode == 0, done.stderr
    lines = (re.fullmatch(r"\s*(-?[\d.]+)  (.+)", line) for line in done.stdout.splitlines())
    bridge = {match[2]: Decimal(match[1]) for match in lines if match}
    real = RealHome(home, source, as_of, bridge)
    real.run()
    return real


@pytest.fixture(scope="module")
def complete_journey(make_home: Callable[[str], Home]) -> RealHome:
    return import_and_run(make_home, "complete-journey", "2017-12-31")


@pytest.fixture(scope="module")
def online_retail(make_home: Callable[[str], Home]) -> RealHome:
    return import_and_run(make_home, "online-retail", "2011-12-09")


def assert_reconciles(real: RealHome) -> None:
    done = real.home.omnilake("reconcile", "--json")
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)
    assert len(checks) > 20
    assert [check for check in checks if not check["ok"]] == []


def test_every_basket_and_every_dollar_of_the_complete_journey_is_in_the_marts(complete_journey: RealHome) -> None:
    transactions = f"'{complete_journey.source}/transactions.parquet'"
    with duckdb.connect() as connection:
        source = connection.execute(
            "SELECT count(DISTINCT basket_id), sum(round(sales_value * 100)::BIGINT)::DECIMAL(18, 0) * 0.01, "
            f"count(DISTINCT household_id) FROM {transactions}"
        ).fetchall()[0]
    assert [str(value) for value in source] == ["155848", "4596039.58", "2469"]
    bridge = complete_journey.bridge
    assert bridge["sales_value"] == source[1]
    net = next(amount for label, amount in bridge.items() if label.startswith("= net sales"))
    assert bridge["- gift cards at shelf value"] < 0
    orders = complete_journey.query(
        "SELECT count(*), sum(net_amount), sum(gross_amount), sum(refunded_amount), count(DISTINCT customer_id), "
        "count(*) FILTER (customer_id IS NULL) FROM marts.orders"
    )
    assert [Decimal(value) for value in orders] == [155_848, net, bridge["= gross sales"], 0, 2_469, 0]
    assert complete_journey.query("SELECT sum(net_amount) FROM marts.sales_daily") == [str(net)]


def test_online_retail_s_sales_returns_and_waiting_refunds_are_the_bridge_s(online_retail: RealHome) -> None:
    source = f"'{online_retail.source}/online_retail.parquet'"
    landing = online_retail.home.landing
    with duckdb.connect() as connection:
        amount = connection.execute(
            f"SELECT sum(Quantity * UnitPrice::DECIMAL(18, 3))::DECIMAL(18, 3) FROM {source}"
        ).fetchall()[0][0]
        waiting = connection.execute(
            f"SELECT count(*) FROM '{landing}/web/refunds/*.parquet' AS refunds "
            f"ANTI JOIN '{landing}/web/orders/*.parquet' AS orders USING (order_id)"
        ).fetchall()[0][0]
        anonymous = connection.execute(
            f"SELECT count(*) FROM '{landing}/web/orders/*.parquet' WHERE member_id IS NULL"
        ).fetchall()[0][0]
    bridge = online_retail.bridge
    assert bridge["Quantity × UnitPrice"] == amount == Decimal("9747747.934")
    assert bridge["+ returns of sales that are not in the data (they wait)"] == Decimal("81427.92")
    sold, returned, unidentified, unidentified_amount = online_retail.query(
        "SELECT sum(net_amount), sum(refunded_amount), count(*) FILTER (customer_id IS NULL), "
        "sum(net_amount) FILTER (customer_id IS NULL) FROM marts.orders"
    )
    assert Decimal(sold) - Decimal(returned) == bridge["= net sales"] == Decimal("9796719.55")
    assert int(unidentified) == anonymous
    assert Decimal(unidentified_amount) == Decimal("1534762.35")
    assert online_retail.query("SELECT sum(net_amount) FROM marts.sales_daily") == ["9796719.55"]
    waits = online_retail.query("SELECT count(*), count(*) FILTER (feed = 'refunds') FROM marts.waiting")
    assert waits == [str(waiting), str(waiting)] == ["849", "849"]


def test_both_reconcile_to_the_row_and_the_penny(complete_journey: RealHome, online_retail: RealHome) -> None:
    assert_reconciles(complete_journey)
    assert_reconciles(online_retail)


def test_a_second_run_on_real_data_takes_nothing_and_changes_nothing(online_retail: RealHome) -> None:
    figures = "SELECT count(*), sum(net_amount), sum(refunded_amount), count(DISTINCT customer_id) FROM marts.orders"
    before = online_retail.query(figures)
    assert ": 0 rows received" in online_retail.run()
    assert online_retail.query(figures) == before
