"""Whatever arrives in whatever portions, and whatever people correct, the state equals one rebuild of the same."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import PermanentError
from pipelines.identity.rules import ACCEPT, BLOCK, MERGE, REJECT, SPLIT, NodeKey, make_rule, read_rules, undo_rule
from pipelines.state import state as open_state
from tests.unit.identity.conftest import token

EXAMPLES = int(os.environ.get("OMNILAKE_TEST_EXAMPLES", "10"))
PHONES = st.sampled_from([None, "1", "2", "3"])
NAMES = st.sampled_from([None, "zhang", "li", "wang"])
BIRTHDAYS = st.sampled_from([None, "1990-01-01", "1991-02-02"])
DAYS = st.sampled_from([0, 1, 2, 5, 10, 200, 500, 900])

MEMBER = st.fixed_dictionaries(
    {
        "member_id": st.sampled_from(["a", "b", "c", "d", "e"]),
        "channel": st.sampled_from(["app", "pos"]),
        "at": DAYS,
        "phone": PHONES,
        "email": st.sampled_from([None, None, "x", "y"]),
        "wechat_openid": st.sampled_from([None, None, "w", "v"]),
        "name": NAMES,
        "birthday": BIRTHDAYS,
        "gender": st.sampled_from([None, "M", "female"]),
        "deleted": st.sampled_from([None, None, None, True]),
        "phone_issue": st.sampled_from([None] * 15 + ["placeholder"]),
    }
)
ORDER = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["o1", "o2", "o3", "o4", "o5", "o6"]),
        "channel": st.sampled_from(["app", "pos"]),
        "at": DAYS,
        "version": DAYS,
        "member_id": st.sampled_from([None, None, None, "a", "f", "g"]),
        "guest_phone": PHONES,
        "guest_email": st.sampled_from([None, None, "x", "y", "z"]),
        "guest_openid": st.sampled_from([None, None, "w", "v"]),
    }
)
STAFF = st.fixed_dictionaries({"staff_id": st.sampled_from(["s1", "s2"]), "phone": st.sampled_from(["1", "2", "9"])})
ROW = st.one_of(
    st.tuples(st.just("member"), MEMBER),
    st.tuples(st.just("member"), MEMBER),
    st.tuples(st.just("order"), ORDER),
    st.tuples(st.just("order"), ORDER),
    st.tuples(st.just("staff"), STAFF),
)
PORTIONS = st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=2, max_size=5)


def state(lake: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(lake.rows(f"select * from identity.{table}"), key=repr)
        for table in ("identities", "order_customers", "value_owners", "households")
    }


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(portions=PORTIONS, limit=st.sampled_from([2, 3, 10]))
def test_increments_equal_a_rebuild(new_lake, portions, limit):
    with tempfile.TemporaryDirectory() as home:
        lake = new_lake(Path(home))
        lake.rules(f"limits: {{default: {limit}}}")
        lake.resolve()
        for portion in portions:
            for method, columns in portion:
                getattr(lake, method)(**columns)
            assert not lake.resolve().is_full
        in_portions = state(lake)
        events = lake.rows("select count(*) from identity.merges")
        again = lake.resolve()
        assert (again.merges, again.splits, again.touched_nodes) == (0, 0, 0)
        rebuilt = lake.resolve(full=True)
        assert (rebuilt.is_full, rebuilt.merges, rebuilt.splits) == (True, 0, 0)
        assert state(lake) == in_portions
        assert lake.rows("select count(*) from identity.merges") == events
        lake.connection.execute("drop schema identity cascade")
        lake.resolve()
        assert state(lake) == in_portions


KEYS = st.sampled_from([NodeKey(channel, member) for channel in ("app", "pos") for member in "abcde"])
SIDES = st.tuples(st.lists(KEYS, min_size=1, max_size=3), st.lists(KEYS, min_size=1, max_size=3)).filter(
    lambda sides: not set(sides[0]) & set(sides[1])
)
CORRECTION = st.one_of(
    st.tuples(st.sampled_from([SPLIT, SPLIT, MERGE, ACCEPT, REJECT]), SIDES),
    st.tuples(st.just(BLOCK), st.sampled_from(["1", "2"])),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.just("linked"), st.tuples(KEYS, KEYS, st.sampled_from([9.0, 17.0]))),
    st.tuples(st.just("erase"), KEYS),
)
CORRECTED = st.lists(
    st.tuples(st.lists(ROW, max_size=5), st.lists(CORRECTION, max_size=3)),
    min_size=2,
    max_size=5,
)


def correct(lake: Any, kind: str, given: Any) -> None:
    if kind == "linked":
        left, right, score = given
        values = [left.channel, left.member_id, right.channel, right.member_id, score]
        lake.connection.execute("insert into identity.linked_pairs values (?, ?, ?, ?, ?, '{}')", values)
        return
    if kind == "erase":
        for feed in ("members", "orders"):
            lake.connection.execute(
                f"delete from raw.{feed} where channel = ? and member_id = ?", [given.channel, given.member_id]
            )
        return
    with open_state(lake.settings) as engine:
        try:
            if kind == "undo":
                names = [rule.name for rule in read_rules(engine) if rule.holds]
                if names:
                    undo_rule(engine, names[given % len(names)], why="undone", who="bob")
            elif kind == BLOCK:
                hexed = token("phone", given)
                key = lake.rows("select ?::uuid::varchar", hexed)[0][0]
                make_rule(engine, kind, value=("phone", key, hexed), why="blocked", who="ann")
            else:
                make_rule(engine, kind, tuple(given[0]), tuple(given[1]), why="seen", who="ann")
        except PermanentError as refused:
            assert "keeps them apart" in str(refused)  # noqa: PT017 - the only refusal that may come here


def broken_partings(lake: Any) -> list[tuple[Any, ...]]:
    return lake.rows("""
        with named as (
            select memberships.channel, member_id, customer_id
            from identity.memberships inner join identity.assignment using (node_no)
        )
        select * from identity.pairs
        inner join named as lefts on left_channel = lefts.channel and left_id = lefts.member_id
        inner join named as rights on right_channel = rights.channel and right_id = rights.member_id
        where verb = 'part' and lefts.customer_id = rights.customer_id""")


def untouched(lake: Any) -> dict[tuple[str, str], str]:
    """Members of a channel whose rows, values and pairs nobody else shares."""
    return dict(lake.rows("select (channel, identity), customer_id from identity.identities where channel = 'h5'"))


@settings(max_examples=EXAMPLES // 2 or 1, deadline=None, suppress_health_check=list(HealthCheck))
@given(portions=CORRECTED)
def test_corrections_in_increments_equal_a_rebuild_and_partings_are_never_broken(new_lake, portions):
    with tempfile.TemporaryDirectory() as home:
        lake = new_lake(Path(home))
        lake.member("alone", channel="h5", phone="77")
        lake.resolve()
        alone = untouched(lake)
        assert len(alone) == 1
        for rows, corrections in portions:
            for method, columns in rows:
                getattr(lake, method)(**columns)
            for kind, given_to in corrections:
                correct(lake, kind, given_to)
            lake.resolve()
            assert broken_partings(lake) == []
            assert untouched(lake) == alone
        in_portions = state(lake)
        events = lake.rows("select count(*) from identity.merges")
        again = lake.resolve()
        assert (again.merges, again.splits, again.touched_nodes) == (0, 0, 0)
        rebuilt = lake.resolve(full=True)
        assert (rebuilt.merges, rebuilt.splits) == (0, 0)
        assert state(lake) == in_portions
        assert lake.rows("select count(*) from identity.merges") == events
