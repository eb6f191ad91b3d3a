"""An awkward landing folder through the whole job: what comes out is what the contracts say, worked out by hand here.

The landing is in tests/support/contract_landing.py, what its orders are worth in contract_expectations.py beside it.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.settings import Settings
from pipelines.warehouse import open_snapshot
from tests.integration.conftest import Home
from tests.support.contract_expectations import JUNE_10, MEMBER_ORDERS, ORDERS, REVERSALS, net
from tests.support.contract_landing import CHANNELS, first_night, second_night
from tests.support.contract_persons import SECRET, SECRET_PHONES
from tests.support.landing_files import Landing

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("contract_landing"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def night(make_home: Any) -> tuple[Home, Landing, str]:
    """The home after the first night, its landing, and everything the run printed."""
    home = make_home("contract_landing")
    landing = first_night(home.landing)
    channels = home.landing.parent / "channels.yml"
    channels.write_text(CHANNELS, encoding="utf-8")
    done = home.omnilake("run", "--landing", home.landing, "--config", channels, "--as-of", "2026-06-30")
    assert done.returncode == 0, done.stderr
    return home, landing, done.stdout + done.stderr


@pytest.fixture(scope="module")
def marts(night: tuple[Home, Landing, str]) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot(Settings(home=night[0].path)) as connection:
        yield connection


def test_every_file_has_the_rows_that_the_contract_counts(
    night: tuple[Home, Landing, str], marts: duckdb.DuckDBPyConnection
) -> None:
    found = {
        file: (received, quarantined)
        for file, received, quarantined in marts.execute(
            "select file, sum(rows_received), sum(rows_quarantined) from marts.batches group by file"
        ).fetchall()
    }
    counts = night[1].counts
    wrong = {
        file: (expected, found.get(file, (0, 0)))
        for file, expected in counts.items()
        if expected[0] >= 0 and found.get(file, (0, 0)) != expected
    }
    assert wrong == {}
    assert set(found) <= set(counts)
    assert found["web/events/cut.jsonl.gz"][1] == 1
    assert marts.execute(
        "select count(*) from marts.batches where rows_received <> rows_accepted + rows_quarantined"
    ).fetchall() == [(0,)]


def test_every_quarantined_row_says_where_it_stood_and_which_column_was_wrong(marts: duckdb.DuckDBPyConnection) -> None:
    found = dict(
        marts.execute("select line, column_name from marts.quarantine where file = 'web/orders/bad.jsonl'").fetchall()
    )
    assert found == {
        1: None, 2: None, 3: "currency", 4: "status", 5: "fulfilment", 6: "lines", 7: "lines[0].quantity",
        8: "lines[0].quantity", 9: "lines[0].unit_price", 10: "lines[0].unit_price", 11: "placed_at", 12: "paid_amount",
        13: "order_id", 14: "tenders[0].amount", 15: "discount_amount", 16: "lines[0]",
        17: "lines", 18: "lines[0].unit_price", 19: "lines[0].unit_price", 20: "lines[0].unit_price", 21: "placed_at",
        22: "placed_at", 23: "is_test", 24: "currency", 25: "lines[0].sku", 26: None,
    }  # fmt: skip
    unreadable = marts.execute("select file from marts.quarantine where line is null order by file").fetchall()
    assert [file for (file,) in unreadable] == [
        "web/events/cut.jsonl.gz", "web/orders/broken.parquet", "web/orders/headless.csv",
        "web/orders/not_gzip.jsonl.gz", "web/orders/not_utf8.csv",
    ]  # fmt: skip


def test_every_order_is_worth_what_the_contract_says(marts: duckdb.DuckDBPyConnection) -> None:
    found = {
        (channel, order_id): (str(day), amount, returned, qualified)
        for channel, order_id, day, amount, returned, qualified in marts.execute(
            "select channel, order_id, business_date, net_amount, refunded_amount, is_qualified from marts.orders"
        ).fetchall()
    }
    assert {key: (value, found.get(key)) for key, value in ORDERS.items() if found.get(key) != value} == {}
    assert set(found) - set(ORDERS) == set()


def test_the_ledger_books_every_sale_and_reversal_on_its_own_day(marts: duckdb.DuckDBPyConnection) -> None:
    expected: dict[tuple[str, str], list[tuple[str, Decimal]]] = defaultdict(list)
    for (channel, order), (_, amount, _, _) in ORDERS.items():
        if amount:
            expected[channel, order].append((ORDERS[channel, order][0], amount))
    for key, reversals in REVERSALS.items():
        expected[key] += reversals
    found: dict[tuple[str, str], list[tuple[str, Decimal]]] = defaultdict(list)
    for channel, order, day, amount in marts.execute(
        "select channel, order_id, business_date::varchar, sum(net_amount) from marts.order_events "
        "group by channel, order_id, business_date, kind order by all"
    ).fetchall():
        if amount:
            found[channel, order].append((day, amount))
    assert {key: sorted(rows) for key, rows in found.items()} == {key: sorted(rows) for key, rows in expected.items()}


def test_gross_is_list_price_and_the_rest_is_discount(marts: duckdb.DuckDBPyConnection) -> None:
    found = {
        order: (gross, discount)
        for order, gross, discount in marts.execute(
            "select order_id, gross_amount, discount_amount from marts.orders where order_id in ('tax_line', 'gift')"
        ).fetchall()
    }
    assert found == {
        "tax_line": (net("120", "0.13"), net("120", "0.13") - net("99.98", "0.13")),
        "gift": (Decimal(30), Decimal(21)),
    }


def test_order_discounts_go_over_the_lines_to_the_cent_largest_remainder_first(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    found: dict[str, list[Decimal]] = defaultdict(list)
    for order, amount in marts.execute(
        "select order_id, net_amount from marts.order_events where kind = 'sale' "
        "and order_id in ('ties', 'remainders', 'gift', 'mixed_card') order by order_id, line_id"
    ).fetchall():
        found[order].append(amount)
    assert sorted(found["ties"]) == [Decimal("9.66"), Decimal("9.67"), Decimal("9.67")]
    assert found["remainders"] == [Decimal("8.33"), Decimal("16.67")]
    assert found["gift"] == [Decimal(9), Decimal(0)]
    assert found["mixed_card"] == [Decimal(95)]


def test_sales_of_a_day_are_the_sums_of_its_orders(marts: duckdb.DuckDBPyConnection) -> None:
    operating: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    cohort: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    members: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for key, (day, amount, _, _) in ORDERS.items():
        for booked_on, part in [(day, amount), *REVERSALS.get(key, [])]:
            operating[key[0], booked_on] += part
            cohort[key[0], day] += part
            members[key[0], booked_on] += part if key in MEMBER_ORDERS else 0
    found = {
        (channel, day): rest
        for channel, day, *rest in marts.execute(
            "select channel, business_date::varchar, sum(net_amount), sum(net_amount_cohort), sum(member_net_amount) "
            "from marts.sales_daily group by all"
        ).fetchall()
    }
    for key in operating.keys() | cohort.keys():
        assert found[key] == [operating[key], cohort[key], members[key]], key
    # Of the web's orders of 10 June neither the test order nor those that were never paid or hold no merchandise.
    on_june_10 = [key for key, expected in ORDERS.items() if key[0] == "web" and expected[0] == JUNE_10]
    assert marts.execute(
        "select orders, paid_orders, customers, new_customers from marts.sales_daily "
        "where channel = 'web' and business_date = '2026-06-10'"
    ).fetchall() == [
        (len(on_june_10) - 1, len(on_june_10) - 1 - len(["unpaid", "never_paid", "pays_later", "cards"]), 10, 10)
    ]
    by_category = marts.execute(
        "select category, sum(net_amount) from marts.category_daily where channel = 'web' "
        "and category not in ('food') group by category"
    ).fetchall()
    assert by_category == [("gift_cardboard", Decimal(4))]


def test_returns_keep_the_rate_of_the_sale_and_the_difference_stands_beside(marts: duckdb.DuckDBPyConnection) -> None:
    assert marts.execute(
        "select order_id, sum(fx_amount) from marts.fx_differences group by order_id order by 1"
    ).fetchall() == [("eur", Decimal("-1.50")), ("in_ny", Decimal("-0.60"))]


def test_local_times_are_read_in_the_zone_of_the_store_else_the_channel(marts: duckdb.DuckDBPyConnection) -> None:
    found = dict(
        marts.execute(
            "select order_id, ordered_at::varchar from marts.orders where channel in ('berlin', 'till')"
        ).fetchall()
    )
    expected = {
        "gap": "2026-03-29 01:30:00",
        "overlap": "2025-10-26 00:30:00",
        "in_ny": "2026-06-11 03:30:00",
        "unknown_store": "2026-06-10 21:30:00",
        "zulu": "2026-06-10 23:30:00",
        "no_colon": "2026-06-10 21:30:00.000001",
        "no_seconds": "2026-06-10 21:30:00",
        "hours_only": "2026-06-10 21:30:00",
        "before_cutoff": "2026-06-10 19:59:59",
        "last_of_june": "2026-06-30 19:59:59",
    }
    assert {order: found[order] for order in expected} == expected
    assert marts.execute(
        "select \"at\"::varchar from marts.order_events where order_id = 'in_ny' and kind = 'return'"
    ).fetchall() == [("2026-06-16 03:30:00",)]
    # Without a zone of its own the store's record is in the retailer's time, Tokyo, and so the older one.
    assert marts.execute("select name from marts.stores where store_id = 'sh'").fetchall() == [("SH",)]


def test_what_cannot_be_booked_yet_waits_and_is_named(marts: duckdb.DuckDBPyConnection) -> None:
    assert marts.execute("select feed, channel, entity_id from marts.waiting order by all").fetchall() == [
        ("orders", "app", "csv_waits"),
        ("orders", "web", "no_rate"),
        ("refunds", "app", "r1"),
        ("refunds", "web", "r9"),
    ]


def _owner(marts: duckdb.DuckDBPyConnection, channel: str, member_id: str) -> str:
    rows = marts.execute(
        "select customer_id from marts.customer_identities where kind = 'member' and channel = ? and identity = ?",
        [channel, member_id],
    ).fetchall()
    assert len(rows) == 1, (channel, member_id)
    return str(rows[0][0])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("web/phone", "app/phone", True),
        ("web/mail", "app/mail", True),
        ("web/union", "mini_a/union", True),
        ("web/few0", "web/few9", True),
        ("web/zero_one", "app/zero_one", False),
        ("web/masked", "app/masked", False),
        ("web/clerk_friend", "app/clerk_friend", False),
        ("web/seven", "app/007", False),
        ("web/gone", "app/gone", False),
        ("web/mother", "app/son", False),
        ("web/former", "app/latter", False),
        ("web/A1", "web/a1", False),
        ("web/hub0", "web/hub1", False),
        ("mini_a/o", "mini_b/o", False),
        ("web/seven", "web/other", False),
    ],
)
def test_who_is_one_person_follows_the_contract(
    marts: duckdb.DuckDBPyConnection, one: str, other: str, same: bool
) -> None:
    first, second = (_owner(marts, *name.split("/")) for name in (one, other))
    assert (first == second) is same


def test_orders_belong_to_their_member_else_to_a_usable_identifier(marts: duckdb.DuckDBPyConnection) -> None:
    found = dict(marts.execute("select order_id, customer_id from marts.orders where channel = 'web'").fetchall())
    assert found["p_gift"] == _owner(marts, "web", "other")
    assert found["p_guest"] == _owner(marts, "web", "seven")
    assert found["p_gone"] == _owner(marts, "web", "gone")
    assert found["p_never"] == _owner(marts, "web", "never_delivered")
    assert found["p_stranger"] not in (None, *(found[order] for order in found if order != "p_stranger"))
    assert found["p_device"] is None
    assert found["p_masked"] is None
    assert marts.execute(
        "select n_members, n_channels from marts.customers where customer_id = ?", [found["p_by_phone"]]
    ).fetchall() in ([(1, 1)], [(2, 2)])


def test_a_blocked_value_is_shown_with_its_holder_and_reason(marts: duckdb.DuckDBPyConnection) -> None:
    holders: dict[str, set[str]] = defaultdict(set)
    for rule, customer in marts.execute("select block_rule, customer_id from marts.customer_blocks").fetchall():
        holders[rule].add(customer)
    assert {_owner(marts, "web", f"hub{n}") for n in range(11)} in holders.values()
    assert {_owner(marts, channel, "clerk_friend") for channel in ("web", "app")} in holders.values()
    assert {_owner(marts, channel, "zero_one") for channel in ("web", "app")} in holders.values()


def test_rfm_counts_qualified_orders_only(marts: duckdb.DuckDBPyConnection) -> None:
    # Two qualified orders of ten: 50 - 49.99 returned, and 3.75.
    assert marts.execute(
        "select snapshot_date::varchar, recency_days, frequency, monetary, r_score, f_score, m_score, segment, "
        "lifecycle, previous_segment from marts.customer_rfm where customer_id = ?",
        [_owner(marts, "web", "buyer")],
    ).fetchall() == [("2026-06-30", 20, 2, Decimal("3.76"), 4, 2, 1, "promising", "new", None)]
    assert (
        marts.execute(
            "select customer_id from marts.customer_rfm where customer_id = ?", [_owner(marts, "web", "A1")]
        ).fetchall()
        == []
    )


def _searchable(home: Path, tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the home as bytes, and the text of every table in it."""
    for path in sorted(home.rglob("*")):
        if not path.is_file():
            continue
        yield str(path.relative_to(home)), path.read_bytes()
        if path.suffix == ".parquet":
            cells = duckdb.connect().execute(f"select * from read_parquet('{path}', union_by_name = true)").fetchall()
            yield str(path.relative_to(home)), repr(cells).encode()
        if path.suffix == ".duckdb":
            # A copy: a process opens one file with one configuration only.
            copied = shutil.copy(path, tmp_path / path.name)
            with duckdb.connect(str(copied), read_only=True) as connection:
                for schema, table in connection.execute(
                    "select schema_name, table_name from duckdb_tables() where not temporary"
                ).fetchall():
                    cells = connection.execute(f'select * from "{schema}"."{table}"').fetchall()
                    yield f"{path.name}:{schema}.{table}", repr(cells).encode()


