"""The dbt project as dbt runs it: everything builds and passes its own tests, and RFM snapshots are kept."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml

from pipelines.errors import ConfigurationError
from pipelines.marts_contract import MARTS
from pipelines.reference import load_reference
from pipelines.settings import DBT_PROJECT, Settings
from pipelines.warehouse import open_warehouse
from tests.support.dbt_models import run_dbt
from tests.support.raw_tables import (
    OPS_TABLES,
    Row,
    a_channel,
    create_raw_tables,
    create_warehouse_tables,
    the_channels,
)
from tests.unit.ledger.samples import a_line, a_product, a_refund, an_order, returned

pytestmark = pytest.mark.xdist_group("dbt")

CHANNELS = the_channels(a_channel("pos"), a_channel("web", timezone="Europe/Berlin", currency="EUR", online=True))
NOT_BY_DBT = {
    "recommendations", "activation_log", "stock_health", "customer_scores", "model_calibration", "model_drift",
    "model_metrics", "model_versions",
}  # fmt: skip

ORDERS = [
    an_order("jan", a_line(unit_price="50"), paid_at="2026-01-10 04:00:00"),
    an_order("may", a_line(unit_price="300"), a_line("2", unit_price="0", is_gift=True), paid_at="2026-05-20 04:00:00"),
    an_order(
        "web",
        a_line(unit_price="20"),
        channel="web",
        currency="EUR",
        paid_at="2026-06-10 04:00:00",
        coupon_codes=["other", " code1 "],
    ),
    an_order("cancelled", status="cancelled", cancelled_at="2026-06-20 04:00:00", coupon_codes=["CODE2"]),
    an_order("nameless", store_id="s1"),
    an_order("without_lines", lines=None),
]
REFUNDS = [
    a_refund("r1", "may", "30", returned("1", "30", "0.1")),
    a_refund("r2", "web", "20", channel="web", currency="EUR", refunded_at="2026-06-20 04:00:00"),
    a_refund("r3", "never_came", "20"),
]
OWNERS = {"jan": "c1", "may": "c1", "web": "c2", "cancelled": "c2"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), memory_limit="500MB", threads=1)


@pytest.fixture(scope="module")
def built(settings: Settings) -> Settings:
    """A home whose warehouse dbt has built once, as of 30 June."""
    settings.lake.mkdir(parents=True)
    with open_warehouse(settings) as connection:
        create_warehouse_tables(
            connection,
            settings,
            CHANNELS,
            date(2026, 6, 30),
            {
                "orders": ORDERS,
                "refunds": REFUNDS,
                "products": [a_product("food", cost="3")],
                "stores": [{"store_id": "s1", "updated_at": "2026-01-01", "name": "One", "timezone": "Asia/Tokyo"}],
                "fx_rates": [{"currency": "EUR", "date": "2026-01-01", "rate": "7.8"}],
                "members": [
                    {
                        "channel": "pos",
                        "member_id": "m1",
                        "updated_at": "2026-01-01",
                        "consent_marketing": True,
                        "_file": "pos/members/m.jsonl",
                        "_line": 1,
                    }
                ],
            },
            {
                "identities": [
                    {"kind": "member", "channel": "pos", "identity": "m1", "customer_id": "c1", "is_blocked": False}
                ],
                "order_customers": [
                    {"channel": "web" if order == "web" else "pos", "order_id": order, "customer_id": owner}
                    for order, owner in OWNERS.items()
                ],
            },
            {
                "batches": [{"batch_id": "b1", "feed": "orders", "taken_at": "2026-07-01 00:00:00"}],
                "coupons_issued": [
                    {
                        "delivery_id": f"d{number}",
                        "destination": "web",
                        "coupon_code": f"CODE{number}",
                        "campaign_id": "recall",
                        "wave": "1",
                        "customer_id": f"c{number}",
                        "decided_on": "2026-05-01",
                        "valid_to": "2026-05-31",
                    }
                    for number in (1, 2)
                ],
            },
        )
    outcome = run_dbt(settings, "build")
    assert outcome.success, outcome.exception or [
        (result.node.name, result.message) for result in outcome.result if result.status not in ("pass", "success")
    ]
    return settings


def run_snapshot(settings: Settings, as_of: date, *more: str, without: str | None = None) -> None:
    """The RFM part of a run for another as-of date; `without`: a customer whose orders are gone."""
    orders: list[Row] = [order for order in ORDERS if OWNERS.get(order["order_id"]) != without]
    with open_warehouse(settings) as connection:
        load_reference(connection, settings, CHANNELS, as_of)
        if without:
            rates = [{"currency": "EUR", "date": "2026-01-01", "rate": "7.8"}]
            create_raw_tables(connection, {"orders": orders, "refunds": REFUNDS, "fx_rates": rates})
    outcome = run_dbt(settings, "run", "--select", "+customer_rfm+", *more)
    assert outcome.success, outcome.exception


def rows(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    with open_warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


SNAPSHOTS = (
    "SELECT snapshot_date::VARCHAR, customer_id, segment, previous_segment, previous_snapshot_date::VARCHAR, "
    "segment_since::VARCHAR FROM marts.customer_rfm ORDER BY ALL"
)


def test_everything_builds_and_every_mart_has_the_columns_of_the_contract(built: Settings) -> None:
    present = set(rows(built, "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts'"))
    promised = {(table, column) for table, columns in MARTS.items() if table not in NOT_BY_DBT for column in columns}
    assert promised - present == set()


def test_what_waits_is_told_with_the_time_it_came(built: Settings) -> None:
    assert rows(built, "SELECT feed, entity_id, since::VARCHAR FROM marts.waiting ORDER BY ALL") == [
        ("orders", "without_lines", "2026-07-01 00:00:00"),
        ("refunds", "r3", "2026-07-01 00:00:00"),
    ]


def test_a_redeemed_code_is_credited_to_its_campaign_and_a_cancelled_order_redeems_nothing(built: Settings) -> None:
    assert rows(
        built,
        "SELECT coupon_code, redeemed_channel, redeemed_order_id, redeemed_by_customer_id, net_amount::VARCHAR, "
        "is_expired FROM marts.campaign_coupons ORDER BY ALL",
    ) == [("CODE1", "web", "web", "c2", "156.00", False), ("CODE2", None, None, None, None, True)]
    assert rows(
        built,
        "SELECT campaign_id, sum(issued), sum(redeemed), sum(expired), sum(net_amount)::VARCHAR "
        "FROM marts.coupon_performance GROUP BY campaign_id",
    ) == [("recall", 2, 1, 1, "156.00")]


def test_money_is_decimal_and_no_mart_holds_a_float_for_it(built: Settings) -> None:
    assert (
        rows(
            built,
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' "
            "AND (column_name LIKE '%amount%' OR column_name IN ('monetary', 'cost', 'list_price')) "
            "AND data_type NOT LIKE 'DECIMAL%'",
        )
        == []
    )


def test_every_model_says_its_grain(built: Settings) -> None:
    undescribed = []
    described = {
        model["name"]: model.get("description", "")
        for path in (DBT_PROJECT / "models").rglob("*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }
    for path in (DBT_PROJECT / "models").rglob("*.sql"):
        if "One row" not in described.get(path.stem, "").strip().split(". ")[-1]:
            undescribed.append(path.stem)
    assert undescribed == []


def test_the_empty_logs_of_a_first_run_are_typed(built: Settings) -> None:
    for table in OPS_TABLES.keys() - {"coupons_issued", "campaign_decisions", "campaign_rules"}:  # no marts' names
        columns = OPS_TABLES[table]
        found = rows(
            built, f"SELECT column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = '{table}'"
        )
        assert set(columns) <= {name for (name,) in found}


def test_snapshots_follow_on_each_other_and_survive_every_run(built: Settings) -> None:
    first = [
        ("2026-06-30", "c1", "cooling_occasionals", None, None, "2026-06-30"),
    ]
    assert rows(built, SNAPSHOTS) == first

    run_snapshot(built, date(2026, 7, 31), "--full-refresh")
    second = [("2026-07-31", "c1", "hibernating", "cooling_occasionals", "2026-06-30", "2026-07-31")]
    assert rows(built, SNAPSHOTS) == first + second
    assert rows(built, "SELECT from_segment, to_segment, customers FROM marts.segment_movements") == [
        ("cooling_occasionals", "hibernating", 1)
    ]

    # A run for an earlier date slips in: it gets its own predecessor, its successor follows on it, the rest stays.
    run_snapshot(built, date(2026, 7, 25))
    assert rows(built, SNAPSHOTS) == [
        *first,
        ("2026-07-25", "c1", "hibernating", "cooling_occasionals", "2026-06-30", "2026-07-25"),
        ("2026-07-31", "c1", "hibernating", "hibernating", "2026-07-25", "2026-07-25"),
    ]
    assert rows(built, "SELECT segment, since::VARCHAR FROM marts.segment_members ORDER BY 1") == [
        ("at_risk", "2026-07-25"),
        ("hibernating", "2026-07-25"),
    ]

    # The same date again replaces its own snapshot, even if nobody is left in it; later ones keep theirs.
    run_snapshot(built, date(2026, 7, 25), without="c1")
    assert [row[:3] for row in rows(built, SNAPSHOTS)] == [
        ("2026-06-30", "c1", "cooling_occasionals"),
        ("2026-07-31", "c1", "hibernating"),
    ]
    assert rows(built, "SELECT count(*) FROM marts.segment_members") == [(0,)]


def test_past_the_daily_days_the_last_snapshot_of_a_month_stays(settings: Settings, built: Settings) -> None:
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute("DELETE FROM marts.customer_rfm")
        connection.execute(
            """
            INSERT INTO marts.customer_rfm
                (customer_id, snapshot_date, segment, lifecycle, segment_since, lifecycle_since)
            SELECT 'c9', day::DATE, 'hibernating', 'lost', DATE '2026-01-01', DATE '2026-01-01'
            FROM range(DATE '2026-04-01', DATE '2026-07-31', INTERVAL 1 DAY) AS days (day)
            """
        )
    run_snapshot(built, date(2026, 7, 31), without="c1")
    kept = rows(built, "SELECT DISTINCT snapshot_date::VARCHAR FROM marts.customer_rfm ORDER BY 1")
    # 62 days before the newest, 30 July, is 29 May.
    assert [day for (day,) in kept][:4] == ["2026-04-30", "2026-05-29", "2026-05-30", "2026-05-31"]
    assert len(kept) == 1 + 3 + 30 + 30


def test_segment_rules_that_leave_a_gap_stop_the_run_before_anything_is_written(settings: Settings) -> None:
    own = settings.home / "reference" / "segments.yml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("rfm: {}\n")
    try:
        with open_warehouse(settings) as connection, pytest.raises(ConfigurationError, match="recency_days"):
            load_reference(connection, settings, CHANNELS, date(2026, 8, 1))
    finally:
        own.unlink()


def test_no_source_is_declared_that_no_feed_or_step_produces(built: Settings) -> None:
    declared = {
        (source["name"], table["name"])
        for source in yaml.safe_load((DBT_PROJECT / "models/staging/_sources.yml").read_text())["sources"]
        for table in source["tables"]
    }
    present = set(rows(built, "SELECT schema_name, table_name FROM duckdb_tables()"))
    assert declared - present == set()
    assert Path(DBT_PROJECT / "profiles.yml").is_file()
