"""RFM values, scores, segments and lifecycle stages, and what customers are made of."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import yaml

from dashboards.filters import Filters
from dashboards.queries.customers import WHAT_IF, over_chosen
from pipelines.settings import PACKAGED_REFERENCE, Settings
from tests.support.raw_tables import Row, a_channel, the_channels
from tests.unit.ledger.conftest import Build
from tests.unit.ledger.samples import a_line, a_refund, an_order, returned

AS_OF = date(2026, 6, 30)
CHANNELS = the_channels(a_channel("pos"), a_channel("web"))


def bought(customer: str, *days_and_prices: tuple[str, str], **changes: Any) -> list[tuple[str, Row]]:
    """Orders of one customer: (customer, order)."""
    return [
        (
            customer,
            an_order(f"{customer}-{number}", a_line(unit_price=price), paid_at=f"{day} 04:00:00", **changes),
        )
        for number, (day, price) in enumerate(days_and_prices)
    ]


def build_rfm(
    build: Build, *purchases: list[tuple[str, Row]], refunds: list[Row] | None = None, **feeds: list[Row]
) -> duckdb.DuckDBPyConnection:
    owned = [pair for purchase in purchases for pair in purchase]
    return build(
        CHANNELS,
        AS_OF,
        {"orders": [order for _, order in owned], "refunds": refunds or [], **feeds},
        {
            "order_customers": [
                {"channel": order["channel"], "order_id": order["order_id"], "customer_id": customer}
                for customer, order in owned
            ]
        },
    )


def rfm(connection: duckdb.DuckDBPyConnection, columns: str) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(f"SELECT customer_id, {columns} FROM intermediate.int_customer_rfm").fetchall()
    return {row[0]: row[1:] for row in rows}


def test_values_count_qualified_orders_and_their_net_after_returns(build: Build) -> None:
    connection = build_rfm(
        build,
        bought("c", ("2026-06-01", "100"), ("2026-06-20", "50")),
        bought("staff", ("2026-06-29", "10"), is_staff=True),
        [("c", an_order("cancelled", status="cancelled", paid_at="2026-06-28 04:00:00", cancelled_at="2026-06-29"))],
        refunds=[a_refund("r", "c-1", "20", returned("1", "20"), refunded_at="2026-06-22 04:00:00")],
    )
    assert rfm(connection, "recency_days, frequency, monetary") == {"c": (10, 2, Decimal("130.00"))}


def test_fixed_cutoffs_include_their_own_value(build: Build) -> None:
    connection = build_rfm(
        build,
        bought("at_the_cutoffs", ("2026-06-16", "100"), ("2026-06-16", "100")),
        bought("just_beyond", ("2026-06-15", "199.99")),
    )
    assert rfm(connection, "recency_days, r_score, f_score, m_score") == {
        "at_the_cutoffs": (14, 5, 2, 2),
        "just_beyond": (15, 4, 1, 1),
    }


@pytest.mark.parametrize(
    ("first", "last", "stage"),
    [
        ("2026-05-31", "2026-05-31", "new"),
        ("2026-05-30", "2026-05-30", "active"),
        ("2026-01-01", "2026-05-16", "active"),
        ("2026-01-01", "2026-05-15", "at_risk"),
        ("2026-01-01", "2026-04-01", "at_risk"),
        ("2026-01-01", "2026-03-31", "dormant"),
        ("2026-01-01", "2026-01-01", "dormant"),
        ("2025-12-31", "2025-12-31", "lost"),
    ],
)
def test_lifecycle_follows_the_days_since_the_first_and_the_last_order(
    build: Build, first: str, last: str, stage: str
) -> None:
    connection = build_rfm(build, bought("c", (first, "10"), (last, "10")))
    assert rfm(connection, "lifecycle") == {"c": (stage,)}


def test_quantiles_never_split_ties(build: Build, settings: Settings) -> None:
    rules = yaml.safe_load((PACKAGED_REFERENCE / "segments.yml").read_text())
    rules["rfm"]["method"] = "quantiles"
    own = settings.home / "reference" / "segments.yml"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump(rules))
    prices = {"a": "10", "b": "10", "c": "10", "d": "40", "e": "50"}
    connection = build_rfm(build, *(bought(name, ("2026-06-01", price)) for name, price in prices.items()))
    assert rfm(connection, "r_score, f_score, m_score") == {
        "a": (1, 1, 1),
        "b": (1, 1, 1),
        "c": (1, 1, 1),
        "d": (1, 1, 4),
        "e": (1, 1, 5),
    }


def test_every_scored_customer_is_in_one_segment(build: Build) -> None:
    connection = build_rfm(
        build, *(bought(f"c{n}", *[("2026-06-01", str(n * 97))] * (n % 12 + 1)) for n in range(1, 40))
    )
    assert connection.execute("SELECT count(*), count(segment) FROM intermediate.int_customer_rfm").fetchone() == (
        39,
        39,
    )


def test_the_first_qualified_order_is_the_first_order(build: Build) -> None:
    connection = build_rfm(build, bought("c", ("2026-06-01", "0"), ("2026-06-02", "10"), ("2026-06-03", "10")))
    assert connection.execute("SELECT order_id FROM marts.orders WHERE is_first_order").fetchall() == [("c-1",)]
    assert connection.execute(
        "SELECT day(business_date), customers, new_customers FROM marts.sales_daily ORDER BY 1"
    ).fetchall() == [(1, 0, 0), (2, 1, 1), (3, 1, 0)]


def test_a_customer_prefers_what_most_of_their_qualified_orders_chose(build: Build) -> None:
    products = [
        {"sku": "food", "updated_at": "2026-01-01", "name": "f", "category_path": "food"},
        {"sku": "coat", "updated_at": "2026-01-01", "name": "c", "category_path": "wear"},
    ]
    web = {"channel": "web", "store_id": "s2"}
    connection = build_rfm(
        build,
        bought("c", ("2026-06-01", "10"), ("2026-06-02", "10"), store_id="s1"),
        [("c", an_order("big", a_line(sku="coat", unit_price="900"), paid_at="2026-06-05 04:00:00", **web))],
        products=products,
    )
    assert connection.execute(
        "SELECT first_channel, preferred_channel, preferred_store_id, preferred_category, n_channels "
        "FROM marts.customers"
    ).fetchall() == [("pos", "pos", "s1", "food", 2)]


@pytest.mark.parametrize(
    ("memberships", "consent"),
    [
        ([(True, False), (None, False)], True),
        ([(True, False), (False, False)], False),
        ([(None, False)], None),
        ([(True, True)], False),
        ([(True, False), (False, True)], True),
    ],
)
def test_consent_is_false_where_any_live_membership_says_no(
    build: Build, memberships: list[tuple[bool | None, bool]], consent: bool | None
) -> None:
    members = [
        {
            "channel": "pos", "member_id": f"m{number}", "updated_at": "2026-06-01",
            "consent_marketing": given, "deleted": deleted,
        }
        for number, (given, deleted) in enumerate(memberships)
    ]  # fmt: skip
    identities = [
        {"kind": "member", "channel": "pos", "identity": row["member_id"], "customer_id": "c", "is_blocked": False}
        for row in members
    ]
    connection = build(CHANNELS, AS_OF, {"members": members}, {"identities": identities})
    assert connection.execute("SELECT consent_marketing, n_members FROM marts.customers").fetchall() == [
        (consent, len(members))
    ]


def test_a_clerk_who_types_their_own_number_makes_nobody_staff_but_themselves(build: Build) -> None:
    members = [
        {"channel": "pos", "member_id": name, "updated_at": "2026-06-01", "phone_token": "clerk", "name_token": name}
        for name in ("li", "wang", "zhao")
    ]
    members.append({"channel": "pos", "member_id": "own", "updated_at": "2026-06-01", "phone_token": "boss"})
    staff = [
        {"staff_id": "1", "updated_at": "2026-06-01", "name_token": "li", "phone_token": "clerk"},
        {"staff_id": "2", "updated_at": "2026-06-01", "name_token": "chen", "phone_token": "boss"},
    ]
    identities = [
        {"kind": "member", "channel": "pos", "identity": row["member_id"], "customer_id": row["member_id"]}
        for row in members
    ]
    connection = build(CHANNELS, AS_OF, {"members": members, "staff": staff}, {"identities": identities})
    found = connection.execute("SELECT customer_id FROM marts.customers WHERE is_staff ORDER BY 1").fetchall()
    assert found == [("li",), ("own",)]


def test_what_if_has_the_figures_of_a_rebuild(build: Build, settings: Settings) -> None:
    purchases = [
        bought(f"c{n}", *[(f"2026-0{1 + (n + i) % 6}-{1 + n % 28:02d}", str(n * 41)) for i in range(n % 9 + 1)])
        for n in range(1, 90)
    ]
    others = {"recency_days": [10, 25, 70, 110], "frequency": [2, 4, 6, 8], "monetary": [100, 800, 2500, 9000]}
    connection = build_rfm(build, *purchases)
    connection.execute("CREATE SCHEMA IF NOT EXISTS shown")
    connection.execute("SET search_path = 'shown'")
    connection.execute("CREATE TABLE shown.rfm_cells AS FROM reference.rfm_cells")
    connection.execute("CREATE TABLE shown.customer_rfm AS FROM intermediate.int_customer_rfm")
    asked: dict[str, Any] = {"snapshot_date": AS_OF}
    for measure, name in (("r", "recency_days"), ("f", "frequency"), ("m", "monetary")):
        values = others[name][::-1] if measure == "r" else others[name]
        asked |= {f"{measure}_{score}": value for score, value in zip(range(2, 6), values, strict=True)}
    statement = over_chosen(WHAT_IF, Filters("90", AS_OF, AS_OF))
    foreseen = connection.execute(statement, asked).fetchall()
    connection.execute("SET search_path = 'main'")

    def by_segment(built: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, Decimal]]:
        rows = built.execute(
            "SELECT segment, count(*), sum(monetary)::DECIMAL(38, 2) FROM intermediate.int_customer_rfm GROUP BY 1"
        ).fetchall()
        return {segment: (customers, monetary) for segment, customers, monetary in rows}

    assert {row[0]: (row[1], row[3]) for row in foreseen if row[1]} == by_segment(connection)
    rules = yaml.safe_load((PACKAGED_REFERENCE / "segments.yml").read_text())
    rules["rfm"] |= others
    own = settings.home / "reference" / "segments.yml"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump(rules))
    rebuilt = by_segment(build_rfm(build, *purchases))
    assert {row[0]: (row[2], row[4]) for row in foreseen if row[2]} == rebuilt
    assert {row[0]: row[1] for row in foreseen} != {row[0]: row[2] for row in foreseen}
