"""Funnels and flows: who a visitor is, which day a step belongs to, and which steps count."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from tests.support.raw_tables import Row, a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import an_order

CHANNELS = the_channels(
    a_channel("app", online=True, business_day_cutoff=time(4)),
    a_channel("sydney", online=True, timezone="Australia/Sydney"),
    a_channel("pos"),
)
AS_OF = date(2026, 6, 30)


def an_event(event_id: str, kind: str, at: str, **changes: object) -> Row:
    return {"channel": "app", "event_id": event_id, "type": kind, "occurred_at": at, **changes}


def members(*pairs: tuple[str, str]) -> list[Row]:
    """Identities that make these memberships of the app these customers."""
    return [
        {"kind": "member", "channel": "app", "identity": member, "customer_id": customer, "is_blocked": False}
        for member, customer in pairs
    ]


def steps(connection: object, day: str = "2026-06-10", channel: str = "app") -> list[int]:
    found = connection.execute(  # type: ignore[attr-defined]
        "SELECT persons FROM marts.funnel_daily WHERE business_date = ? AND channel = ? ORDER BY position",
        [day, channel],
    )
    return [persons for (persons,) in found.fetchall()]


def test_a_step_counts_only_after_the_ones_before_it(build_figures: Build) -> None:
    events = [
        an_event("1", "product_view", "2026-06-10 02:00:00", device_token="a"),
        an_event("2", "add_to_cart", "2026-06-10 02:01:00", device_token="a"),
        # Bought before going to checkout: the purchase is none of the funnel's.
        an_event("3", "purchase", "2026-06-10 02:02:00", device_token="a"),
        an_event("4", "checkout", "2026-06-10 02:03:00", device_token="a"),
        # One instant: the earlier step comes first.
        *(
            an_event(f"b{kind}", kind, "2026-06-10 03:00:00", device_token="b")
            for kind in ("purchase", "checkout", "add_to_cart", "product_view")
        ),
        an_event("c", "add_to_cart", "2026-06-10 03:00:00", device_token="c"),
    ]
    assert steps(build_figures(CHANNELS, AS_OF, {"events": events}, "funnel_daily")) == [2, 2, 2, 1]


def test_an_event_delivered_twice_is_one_and_its_later_arrival_holds(build_figures: Build) -> None:
    events = [
        an_event("1", "product_view", "2026-06-10 02:00:00", device_token="a"),
        an_event("1", "page_view", "2026-06-10 02:00:00", device_token="a"),
    ]
    assert steps(build_figures(CHANNELS, AS_OF, {"events": events}, "funnel_daily")) == [0, 0, 0, 0]


def test_the_day_begins_at_the_channels_cutoff_on_its_own_clock(build_figures: Build) -> None:
    events = [
        # 03:59:59 and 04:00 in Shanghai.
        an_event("1", "product_view", "2026-06-09 19:59:59", device_token="a"),
        an_event("2", "product_view", "2026-06-09 20:00:00", device_token="a"),
        # Midnight in Sydney, UTC+10 in June.
        an_event("3", "product_view", "2026-06-09 13:59:59", channel="sydney", device_token="a"),
        an_event("4", "product_view", "2026-06-09 14:00:00", channel="sydney", device_token="b"),
        # After the as-of date has ended there.
        an_event("5", "product_view", "2026-06-30 14:00:00", channel="sydney", device_token="b"),
    ]
    connection = build_figures(CHANNELS, AS_OF, {"events": events}, "funnel_daily")
    found = connection.execute(
        "SELECT channel, business_date::VARCHAR, persons FROM marts.funnel_daily WHERE position = 1 ORDER BY ALL"
    ).fetchall()
    assert found == [
        ("app", "2026-06-09", 1),
        ("app", "2026-06-10", 1),
        ("sydney", "2026-06-09", 1),
        ("sydney", "2026-06-10", 1),
    ]


def test_who_signs_in_half_way_is_one_visitor_and_a_shared_tablet_is_nobody_else(build_figures: Build) -> None:
    events = [
        an_event("1", "product_view", "2026-06-10 02:00:00", device_token="phone"),
        an_event("2", "add_to_cart", "2026-06-10 02:01:00", device_token="phone", member_id="m1"),
        # The same person by another membership and device: one.
        an_event("3", "product_view", "2026-06-10 05:00:00", device_token="laptop", member_id="m2"),
        # Two persons on one tablet: what is done there without a name belongs to neither.
        an_event("4", "page_view", "2026-06-10 06:00:00", device_token="tablet", member_id="m1"),
        an_event("5", "page_view", "2026-06-10 06:10:00", device_token="tablet", member_id="m3"),
        an_event("6", "product_view", "2026-06-10 06:20:00", device_token="tablet"),
        # A membership nobody knows is still one visitor; an event of nobody is none.
        an_event("7", "product_view", "2026-06-10 07:00:00", member_id="never_came"),
        an_event("8", "product_view", "2026-06-10 07:00:00"),
    ]
    identity = {"identities": members(("m1", "c1"), ("m2", "c1"), ("m3", "c3"))}
    connection = build_figures(CHANNELS, AS_OF, {"events": events}, "funnel_daily", "traffic_daily", identity=identity)
    assert steps(connection) == [3, 1, 0, 0]
    traffic = connection.execute("SELECT visitors, known_visitors, viewers FROM marts.traffic_daily").fetchall()
    assert traffic == [(4, 2, 3)]


def test_machines_and_staff_are_left_out(build_figures: Build) -> None:
    began = datetime(2026, 6, 10, 2)
    hurried = [
        an_event(f"h{second}", "product_view", str(began + timedelta(seconds=second)), device_token="robot")
        for second in range(31)
    ]
    tireless = [
        an_event(f"t{minute}", "product_view", str(began + timedelta(minutes=minute)), device_token="crawler")
        for minute in range(501)
    ]
    patient = [
        an_event(f"p{minute}", "product_view", str(began + timedelta(minutes=minute)), device_token="person")
        for minute in range(120)
    ]
    clerk = [an_event("c", "product_view", "2026-06-10 02:00:00", member_id="m1", device_token="desk")]
    feeds = {
        "events": hurried + tireless + patient + clerk,
        "members": [{"channel": "app", "member_id": "m1", "updated_at": "2026-01-01", "phone_token": "p"}],
        "staff": [{"staff_id": "s1", "updated_at": "2026-01-01", "phone_token": "p"}],
    }
    identity = {"identities": members(("m1", "c1"))}
    connection = build_figures(CHANNELS, AS_OF, feeds, "funnel_daily", identity=identity)
    assert steps(connection) == [1, 0, 0, 0]


def test_a_rate_needs_a_hundred_persons_and_alerts_against_its_own_weekday(build_figures: Build) -> None:
    """Mondays of 100 viewers: 50, 52, 48, 50 go on, then 20. A bad Tuesday is nobody's baseline, 99 persons no rate."""
    days = {"2026-06-01": 50, "2026-06-08": 52, "2026-06-15": 48, "2026-06-22": 50, "2026-06-23": 0, "2026-06-29": 20}
    events = []
    for day, carted in days.items():
        for person in range(100):
            device = f"{day}-{person}"
            events.append(an_event(f"{device}v", "product_view", f"{day} 02:00:00", device_token=device))
            if person < carted:
                events.append(an_event(f"{device}c", "add_to_cart", f"{day} 02:01:00", device_token=device))
    events = [event for event in events if not event["event_id"].startswith("2026-06-23-99")]
    connection = build_figures(CHANNELS, AS_OF, {"events": events}, "funnel_daily")
    found = connection.execute(
        "SELECT business_date::VARCHAR, persons, rate_from_previous, baseline_rate, alert FROM marts.funnel_daily "
        "WHERE step = 'add_to_cart' ORDER BY 1"
    ).fetchall()
    assert found == [
        ("2026-06-01", 50, 0.5, None, False),
        ("2026-06-08", 52, 0.52, None, False),
        ("2026-06-15", 48, 0.48, None, False),
        ("2026-06-22", 50, 0.5, None, False),
        ("2026-06-23", 0, None, None, False),
        ("2026-06-29", 20, 0.2, 0.5, True),
    ]


