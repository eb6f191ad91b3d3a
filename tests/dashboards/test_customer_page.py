"""One customer's page: what ties the memberships together, in words and as a picture that stays readable."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.access import Scope, apply_scope
from dashboards.language import Language
from dashboards.link_graph import MOST_EDGES, link_graph
from tests.dashboards.conftest import OpenPage, words_of

LINK = dict.fromkeys(
    ("relation", "kind", "channel", "member_id", "identity", "partner_channel", "partner_id", "score", "evidence")
)


def value(member: str, identity: str = "f" * 32, **more: object) -> dict[str, object]:
    return (
        LINK | {"relation": "link", "kind": "phone", "channel": "app", "member_id": member, "identity": identity} | more
    )


def drawn(links: list[dict[str, object]]) -> tuple[str, int]:
    return link_graph(links, str, str)


def ask_for(open_page: OpenPage, customer_id: str) -> AppTest:
    app = open_page("customer", lang="en")
    return app.text_input(key="one_customer_id").set_value(customer_id).run()


def test_a_shared_value_stands_between_its_members_and_a_lone_one_does_not() -> None:
    dot, left_out = drawn([value("a"), value("b"), value("c", identity="0" * 32)])
    assert left_out == 0
    assert dot.count(" -- ") == 2
    assert "ffffffff…" in dot
    assert "f" * 32 in dot
    assert "0" * 32 not in dot


def test_a_probable_link_shows_its_score_and_what_is_apart_is_dashed() -> None:
    pair = {"identity": None, "partner_channel": "pos", "partner_id": "b"}
    dot, _ = drawn(
        [value("a", **pair, kind="linkage", score=17.54), value("a", **pair, kind="split", relation="apart")]
    )
    assert '"linkage 17.5"' in dot
    assert 'style="dashed"' in dot


def test_a_person_of_two_hundred_links_gets_a_picture_of_sixty() -> None:
    dot, left_out = drawn([value(f"m{number}") for number in range(200)])
    assert (dot.count(" -- "), left_out) == (MOST_EDGES, 200 - MOST_EDGES)


def test_no_member_id_can_end_a_string_of_the_picture() -> None:
    dot, _ = drawn([value('x"] ; evil [label="'), value("back\\slash\n\t")])
    assert '\\"] ; evil [label=\\"' in dot
    assert "back\\\\slash" in dot


@pytest.mark.usefixtures("home")
def test_the_page_of_a_customer_says_how_many_memberships_it_has_and_draws_the_links(open_page: OpenPage) -> None:
    app = ask_for(open_page, "c1")
    assert not app.exception
    assert "**2** memberships in **2** channels" in words_of(app)
    assert "Merged by" not in words_of(app)


def test_a_snapshot_of_an_older_version_is_told_by_name(open_page: OpenPage, home: Path) -> None:
    connection = duckdb.connect(str(home / "lake" / "snapshots" / "marts-1.duckdb"))
    connection.execute("DROP TABLE marts.customer_links")
    connection.close()
    app = ask_for(open_page, "c1")
    assert not app.exception
    assert "customer_links" in words_of(app)


@pytest.mark.usefixtures("home")
def test_a_customer_that_went_into_another_is_said_so_and_an_unknown_one_too(open_page: OpenPage) -> None:
    assert "it went into c1" in words_of(ask_for(open_page, "gone"))
    assert "No customer has this id" in words_of(ask_for(open_page, "nobody"))


def test_reasons_of_identity_are_read_in_chinese() -> None:
    chinese = Language("zh")
    for reason in (
        "a phone of the staff feed",
        "under 6 names: more than a person or a family",
        "split by ann (r12)",
        "merge r3 undone by bob",
        "blocked by ann on 2026-01-02 (r4): a till",
    ):
        assert chinese.reason(reason) != reason


def test_a_store_manager_sees_the_events_of_own_customers_alone() -> None:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS published")
        connection.execute("CREATE SCHEMA published.marts")
        connection.execute(
            "CREATE TABLE published.marts.customers AS SELECT unnest(['mine', 'other']) AS customer_id, "
            "unnest(['S1', 'S2']) AS home_store_id"
        )
        connection.execute(
            "CREATE TABLE published.marts.customer_merges AS "
            "SELECT unnest(['mine', 'x', 'other']) AS from_customer_id, "
            "unnest(['x', 'mine', 'other2']) AS into_customer_id"
        )
        apply_scope(connection, "published", Scope(("S1",)), frozenset({"customer_merges"}))
        assert connection.execute("SELECT count(*) FROM customer_merges").fetchall() == [(2,)]
