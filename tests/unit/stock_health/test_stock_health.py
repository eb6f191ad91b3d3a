"""Stock against demand: cover, stock-outs, transfers that leave the giver enough, orders."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.stock_health import load_stock_rules, write_stock_health
from pipelines.stock_health.health import AREAS, fill_stock_health
from pipelines.stock_health.history import read_demand_history
from tests.unit.stock_health.conftest import AS_OF, Measure

SHANGHAI = {"province": "上海", "city": "上海", "timezone": "Asia/Shanghai"}
BEIJING = {"province": "北京", "city": "北京", "timezone": "Asia/Shanghai"}
SYDNEY = {"province": "NSW", "city": "Sydney", "timezone": "Australia/Sydney"}


def daily(store: str, units: int, days: int = 60, sku: str = "a", **more: Any) -> list[dict[str, Any]]:
    """So many units on each of the newest days."""
    return [
        {"store_id": store, "sku": sku, "day": AS_OF - timedelta(days=back), "quantity": units} | more
        for back in range(days)
    ]


def health(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], dict[str, Any]]:
    found = connection.execute("SELECT * FROM marts.stock_health").to_arrow_table().to_pylist()
    return {(row["store_id"], row["sku"]): row for row in found}


def test_steady_demand_is_forecast_and_covered(measure: Measure) -> None:
    report, connection = measure(
        [{"store_id": "s1", **SHANGHAI}],
        [{"store_id": "s1", "sku": "a", "on_hand": 20, "reserved": 5}, {"store_id": "s1", "sku": "b", "on_hand": 9}],
        daily("s1", 3),
    )
    rows = health(connection)
    sold, unsold = rows["s1", "a"], rows["s1", "b"]
    assert (report.rows, report.series) == (2, 1)
    assert sold["demand_next_14d"] == pytest.approx(42, rel=0.02)
    assert sold["daily_units"] == pytest.approx(3)
    assert sold["cover_days"] == pytest.approx(5)
    assert sold["own_need"] >= 42
    assert sold["reorder_quantity"] == sold["own_need"] - 15
    assert (unsold["cover_days"], unsold["reorder_quantity"], unsold["surplus"]) == (None, 0, 9)


def test_a_cancelled_order_wanted_nothing_and_a_return_takes_no_demand_back(measure: Measure) -> None:
    sales = daily("s1", 3)
    cancelled = [sale | {"kind": "cancel", "quantity": -3} for sale in sales[::2]]
    returned = [sale | {"kind": "return", "quantity": -3} for sale in sales]
    _, connection = measure(
        [{"store_id": "s1", **SHANGHAI}],
        [{"store_id": "s1", "sku": "a", "on_hand": 1}],
        [*sales, *cancelled, *returned],
    )
    assert health(connection)["s1", "a"]["daily_units"] == pytest.approx(1.5)


def test_demand_falls_on_the_place_that_hands_the_goods_over(measure: Measure) -> None:
    stores = [{"store_id": "s1", **SHANGHAI}, {"store_id": "s2", **SHANGHAI}, {"store_id": "w", "kind": "warehouse"}]
    counts = [{"store_id": store, "sku": "a", "on_hand": 5} for store in ("s1", "s2", "w")]
    sales = [
        *daily("s1", 1),
        *daily("s1", 2, fulfil_store_id="s2"),
        *[sale | {"store_id": None} for sale in daily("s1", 4)],
    ]
    _, connection = measure(stores, counts, sales)
    found = {store: row["daily_units"] for (store, _), row in health(connection).items()}
    assert found == pytest.approx({"s1": 1, "s2": 2, "w": 4})


def test_orders_that_name_no_place_fall_on_none_of_two_warehouses(measure: Measure) -> None:
    stores = [{"store_id": name, "kind": "warehouse"} for name in ("v", "w")]
    counts = [{"store_id": name, "sku": "a", "on_hand": 5} for name in ("v", "w")]
    report, _ = measure(stores, counts, [sale | {"store_id": None} for sale in daily("", 4)])
    assert report.series == 0


def test_days_without_stock_are_unknown_until_the_next_count_or_sale(measure: Measure) -> None:
    counts = [
        {"store_id": "s1", "sku": "a", "on_hand": 9, "counted_at": "2026-05-01 01:00:00"},
        {"store_id": "s1", "sku": "a", "on_hand": 2, "reserved": 2, "counted_at": "2026-06-10 01:00:00"},
        {"store_id": "s1", "sku": "a", "on_hand": 9, "counted_at": "2026-06-15 01:00:00"},
        {"store_id": "s1", "sku": "a", "on_hand": 0, "counted_at": "2026-06-20 01:00:00"},
        {"store_id": "s1", "sku": "a", "on_hand": 9, "counted_at": "2026-06-27 01:00:00"},
    ]
    out = {f"2026-06-{day}" for day in (10, 11, 12, 13, 14, 20, 21, 22)}
    sales = [sale for sale in daily("s1", 2) if str(sale["day"]) not in out]
    _, connection = measure([{"store_id": "s1", **SHANGHAI}], counts, sales)
    row = health(connection)["s1", "a"]
    assert row["in_stock_days"] == 28 - 8
    assert row["daily_units"] == pytest.approx(2)
    assert row["demand_next_14d"] == pytest.approx(28, rel=0.03)


def test_a_count_belongs_to_the_business_day_of_its_place(measure: Measure) -> None:
    # 15:30 UTC on the 19th is half past one on the 20th in Sydney, half past eleven at night of the 19th in Shanghai.
    counts = [
        {"store_id": store, "sku": "a", "on_hand": on_hand, "counted_at": at}
        for store in ("s1", "s2")
        for on_hand, at in ((0, "2026-06-19 15:30:00"), (5, "2026-06-22 15:30:00"))
    ]
    sales = [*daily("s1", 1, 5), *daily("s2", 1, 5)]
    _, connection = measure([{"store_id": "s1", **SHANGHAI}, {"store_id": "s2", **SYDNEY}], counts, sales)
    history = read_demand_history(connection, AS_OF, 60, 14)
    by_store = dict(connection.execute("SELECT store_id, series FROM demand_series").fetchall())
    panel = history.panel(0, 2)
    unknown = {
        store: [str(history.first + timedelta(days=int(place))) for place in np.flatnonzero(np.isnan(panel.units[row]))]
        for store, row in by_store.items()
    }
    assert unknown["s1"][-3:] == ["2026-06-19", "2026-06-20", "2026-06-21"]
    assert unknown["s2"][-3:] == ["2026-06-20", "2026-06-21", "2026-06-22"]


def test_prices_of_a_place_and_campaigns_are_inputs_up_to_the_horizon(measure: Measure) -> None:
    prices = [
        {"store_id": "s1", "sku": "a", "price": "10", "currency": "CNY", "valid_from": "2026-06-01"},
        {"store_id": "s1", "sku": "a", "price": "8", "currency": "CNY", "valid_from": "2026-07-03"},
        {"store_id": "s1", "sku": "a", "price": "1", "currency": "CNY", "valid_from": "2026-09-01"},
        {"channel": "web", "sku": "a", "price": "5", "currency": "CNY", "valid_from": "2026-06-02"},
    ]
    campaigns = [{"campaign_id": "x", "starts_at": "2026-06-28", "ends_at": "2026-07-02", "updated_at": "2026-06-01"}]
    _, connection = measure(
        [{"store_id": "s1", **SHANGHAI}], [{"store_id": "s1", "sku": "a", "on_hand": 5}], daily("s1", 2),
        feeds={"prices": prices, "campaigns": campaigns},
    )  # fmt: skip
    history = read_demand_history(connection, AS_OF, 60, 14)
    panel = history.panel(0, 1)
    assert panel.price is not None
    assert panel.promotion is not None
    told = {
        str(history.first + timedelta(days=int(at))): panel.price[0, at] for at in np.flatnonzero(panel.price[0] > 0)
    }
    assert told == {"2026-06-01": 10, "2026-07-03": 8}
    assert panel.promotion[0, -18:].tolist() == [0, 1, 1, 1, 1, *[0] * 13]


def test_the_nearest_place_with_more_than_its_own_need_gives(measure: Measure) -> None:
    stores = [{"store_id": "s1", **SHANGHAI}, {"store_id": "s2", **SHANGHAI}, {"store_id": "s3", **BEIJING}]
    stores.append({"store_id": "s4", **SYDNEY})
    on_hand = {"s1": 0, "s2": 200, "s3": 900, "s4": 900}
    _, connection = measure(
        stores, [{"store_id": name, "sku": "a", "on_hand": units} for name, units in on_hand.items()],
        [*daily("s1", 2), *daily("s2", 2)],
    )  # fmt: skip
    row = health(connection)["s1", "a"]
    assert row["stockout"]
    assert row["available_elsewhere"] == 1100
    assert (row["transfer_from_store_id"], row["transfer_quantity"]) == ("s2", row["own_need"])
    assert row["reorder_quantity"] == 0


def test_nothing_moves_between_countries_nor_out_of_a_place_that_needs_it(measure: Measure) -> None:
    stores = [{"store_id": "s1", **SHANGHAI}, {"store_id": "s2", **SHANGHAI}, {"store_id": "s4", **SYDNEY}]
    _, connection = measure(
        stores,
        [{"store_id": name, "sku": "a", "on_hand": units} for name, units in (("s1", 0), ("s2", 30), ("s4", 500))],
        [*daily("s1", 2), *daily("s2", 4)],
    )  # fmt: skip
    rows = health(connection)
    assert [row["transfer_from_store_id"] for row in rows.values()] == [None, None, None]
    assert rows["s1", "a"]["reorder_quantity"] == rows["s1", "a"]["own_need"]


def test_closed_places_and_articles_off_sale_ask_for_nothing_and_give(measure: Measure) -> None:
    stores = [{"store_id": "s1", "closed_on": "2026-06-01", **SHANGHAI}, {"store_id": "s2", **SHANGHAI}]
    _, connection = measure(
        stores,
        [
            {"store_id": store, "sku": sku, "on_hand": units}
            for store, sku, units in (("s1", "a", 50), ("s2", "a", 0), ("s2", "off", 0))
        ],
        [*daily("s1", 2), *daily("s2", 1), *daily("s2", 2, sku="off")],
        products=[{"sku": "a", "is_sellable": True}, {"sku": "off", "is_sellable": False}],
    )
    rows = health(connection)
    assert rows["s1", "a"]["own_need"] == 0
    assert rows["s2", "a"]["transfer_from_store_id"] == "s1"
    assert rows["s2", "off"]["reorder_quantity"] == 0


def test_a_second_run_changes_nothing_and_learns_nothing(measure: Measure, settings: Settings) -> None:
    report, connection = measure(
        [{"store_id": "s1", **SHANGHAI}], [{"store_id": "s1", "sku": "a", "on_hand": 3}], daily("s1", 2)
    )
    before = health(connection)
    again = write_stock_health(connection, settings, open_state(settings), AS_OF)
    assert health(connection) == before
    assert "taken into use" in report.words
    assert again.words == "as before"


def test_a_lost_model_file_is_learned_again_to_the_same_figures(measure: Measure, settings: Settings) -> None:
    _, connection = measure(
        [{"store_id": "s1", **SHANGHAI}], [{"store_id": "s1", "sku": "a", "on_hand": 3}], daily("s1", 2)
    )
    before = health(connection)
    (file,) = (settings.lake / "models").glob("demand-*.joblib")
    file.write_bytes(b"torn")
    write_stock_health(connection, settings, open_state(settings), AS_OF)
    assert health(connection) == before


def test_without_counts_or_sales_there_is_an_empty_or_quiet_table(measure: Measure) -> None:
    report, connection = measure([{"store_id": "s1", **SHANGHAI}], [], daily("s1", 2))
    assert (report.rows, report.series) == (0, 0)
    report, connection = measure([], [{"store_id": "s9", "sku": "a", "on_hand": 3}], [])
    row = health(connection)["s9", "a"]
    assert (row["cover_days"], row["demand_next_14d"], row["model_version"]) == (None, 0, None)


PLACES = [f"s{number}" for number in range(6)]


@given(
    positions=st.dictionaries(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["a", "b"])),
        st.tuples(st.integers(-3, 60), st.integers(0, 5), st.floats(0, 40), st.floats(0, 20)),
        min_size=1,
    ),
    within=st.sampled_from(list(AREAS)),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_gives_more_than_it_can_spare_and_all_that_is_given_is_received(
    positions: dict[tuple[str, str], tuple[int, int, float, float]], within: str
) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.products (sku VARCHAR, category VARCHAR, is_sellable BOOLEAN)")
        connection.execute(
            "CREATE TABLE demand_places AS SELECT 's' || n AS store_id, 'zone' || n % 2 AS timezone, "
            "'p' || n % 3 AS province, CASE WHEN n < 4 THEN 'c' || n % 2 END AS city, "
            "n = 5 AS is_closed FROM range(6) AS t(n)"
        )
        connection.execute(
            "CREATE TABLE stock_rules AS SELECT '' AS category, 7 AS lead_time_days, 7 AS review_days, 1.6 AS z"
        )
        connection.execute(
            "CREATE TABLE marts.stock (store_id VARCHAR, sku VARCHAR, on_hand DECIMAL(18,4), reserved DECIMAL(18,4), "
            "available DECIMAL(18,4), counted_at TIMESTAMP)"
        )
        connection.execute(
            "CREATE TABLE demand_forecasts (store_id VARCHAR, sku VARCHAR, daily_units DOUBLE, in_stock_days BIGINT, "
            "demand DOUBLE, low DOUBLE, high DOUBLE, kind VARCHAR, method VARCHAR)"
        )
        for (store, sku), (on_hand, reserved, demand, more) in positions.items():
            connection.execute(
                "INSERT INTO marts.stock VALUES (?, ?, ?, ?, ?, '2026-01-01')",
                [store, sku, on_hand, reserved, max(on_hand - reserved, 0)],
            )
            connection.execute(
                "INSERT INTO demand_forecasts VALUES (?, ?, ?, 28, ?, 0, ?, 'smooth', 'level')",
                [store, sku, demand / 14, demand, demand + more],
            )
        fill_stock_health(connection, {"as_of": AS_OF, "version": "v"}, within)
        rows = health(connection)
    given_by: dict[tuple[str, str], int] = {}
    for (store, sku), row in rows.items():
        if row["transfer_from_store_id"] is not None:
            assert row["transfer_quantity"] > 0
            key = (row["transfer_from_store_id"], sku)
            given_by[key] = given_by.get(key, 0) + row["transfer_quantity"]
        shortage = max(row["own_need"] - int(row["available"]), 0)
        assert row["transfer_quantity"] + row["reorder_quantity"] == shortage
        assert row["stockout"] == (row["on_hand"] - row["reserved"] <= 0)
        assert store != row["transfer_from_store_id"]
    for key, row in rows.items():
        assert row["given_quantity"] == given_by.get(key, 0) <= row["surplus"]
        assert row["available"] - row["given_quantity"] >= min(Decimal(row["own_need"]), row["available"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lead_time_days: soon", "lead_time_days"),
        ("service_level: 1.2", "service_level"),
        ("transfer_within: galaxy", "transfer_within"),
        ("lead_times: 3", "lead_times"),
        ("categories: {milk: {days: 1}}", "categories.milk.days"),
        ("[", "not readable YAML"),
    ],
)
def test_wrong_stock_rules_are_named(settings: Settings, content: str, words: str) -> None:
    path = settings.home / "reference" / "stock.yml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        load_stock_rules(settings)


def test_a_category_has_lead_times_of_its_own(measure: Measure, settings: Settings) -> None:
    path = settings.home / "reference" / "stock.yml"
    path.write_text("history_days: 56\nservice_level: 0.5\ncategories: {milk: {lead_time_days: 21}}")
    _, connection = measure(
        [{"store_id": "s1", **SHANGHAI}],
        [{"store_id": "s1", "sku": sku, "on_hand": 0} for sku in ("a", "m")],
        [*daily("s1", 2), *daily("s1", 2, sku="m")],
        products=[
            {"sku": "a", "category": "toys", "is_sellable": True},
            {"sku": "m", "category": "milk", "is_sellable": True},
        ],
    )
    needs = {sku: row["own_need"] for (_, sku), row in health(connection).items()}
    assert needs == {"a": 28, "m": 56}