def test_no_personal_value_stands_anywhere_in_the_home_or_in_what_was_printed(
    night: tuple[Home, Landing, str], tmp_path: Path
) -> None:
    needles = [SECRET.encode(), SECRET.lower().encode(), b"1987-07-13", *(phone.encode() for phone in SECRET_PHONES)]
    home, _, printed = night
    assert [needle for needle in needles if needle in printed.encode()] == []
    found = {place for place, content in _searchable(home.path, tmp_path) for needle in needles if needle in content}
    assert found == set()
    assert stat.S_IMODE((home.path / "keys.yml").stat().st_mode) == 0o600


def test_everything_reconciles_and_results_are_printed_as_the_contract_says(night: tuple[Home, Landing, str]) -> None:
    home = night[0]
    checks = home.omnilake("reconcile", "--json")
    assert checks.returncode == 0, checks.stdout
    assert all(check["ok"] for check in json.loads(checks.stdout))

    asked = home.omnilake(
        "query", "--format", "json",
        "select net_amount, business_date, ordered_at, is_test from marts.orders where order_id = 'plus'",
    )  # fmt: skip
    assert json.loads(asked.stdout) == [
        {"net_amount": "3.75", "business_date": JUNE_10, "ordered_at": "2026-06-10T04:00:00Z", "is_test": False}
    ]
    rejected = json.loads(home.omnilake("quarantine", "list", "--json").stdout)
    assert list(rejected[0]) == [
        "quarantine_id", "channel", "feed", "file", "line", "column_name", "reason", "received_at", "replayed_at",
    ]  # fmt: skip
    listed = json.loads(home.omnilake("segments", "list", "--json").stdout)
    assert {tuple(row) for row in listed} == {("name", "customers", "definition")}


