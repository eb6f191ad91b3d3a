"""A person's decision is replayed by every run: what was split, merged or blocked stays so until it is undone."""

from __future__ import annotations

import pytest

from pipelines.errors import PermanentError
from pipelines.identity.rules import ACCEPT, BLOCK, MERGE, REJECT, SPLIT, NodeKey, make_rule, undo_rule
from pipelines.state import state
from tests.unit.identity.conftest import token


def keys(*members):
    return tuple(NodeKey("app", member) for member in members)


def rule(lake, kind, left=(), right=(), **more):
    with state(lake.settings) as engine:
        return make_rule(engine, kind, keys(*left), keys(*right), why="seen at the till", who="ann", **more)


def undo(lake, made):
    with state(lake.settings) as engine:
        undo_rule(engine, made.name, why="a mistake", who="bob")


def partition(lake):
    return lake.rows(
        "select channel, identity, customer_id from identity.identities where kind = 'member' order by 1, 2"
    )


def test_a_split_holds_against_a_shared_phone_in_increments_and_rebuilds(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    assert lake.same("a", "b")
    rule(lake, SPLIT, ["b"], ["a"])
    report = lake.resolve()
    assert (report.is_full, report.splits) == (False, 1)
    assert report.changes() == ("1 correction(s) replayed; 0 customer(s) went into another, 1 part(s) were split off")
    assert not lake.same("a", "b")
    lake.member("a", at=3, phone="1", email="x")
    lake.member("b", at=4, phone="1", email="x")
    lake.resolve()
    assert not lake.same("a", "b")
    in_portions = partition(lake)
    lake.resolve(full=True)
    assert partition(lake) == in_portions


def test_a_split_part_stays_together_though_only_the_rest_tied_it(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1", email="x")
    lake.member("c", email="x")
    lake.resolve()
    rule(lake, SPLIT, ["a", "c"], ["b"])
    lake.resolve()
    assert lake.same("a", "c")
    assert not lake.same("a", "b")


def test_who_comes_later_joins_the_part_of_the_strongest_evidence(lake):
    lake.member("a", phone="1", wechat_unionid="u")
    lake.member("b", phone="1", wechat_unionid="u")
    lake.resolve()
    rule(lake, SPLIT, ["b"], ["a"])
    lake.resolve()
    lake.member("b", at=2, phone="1", card_no="7")
    lake.member("x", at=3, phone="1", card_no="7")
    lake.resolve()
    assert lake.same("b", "x")
    assert not lake.same("a", "x")


def test_undoing_a_split_restores_who_was_whom(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    before = partition(lake)
    made = rule(lake, SPLIT, ["b"], ["a"])
    lake.resolve()
    undo(lake, made)
    assert lake.resolve().merges == 1
    assert partition(lake) == before


def test_a_merge_needs_no_shared_value_and_its_undoing_restores_who_was_whom(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.member("c", phone="3")
    lake.resolve()
    before = partition(lake)
    made = rule(lake, MERGE, ["a"], ["c"])
    report = lake.resolve()
    assert (report.merges, report.is_full) == (1, False)
    assert lake.same("a", "c")
    assert lake.customer("b") == before[1][2]
    lake.resolve(full=True)
    assert lake.same("a", "c")
    undo(lake, made)
    assert lake.resolve().splits == 1
    assert partition(lake) == before


def test_a_merge_takes_hold_when_its_membership_comes_back(lake):
    lake.member("a", phone="1")
    rule(lake, MERGE, ["a"], ["late"])
    lake.resolve()
    lake.member("late", phone="2")
    assert not lake.resolve().is_full
    assert lake.same("a", "late")


def test_guests_of_a_value_can_be_merged_with_a_member(lake):
    lake.member("a", phone="1")
    lake.order("o", guest_phone="2")
    lake.resolve()
    with state(lake.settings) as engine:
        value = lake.rows("select value::varchar from identity.guest_nodes")[0][0]
        make_rule(engine, MERGE, keys("a"), (NodeKey("", value),), why="told us", who="ann")
    lake.resolve()
    assert lake.order_customer("o")[0] == lake.customer("a")
    lake.order("o2", at=2, guest_phone="2")
    lake.resolve()
    assert lake.order_customer("o2")[0] == lake.customer("a")


def test_a_rejected_pair_stays_apart_and_an_accepted_one_together(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.member("c", phone="3")
    rule(lake, REJECT, ["a"], ["b"])
    rule(lake, ACCEPT, ["a"], ["c"])
    lake.resolve()
    assert lake.same("a", "c")
    assert not lake.same("a", "b")


def test_a_linked_pair_is_a_join_until_it_is_gone(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.resolve()
    lake.connection.execute("insert into identity.linked_pairs values ('app', 'b', 'app', 'a', 17.5, '{}')")
    assert lake.resolve().merges == 1
    assert lake.same("a", "b")
    lake.resolve(full=True)
    assert lake.same("a", "b")
    lake.connection.execute("delete from identity.linked_pairs")
    assert lake.resolve().splits == 1
    assert not lake.same("a", "b")


def test_a_split_beats_a_linked_pair_and_an_earlier_merge(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.resolve()
    lake.connection.execute("insert into identity.linked_pairs values ('app', 'a', 'app', 'b', 17.5, '{}')")
    rule(lake, MERGE, ["a"], ["b"])
    rule(lake, SPLIT, ["a"], ["b"])
    lake.resolve()
    assert not lake.same("a", "b")


def test_a_merge_that_contradicts_a_split_is_refused_with_the_way_out(lake):
    made = rule(lake, SPLIT, ["a"], ["b"])
    with pytest.raises(PermanentError, match=f"identity undo {made.name}"):
        rule(lake, MERGE, ["a"], ["b"])
    undo(lake, made)
    assert rule(lake, MERGE, ["a"], ["b"]).holds
    with pytest.raises(PermanentError, match="undone already"):
        undo(lake, made)


def test_a_blocked_value_links_nobody_until_the_block_is_undone(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    before = partition(lake)
    hexed = token("phone", "1")
    key = lake.rows("select ?::uuid::varchar", hexed)[0][0]
    made = rule(lake, BLOCK, value=("phone", key, hexed))
    report = lake.resolve()
    assert (report.blocked, report.splits) == ({"by_hand": 1}, 1)
    assert not lake.same("a", "b")
    assert "ann" in lake.identity("phone", "1")["reason"]
    undo(lake, made)
    assert lake.resolve().blocked == {}
    assert partition(lake) == before


def test_the_log_says_who_split_merged_and_took_back(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.member("c", phone="3")
    lake.resolve()
    elder, third = lake.customer("a"), lake.customer("c")
    made = rule(lake, SPLIT, ["b"], ["a"])
    lake.resolve()
    part = lake.customer("b")
    undo(lake, made)
    lake.resolve()
    rule(lake, MERGE, ["a"], ["c"])
    lake.resolve()
    events = [
        (event["kind"], event["from_customer_id"], event["into_customer_id"], event["cause"]) for event in lake.merges()
    ]
    assert events == [
        ("split", elder, part, "split by ann (r1)"),
        ("merge", part, elder, "split r1 undone by bob"),
        ("merge", third, elder, "merge by ann (r2)"),
    ]
    assert lake.merges()[0]["at"] == made.made_at
    assert "app/b" in lake.merges()[0]["evidence"]


def test_the_same_rule_twice_is_one_rule(lake):
    assert rule(lake, SPLIT, ["a"], ["b"]) == rule(lake, SPLIT, ["a"], ["b"])


def test_a_value_that_parted_customers_share_is_the_elders_however_nodes_are_numbered(lake):
    lake.order("o", member_id="b")
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    rule(lake, SPLIT, ["b"], ["a"])
    lake.resolve()
    assert lake.identity("phone", "1")["customer_id"] == lake.customer("b")
    lake.resolve(full=True)
    assert lake.identity("phone", "1")["customer_id"] == lake.customer("b")