def test_customers_flow_on_within_the_days_and_an_open_month_has_no_rate(build_figures: Build) -> None:
    def bought(order: str, at: str, channel: str = "app", **changes: object) -> Row:
        return an_order(order, channel=channel, paid_at=at, placed_at=at, **changes)

    orders = [
        # On the 90th day, and on the 91st.
        bought("a1", "2026-01-05 04:00:00", "pos"),
        bought("a2", "2026-04-05 04:00:00"),
        bought("b1", "2026-01-05 04:00:00", "pos"),
        bought("b2", "2026-04-06 04:00:00"),
        bought("c1", "2026-06-05 04:00:00", "pos"),
        bought("c2", "2026-06-06 04:00:00", fulfilment="pickup"),
        # Online first, a pickup later; the first order's own pickup is no flow.
        bought("d1", "2026-01-05 04:00:00"),
        bought("d2", "2026-01-06 04:00:00", fulfilment="pickup"),
        bought("e1", "2026-01-05 04:00:00", fulfilment="pickup"),
    ]
    owners = {order["order_id"]: order["order_id"][0] for order in orders}
    identity = {
        "order_customers": [
            {"channel": order["channel"], "order_id": order["order_id"], "customer_id": owners[order["order_id"]]}
            for order in orders
        ]
    }
    connection = build_figures(CHANNELS, AS_OF, {"orders": orders}, "door_flows", identity=identity)
    found = connection.execute(
        "SELECT flow, month::VARCHAR, customers, followed, flow_rate FROM marts.door_flows ORDER BY ALL"
    ).fetchall()
    assert found == [
        ("online_to_pickup", "2026-01-01", 1, 1, 1.0),
        ("online_to_store", "2026-01-01", 2, 0, 0.0),
        ("store_to_online", "2026-01-01", 2, 1, 0.5),
        ("store_to_online", "2026-06-01", 1, 1, None),
    ]


