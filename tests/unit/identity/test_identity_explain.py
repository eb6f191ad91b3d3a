"""The explanation reads as sentences and names what it must, and nothing it must not."""

import pytest

from pipelines.errors import PermanentError
from pipelines.identity.explain import explain_customer
from pipelines.identity.rules import SPLIT, NodeKey, make_rule
from pipelines.state import state


@pytest.fixture
def published(lake):
    """Marts as dbt publishes them: straight from the identity tables."""

    def publish():
        lake.resolve()
        lake.connection.execute("create schema if not exists marts")
        for mart, source in (
            ("customer_identities", "identities"),
            ("customer_merges", "merges"),
            ("customer_blocks", "blocks"),
        ):
            lake.connection.execute(f"create or replace table marts.{mart} as select * from identity.{source}")
        return lake.connection

    return publish


def test_an_explanation_names_members_links_and_merges(lake, published):
    lake.member("a", phone="1", devices=["d"])
    lake.member("b", channel="pos", phone="2")
    published()
    younger = lake.customer("b", "pos")
    lake.member("b", channel="pos", at=3, phone="1")
    connection = published()
    text = explain_customer(connection, lake.customer("a"))
    assert text.startswith(f"Customer {lake.customer('a')} has 2 memberships in 2 channels.")
    assert "app/a, seen 2024-01-01" in text
    assert "pos/b, seen 2024-01-01 to 2024-01-04" in text
    assert "phone " in text
    assert "device " in text
    assert f"2024-01-04: took in {younger} (shared phone; app/a, pos/b)" in text
    gone = explain_customer(connection, younger)
    assert gone.startswith(f"Customer {younger} is no more; it went into {lake.customer('a')}.")


def test_an_explanation_says_what_was_blocked_and_why(lake, published):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    published()
    lake.staff("s", "1")
    text = explain_customer(published(), lake.customer("b"))
    assert "Not used, and why:" in text
    assert "a phone of the staff feed" in text
    assert f"was parted from {lake.customer('a')} (phone blocked: staff; app/a, app/b)" in text


def test_a_guest_is_explained_as_a_guest(lake, published):
    lake.order("o", guest_email="x")
    connection = published()
    text = explain_customer(connection, lake.order_customer("o")[0])
    assert "is a guest, known by 1 identifier." in text
    assert "e-mail " in text


def test_an_unknown_customer_is_an_error_with_the_way_to_look_it_up(lake, published):
    with pytest.raises(PermanentError, match=r"No customer 'c0'.*omnilake query"):
        explain_customer(published(), "c0")


def test_whole_tokens_are_not_shown(lake, published):
    lake.member("a", phone="1")
    connection = published()
    text = explain_customer(connection, lake.customer("a"))
    ((token,),) = lake.rows("select identity from identity.identities where kind = 'phone'")
    assert token not in text
    assert token[:8] in text


def test_an_explanation_names_decisions_probable_links_and_the_household(lake, published):
    for member, phone in (("a", "1"), ("b", "2"), ("c", "1")):
        lake.member(member, phone=phone)
    for member, name, gender in (("d", "li", "M"), ("e", "wu", "F")):
        lake.member(member, phone="9", name=name, gender=gender)
    published()
    lake.connection.execute("insert into identity.linked_pairs values ('app', 'a', 'app', 'b', 17.54, '{}')")
    with state(lake.settings) as engine:
        make_rule(engine, SPLIT, (NodeKey("app", "c"),), (NodeKey("app", "a"),), why="", who="ann")
    connection = published()
    connection.execute("create or replace table marts.customer_links as from identity.links")
    connection.execute(
        "create or replace table marts.households as "
        "select kind || identity as household_id, * from identity.households"
    )
    text = explain_customer(connection, lake.customer("a"))
    assert "app/a and app/b: probably one person (17.5 bits of evidence)" in text
    assert "Kept apart:\n  app/a and app/c: split by a person (r1)" in text
    assert f"{lake.customer('e')}, by phone " in explain_customer(connection, lake.customer("d"))
