"""Stores and prices: pickups, guiding stores, tiers with hysteresis, and one article at several prices."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import duckdb

from tests.support.raw_tables import Row, a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import a_line, a_refund, an_order, returned

CHANNELS = the_channels(a_channel("app", online=True), a_channel("pos"), a_channel("tmall", online=True))
AS_OF = date(2026, 6, 30)


def a_store(store_id: str, **changes: object) -> Row:
    return {"store_id": store_id, "updated_at": "2026-01-01", "name": store_id, "kind": "store", **changes}


def a_price(channel: str, price: str, valid_from: str, **changes: object) -> Row:
    return {
        "channel": channel, "sku": "food", "price": price, "currency": "CNY", "valid_from": valid_from, **changes,
    }  # fmt: skip


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return connection.execute(sql).fetchall()


def test_pickups_end_in_one_state_as_of_the_date_and_their_share_is_of_the_citys_orders(build_figures: Build) -> None:
    def pickup(order: str, ready: str | None, picked: str | None = None, **changes: object) -> Row:
        return an_order(
            order, channel="app", fulfilment="pickup", fulfil_store_id="s1", pickup_ready_at=ready, picked_up_at=picked,
            **changes,
        )  # fmt: skip

    orders = [
        pickup("fetched", "2026-06-01 05:00:00", "2026-06-01 06:30:00"),
        # Fetched, but only after the as-of date: seven days are not over on 30 June, ...
        pickup("later", "2026-06-23 05:00:00", "2026-07-02 05:00:00"),
        # ... eight are.
        pickup("expired", "2026-06-22 05:00:00"),
        pickup("not_ready", None),
        pickup("cancelled", "2026-06-02 05:00:00", status="cancelled", cancelled_at="2026-06-20 05:00:00"),
        pickup("unpaid", "2026-06-02 05:00:00", status="pending", paid_at=None),
        pickup("test", "2026-06-02 05:00:00", is_test=True),
        # Delivered to somebody of the same city (written another way), and of a city without a store.
        an_order("home", channel="app", fulfilment="delivery", member_id="m1"),
        an_order("far", channel="app", fulfilment="delivery", member_id="m2"),
        an_order("till", fulfilment="pickup", fulfil_store_id="s1"),
    ]
    feeds = {
        "orders": orders,
        "stores": [
            a_store("s1", city="上海市"),
            a_store("s2", city=" 上海"),
            a_store("w1", city="上海", kind="warehouse"),
        ],
        "members": [
            {"channel": "app", "member_id": "m1", "updated_at": "2026-01-01", "city": "上海"},
            {"channel": "app", "member_id": "m2", "updated_at": "2026-01-01", "city": "青岛"},
        ],
    }
    identity = {
        "identities": [
            {"kind": "member", "channel": "app", "identity": f"m{n}", "customer_id": f"c{n}", "is_blocked": False}
            for n in (1, 2)
        ],
        "order_customers": [
            {"channel": "app", "order_id": "home", "customer_id": "c1"},
            {"channel": "app", "order_id": "far", "customer_id": "c2"},
        ],
    }
    connection = build_figures(CHANNELS, AS_OF, feeds, "store_online_daily", identity=identity)
    found = rows(
        connection,
        "SELECT store_id, city_orders, pickup_orders, picked_up, pickup_expired, pickup_cancelled, pickup_waiting, "
        "pickup_minutes FROM marts.store_online_daily ORDER BY store_id",
    )
    assert found == [("s1", 6, 5, 1, 1, 1, 2, 90), ("s2", 6, 0, 0, 0, 0, 0, 0)]


def test_of_overlapping_prices_the_latest_holds_and_the_one_beneath_comes_back(build_figures: Build) -> None:
    prices = [
        a_price("app", "100", "2026-06-01 00:00:00"),
        # 90 from the 10th to the 12th, Shanghai time; at 16:00 UTC on the 12th the new day begins there.
        a_price("app", "90", "2026-06-09 16:00:00", valid_to="2026-06-12 16:00:00"),
        a_price("tmall", "100", "2026-06-01 00:00:00", valid_to="2026-06-20 16:00:00"),
        a_price("tmall", "100", "2026-06-20 16:00:00"),
        # Never valid, another currency, another article: no conflict.
        a_price("pos", "1", "2026-06-01 00:00:00", valid_to="2026-06-01 00:00:00"),
        a_price("pos", "20", "2026-06-01 00:00:00", currency="AUD"),
        a_price("pos", "5", "2026-06-01 00:00:00", sku="toy"),
    ]
    connection = build_figures(CHANNELS, AS_OF, {"prices": prices}, "price_conflicts")
    found = rows(
        connection,
        "SELECT business_date::VARCHAR, lowest_price, lowest_channel, highest_price, highest_channel, gap, "
        "protected_orders FROM marts.price_conflicts ORDER BY 1",
    )
    assert found == [
        (f"2026-06-{day}", Decimal(90), "app", Decimal(100), "tmall", Decimal(10), 0) for day in (10, 11, 12)
    ]


def test_prices_that_follow_on_each_other_never_meet(build_figures: Build) -> None:
    prices = [
        a_price("app", "100", "2026-06-01 00:00:00", valid_to="2026-06-10 00:00:00"),
        a_price("tmall", "80", "2026-06-10 00:00:00"),
    ]
    connection = build_figures(CHANNELS, AS_OF, {"prices": prices}, "price_conflicts")
    assert rows(connection, "SELECT * FROM marts.price_conflicts") == []


def test_an_open_conflict_lasts_until_the_as_of_date_and_the_widest_of_a_day_is_shown(build_figures: Build) -> None:
    prices = [
        a_price("app", "100", "2026-06-28 16:00:00"),
        a_price("pos", "95", "2026-06-28 16:00:00", store_id="s1"),
        a_price("pos", "60", "2026-06-29 20:00:00", store_id="s2", valid_to="2026-06-29 20:30:00"),
        a_price("app", "70", "2026-07-02 00:00:00"),
    ]
    connection = build_figures(CHANNELS, AS_OF, {"prices": prices}, "price_conflicts")
    found = rows(
        connection,
        "SELECT business_date::VARCHAR, lowest_store_id, gap FROM marts.price_conflicts ORDER BY 1",
    )
    assert found == [("2026-06-29", "s1", Decimal(5)), ("2026-06-30", "s2", Decimal(40))]


def test_a_sale_within_seven_days_before_a_lower_price_is_protected_once(build_figures: Build) -> None:
    prices = [
        a_price("app", "100", "2026-05-01 00:00:00"),
        a_price("app", "80", "2026-06-08 00:00:00"),
        a_price("tmall", "70", "2026-06-09 00:00:00"),
        # The same again is no lower price, nor is a dearer one.
        a_price("tmall", "70", "2026-06-12 00:00:00"),
        a_price("app", "85", "2026-06-12 00:00:00"),
    ]

    def sold(order: str, at: str, quantity: str = "1", **changes: object) -> Row:
        line = a_line(quantity=quantity, unit_price="100", **changes.pop("line", {}))  # type: ignore[arg-type]
        return an_order(order, line, channel="app", paid_at=at, placed_at=at, **changes)

    orders = [
        # Seven days to the second before the first drop; its lowest within reach is 80.
        sold("edge", "2026-06-01 00:00:00"),
        sold("too_early", "2026-05-31 23:59:59"),
        # Two units, both drops in reach: 70 counts. One of three came back.
        sold("two", "2026-06-07 00:00:00", "2"),
        sold("part_back", "2026-06-07 00:00:00", "3"),
        sold("gift", "2026-06-07 00:00:00", line={"is_gift": True}),
        sold("cancelled", "2026-06-07 00:00:00", status="cancelled", cancelled_at="2026-06-07 05:00:00"),
        sold("cheap", "2026-06-07 00:00:00", line={"discount_amount": "35"}),
        sold("after", "2026-06-09 00:00:00"),
    ]
    refunds = [
        a_refund("r", "part_back", "100", returned("1", "100", "1"), channel="app", refunded_at="2026-06-08 00:00:00")
    ]
    feeds = {"prices": prices, "orders": orders, "refunds": refunds}
    connection = build_figures(CHANNELS, AS_OF, feeds, "price_conflicts")
    found = rows(
        connection,
        "SELECT business_date::VARCHAR, protected_orders, protection_amount FROM marts.price_conflicts "
        "WHERE protected_orders > 0 ORDER BY 1",
    )
    assert found == [("2026-06-08", 1, Decimal("20.00")), ("2026-06-09", 2, Decimal("120.00"))]


def test_area_counts_by_the_days_a_store_was_open_and_a_tier_needs_ninety_days(build_figures: Build) -> None:
    """Five stores; s5 opened half-way through the quarter and has traded for 46 days."""
    orders = []
    for number in range(1, 6):
        first = date(2026, 5, 16) if number == 5 else date(2026, 3, 30)
        for day in range((AS_OF - first).days + 1):
            at = f"{first + timedelta(days=day)} 04:00:00"
            line = a_line(unit_price=str(100 * number))
            orders.append(an_order(f"{number}-{day}", line, store_id=f"s{number}", paid_at=at, placed_at=at))
    stores = [a_store(f"s{number}", brand="b", selling_area_m2="100", province="沪") for number in range(1, 5)]
    # Twice as large from the quarter's 46th day on.
    stores.append(a_store("s1", updated_at="2026-05-16 00:00:00", brand="b", selling_area_m2="200", province="沪"))
    stores.append(a_store("s5", brand="b", selling_area_m2="182", opened_on="2026-05-16", province="沪"))
    connection = build_figures(CHANNELS, AS_OF, {"orders": orders, "stores": stores}, "stores_scorecard")
    found = rows(
        connection,
        "SELECT store_id, net_amount, round(selling_area_m2, 4), net_per_m2, trading_days_so_far, peers, tier "
        "FROM marts.stores_scorecard WHERE quarter = DATE '2026-04-01' ORDER BY store_id",
    )
    assert found == [
        ("s1", Decimal("9100.00"), 150.5495, Decimal("60.45"), 93, 3, "C"),
        ("s2", Decimal("18200.00"), 100.0, Decimal("182.00"), 93, 3, "B"),
        ("s3", Decimal("27300.00"), 100.0, Decimal("273.00"), 93, 3, "A"),
        ("s4", Decimal("36400.00"), 100.0, Decimal("364.00"), 93, 3, "S"),
        ("s5", Decimal("23000.00"), 92.0, Decimal("250.00"), 46, None, None),
    ]


def test_a_tier_changes_only_when_a_cutoff_is_passed_by_the_hysteresis_too(build_figures: Build) -> None:
    """s3 rises from 0.4 (B) to 0.6 (A) and falls to 0.45, which would be B but for the margin of 0.05."""
    amounts = {
        # quarter: amount a day of s1 to s6
        date(2026, 1, 1): (10, 20, 30, 40, 50, 60),
        date(2026, 4, 1): (10, 20, 45, 40, 50, 60),
        date(2026, 7, 1): (10, 20, 40, 40, 50, 60),
    }
    orders = []
    for quarter, prices in amounts.items():
        for day in range(92):
            on = quarter + timedelta(days=day)
            if on.month > quarter.month + 2:
                continue
            for number, price in enumerate(prices, start=1):
                at, line = f"{on} 04:00:00", a_line(unit_price=str(price))
                orders.append(an_order(f"{number}-{on}", line, store_id=f"s{number}", paid_at=at, placed_at=at))
    # A little larger: where s3 and s4 sell the same, s3 sells less a square metre.
    areas = {3: "101"}
    stores = [
        a_store(f"s{number}", brand="b", province="沪", selling_area_m2=areas.get(number, "100"))
        for number in range(1, 7)
    ]
    connection = build_figures(CHANNELS, date(2026, 9, 30), {"orders": orders, "stores": stores}, "stores_scorecard")
    found = rows(
        connection,
        "SELECT quarter::VARCHAR, score, tier, previous_tier FROM marts.stores_scorecard "
        "WHERE store_id = 's3' ORDER BY 1",
    )
    assert found == [
        ("2026-01-01", 0.4, "B", None),
        ("2026-04-01", 0.6, "A", "B"),
        ("2026-07-01", 0.45, "A", "A"),
    ]
    assert rows(connection, "SELECT DISTINCT is_finished FROM marts.stores_scorecard") == [(True,)]