def test_a_scan_in_a_store_leads_home_within_a_week(build_figures: Build) -> None:
    events = [
        an_event("1", "scan_qr", "2026-06-01 04:00:00", member_id="m1", store_id="s1"),
        an_event("2", "scan_qr", "2026-06-01 04:00:00", member_id="m2", store_id="s1"),
        an_event("3", "scan_qr", "2026-06-01 04:00:00", member_id="m3"),
    ]
    orders = [
        an_order("x", channel="app", paid_at="2026-06-08 03:00:00", placed_at="2026-06-08 03:00:00"),
        an_order("y", channel="app", paid_at="2026-06-09 05:00:00", placed_at="2026-06-09 05:00:00"),
    ]
    identity = {
        "identities": members(("m1", "c1"), ("m2", "c2"), ("m3", "c3")),
        "order_customers": [
            {"channel": "app", "order_id": "x", "customer_id": "c1"},
            {"channel": "app", "order_id": "y", "customer_id": "c2"},
        ],
    }
    feeds = {"events": events, "orders": orders}
    connection = build_figures(CHANNELS, AS_OF, feeds, "door_flows", "store_online_daily", identity=identity)
    flows = "SELECT customers, followed FROM marts.door_flows WHERE flow = 'scan_to_home'"
    assert connection.execute(flows).fetchall() == [(2, 1)]
    guided = "SELECT store_id, sum(scan_orders) FROM marts.store_online_daily GROUP BY store_id"
    assert connection.execute(guided).fetchall() == [("s1", 1)]
