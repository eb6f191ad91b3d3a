"""What a person asks for becomes a rule of keys, or is refused in words that show the way."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.identity import corrections
from pipelines.identity.arrivals import value_key
from pipelines.identity.config import KINDS
from pipelines.identity.rules import NodeKey, read_rules
from pipelines.keys import Keys
from pipelines.state import state

KEYS = Keys(b"t" * 32, b"v" * 32, "v1", {})
WHO = {"why": "told us", "who": "ann"}


@contextmanager
def opened(lake):
    lake.resolve()
    lake.connection.execute("create schema if not exists marts")
    for mart, source in (("customer_identities", "identities"), ("customer_merges", "merges")):
        lake.connection.execute(f"create or replace table marts.{mart} as select * from identity.{source}")
    with state(lake.settings) as engine:
        yield lake.connection, engine


def test_a_split_names_both_sides_and_survives_the_next_runs(lake):
    for member in ("a", "b", "c"):
        lake.member(member, phone="1")
    with opened(lake) as (connection, engine):
        made = corrections.split(connection, engine, KEYS, ["app/b"], lake.customer("a"), **WHO)
    assert made.left == (NodeKey("app", "b"),)
    assert made.right == (NodeKey("app", "a"), NodeKey("app", "c"))
    lake.resolve()
    assert lake.same("a", "c")
    assert not lake.same("a", "b")


def test_guests_are_the_rest_where_no_membership_is(lake):
    lake.member("a", phone="1")
    lake.order("o", guest_phone="1")
    with opened(lake) as (connection, engine):
        corrections.split(connection, engine, KEYS, ["app/a"], lake.customer("a"), **WHO)
    lake.resolve()
    assert lake.order_customer("o")[0] != lake.customer("a")


def test_a_member_who_is_a_phone_number_is_found_by_its_token(lake):
    token = corrections.stored_member_id(KEYS, "13912345678")
    lake.member(token, phone="1")
    lake.member("b", phone="1")
    with opened(lake) as (connection, engine):
        made = corrections.split(connection, engine, KEYS, ["app/13912345678"], lake.customer("b"), **WHO)
    assert made.left == (NodeKey("app", token),)


@pytest.mark.parametrize(
    ("members", "customer", "fault", "words"),
    [
        (["b"], "a", ConfigurationError, "CHANNEL/MEMBER"),
        (["app/zz"], "a", PermanentError, "app/zz is not of customer"),
        (["app/a", "app/b"], "guestless", PermanentError, "No customer"),
        (["app/c"], "c", PermanentError, "nothing to part"),
    ],
    ids=["no slash", "a stranger", "no such customer", "all of them"],
)
def test_a_split_that_makes_no_sense_is_refused(lake, members, customer, fault, words):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.member("c")
    with opened(lake) as (connection, engine):
        known = {name: lake.customer(name) for name in ("a", "c")}
        with pytest.raises(fault, match=words):
            corrections.split(connection, engine, KEYS, members, known.get(customer, customer), **WHO)
        assert read_rules(engine) == []


def test_merges_need_two_customers_whom_no_split_keeps_apart(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    with opened(lake) as (connection, engine):
        with pytest.raises(ConfigurationError, match="one customer already"):
            corrections.merge(connection, engine, lake.customer("a"), lake.customer("a"), **WHO)
        with pytest.raises(PermanentError, match="No customer 'c0' is published"):
            corrections.merge(connection, engine, lake.customer("a"), "c0", **WHO)
        corrections.split(connection, engine, KEYS, ["app/b"], lake.customer("a"), **WHO)
    with opened(lake) as (connection, engine), pytest.raises(PermanentError, match="identity undo r1"):
        corrections.merge(connection, engine, lake.customer("a"), lake.customer("b"), **WHO)


def test_a_blocked_value_is_kept_as_a_token_alone_and_quoted_nowhere(lake):
    with opened(lake) as (_, engine):
        made = corrections.block(engine, KEYS, "phone", "139-1234-5678", None, **WHO)
        assert made.value_token == KEYS.token("phone", "+8613912345678")
        assert "1234" not in repr(made).replace(made.value_token, "").replace(made.value_key, "")
        for kind, value, channel, words in (
            ("phone", "12", None, "no usable phone"),
            ("shoe", "12", None, "choose of phone"),
            ("wechat_openid", "o-1", None, "--channel"),
        ):
            with pytest.raises(ConfigurationError, match=words) as refused:
                corrections.block(engine, KEYS, kind, value, channel, **WHO)
            assert "o-1" not in str(refused.value)


def test_a_reason_keeps_no_number_or_address(lake):
    with opened(lake) as (_, engine):
        made = corrections.block(engine, KEYS, "email", "a@b.cn", None, why="ann@b.cn, 13912345678 said so", who="ann")
    assert made.why == "… … said so"


def test_a_values_key_is_the_one_that_sql_makes(lake):
    for kind in KINDS:
        for token in ("0123456789abcdef" * 2, "no token"):
            made = corrections.value_key_of(kind.name, "app", token)
            sql = f"select ({value_key(kind, '$token')})::varchar from (select 'app' as channel)"
            assert lake.connection.execute(sql, {"token": token}).fetchall() == [(made,)]