@pytest.fixture(scope="module")
def second_marts(night: tuple[Home, Landing, str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The snapshot after another night; these tests come last, the ones above know of the first night only."""
    home = night[0]
    second_night(home.landing)
    channels = home.landing.parent / "channels.yml"
    done = home.omnilake(
        "run", "--landing", home.landing, "--config", channels, "--as-of", "2026-07-02", "--no-activate"
    )
    assert done.returncode == 0, done.stderr
    assert "6 rows received, 6 accepted" in done.stdout
    with open_snapshot(Settings(home=home.path)) as connection:
        yield connection


def test_a_night_later_only_what_is_new_changes_the_orders(second_marts: duckdb.DuckDBPyConnection) -> None:
    changed = {
        ("app", "csv_waits"): (JUNE_10, Decimal(20), Decimal(0), True),
        ("web", "late_sale"): ("2026-06-05", Decimal(64), Decimal(14), True),
        ("web", "july"): ("2026-07-01", Decimal(128), Decimal(0), True),
        ("web", "pays_later"): ("2026-07-01", Decimal(1000), Decimal(0), True),
        ("web", "cancelled_later"): (JUNE_10, Decimal(70), Decimal(0), False),
        ("web", "back_later"): (JUNE_10, Decimal(80), Decimal(80), False),
        ("till", "first_of_july"): ("2026-07-01", Decimal(10), Decimal(0), True),
    }
    found = {
        (channel, order_id): (str(day), amount, returned, qualified)
        for channel, order_id, day, amount, returned, qualified in second_marts.execute(
            "select channel, order_id, business_date, net_amount, refunded_amount, is_qualified from marts.orders"
        ).fetchall()
    }
    assert found == ORDERS | changed
    assert second_marts.execute(
        "select net_amount, net_amount_cohort from marts.sales_daily where business_date = '2026-06-05'"
    ).fetchall() == [(Decimal(64), Decimal(50))]


def test_a_later_snapshot_follows_on_the_one_before(second_marts: duckdb.DuckDBPyConnection) -> None:
    history = (
        "select snapshot_date::varchar, frequency, monetary, segment, previous_segment from marts.customer_rfm "
        "where customer_id = ? order by snapshot_date"
    )
    assert second_marts.execute(history, [_owner(second_marts, "web", "seven")]).fetchall() == [
        ("2026-06-30", 1, Decimal(20), "recent_first_timers", None),
        ("2026-07-02", 2, Decimal(148), "promising", "recent_first_timers"),
    ]
    # Both orders were undone in July: as of 2 July there is nothing left to score.
    assert second_marts.execute(history, [_owner(second_marts, "web", "waverer")]).fetchall() == [
        ("2026-06-30", 2, Decimal(150), "promising", None)
    ]
