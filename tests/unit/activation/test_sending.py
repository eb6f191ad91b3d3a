"""Outcomes, retries, doubts, poison and dead destinations."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pipelines.activation.dispatch import MAX_ATTEMPTS, RETRY_SECONDS
from pipelines.activation.push import push
from pipelines.activation.tables import payloads
from pipelines.errors import TransientError
from pipelines.warehouse import single_writer


def people(world, count):
    return [world.person(f"c{number:03d}") for number in range(count)]


def test_each_record_of_a_batch_has_its_own_outcome(world, fake):
    kinds = {"c000": ("applied", 0), "c001": ("already", 0), "c002": ("rejected", 0)}
    fake.answers["coupon"] = lambda record: kinds[record.recipient.customer_id]
    world.publish(people(world, 3))
    world.push()

    assert world.states() == {"c000": "applied", "c001": "applied", "c002": "rejected"}
    assert [row["reason"] for row in world.log("coupon") if row["state"] == "rejected"] == ["refused by the script"]


def test_retry_after_waits_as_long_as_it_was_told(world, fake):
    answers = iter([("retry_after", 7), ("applied", 0)])
    fake.answers["coupon"] = lambda record: next(answers)
    world.publish(people(world, 1))
    world.push()

    assert world.slept == [7.0]
    assert world.log("coupon")[0]["attempts"] == 2
    assert world.states() == {"c000": "applied"}


def test_a_long_wait_is_left_to_a_later_push(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish(people(world, 1))
    world.push()
    fake.answers.clear()

    world.push()
    assert world.states() == {"c000": "planned"}
    assert fake.calls["coupon"] == 1

    world.now = world.now.replace(hour=4)
    world.push()
    assert world.states() == {"c000": "applied"}


def test_a_record_that_never_succeeds_ends_in_rejected_with_its_reason(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 90_000)
    world.publish(people(world, 1))
    for _ in range(MAX_ATTEMPTS + 3):
        world.push()
        world.now += timedelta(seconds=90_001)

    (row,) = world.log("coupon")
    assert (row["state"], row["attempts"]) == ("rejected", MAX_ATTEMPTS)
    assert row["reason"] == f"given up after {MAX_ATTEMPTS} attempts: asked by the script"


def test_a_time_out_is_read_back_before_any_retry(world, fake):
    fake.answers["coupon"] = lambda record: ("unknown_but_applied", 0)
    world.publish(people(world, 3))
    world.push()

    assert set(world.states().values()) == {"applied"}
    assert fake.calls["coupon"] == 1
    assert [coupon.code for coupon in fake.applied["coupon"]] == sorted(
        {coupon.code for coupon in fake.applied["coupon"]}, key=[c.code for c in fake.applied["coupon"]].index
    )


def test_a_time_out_without_effect_is_tried_again_by_schedule(world, fake):
    answers = iter([("unknown", 0), ("applied", 0)])
    fake.answers["coupon"] = lambda record: next(answers)
    world.publish(people(world, 1))
    world.push()
    assert world.states() == {"c000": "planned"}

    world.now += timedelta(seconds=RETRY_SECONDS[0])
    world.push()
    assert world.states() == {"c000": "applied"}
    assert len(fake.applied["coupon"]) == 1


def test_a_coupon_in_doubt_is_never_sent_again_where_nothing_can_be_read_back(world, fake):
    fake.reads_back = frozenset()
    fake.answers["coupon"] = lambda record: ("unknown_but_applied", 0)
    world.publish(people(world, 1))
    for _ in range(4):
        world.push()
        world.now += timedelta(days=2)

    assert world.states() == {"c000": "unknown"}
    assert fake.calls["coupon"] == 1


def test_tags_in_doubt_are_set_again_where_that_is_safe(world, fake):
    fake.reads_back = frozenset()
    answers = iter([("unknown_but_applied", 0), ("applied", 0)])
    fake.answers["tags"] = lambda record: next(answers)
    world.publish(people(world, 1))
    world.push()
    world.now += timedelta(minutes=2)
    world.push()

    assert world.states("tags") == {"c000": "applied"}
    assert fake.calls["tags"] == 2


def test_a_customer_whose_change_is_in_doubt_gets_no_further_change_yet(world, fake):
    fake.reads_back = frozenset()
    fake.resend_is_safe = frozenset()
    fake.answers["tags"] = lambda record: ("unknown", 0)
    world.publish([world.person("c1", lifecycle="active")])
    world.push()
    world.publish([world.person("c1", lifecycle="at_risk")])
    world.push()

    assert world.states("tags") == {"c1": "unknown"}


def test_poison_is_quarantined_and_its_neighbours_go_through(world, fake):
    fake.poison = {"c007"}
    fake.batch = 16
    world.publish(people(world, 40))
    world.push()

    states = world.states()
    assert states.pop("c007") == "quarantined"
    assert set(states.values()) == {"applied"}
    assert len(fake.applied["coupon"]) == 39
    assert len({coupon.key for coupon in fake.applied["coupon"]}) == 39
    assert {row["reason"] for row in world.log("coupon") if row["state"] == "quarantined"} == {
        "ValueError while sending"
    }


def test_poison_after_half_a_batch_was_applied_doubles_nothing(world, fake):
    fake.poison = {"c011"}
    fake.applies_before_poison = True
    world.publish(people(world, 20))
    world.push()

    keys = [coupon.key for coupon in fake.applied["coupon"]]
    assert len(keys) == len(set(keys)) == 19
    assert world.states()["c011"] == "quarantined"


def test_a_dead_destination_is_left_alone_after_some_calls(world, fake):
    fake.is_down = True
    fake.batch = 2
    world.publish(people(world, 50))
    report = world.push()

    assert fake.calls["coupon"] == 3
    assert report.failures == [
        "files: 3 calls in a row failed (ConnectionError while sending); the rest waits for the next push"
    ]
    assert set(world.states().values()) == {"planned"}

    fake.is_down = False
    world.now += timedelta(minutes=2)
    world.push()
    assert set(world.states().values()) == {"applied"}


def test_an_effect_before_the_connection_broke_is_found(world, fake):
    fake.is_down = True
    fake.applies_before_poison = True
    world.publish(people(world, 5))
    world.push()
    fake.is_down = False
    world.push()

    keys = [coupon.key for coupon in fake.applied["coupon"]]
    assert len(keys) == len(set(keys)) == 5
    assert set(world.states().values()) == {"applied"}


def test_a_record_without_an_answer_is_in_doubt(world, fake):
    fake.answers["coupon"] = lambda record: None if record.recipient.customer_id == "c001" else ("applied", 0)
    world.publish(people(world, 3))
    world.push()

    assert world.states() == {"c000": "applied", "c001": "planned", "c002": "applied"}
    assert [row["reason"] for row in world.log("coupon") if row["state"] == "planned"] == [
        "the destination didn't answer for this record"
    ]


def test_a_customer_whom_the_destination_does_not_know_is_rejected(world, fake):
    fake.strangers = {"c001"}
    world.publish(people(world, 2))
    world.push()

    assert world.states() == {"c000": "applied", "c001": "rejected"}


def test_a_look_up_that_fails_is_tried_again(world, fake):
    fake.look_up_fails = True
    world.publish(people(world, 2))
    world.push()
    assert set(world.states().values()) == {"planned"}

    fake.look_up_fails = False
    world.now += timedelta(minutes=2)
    world.push()
    assert set(world.states().values()) == {"applied"}


def test_nothing_is_locked_while_sending(world, fake):
    seen = []

    def write_meanwhile(_record):
        with sqlite3.connect(world.settings.home / "state.db", timeout=0.1) as other:
            other.execute("CREATE TABLE IF NOT EXISTS elsewhere (n)")
            other.execute("INSERT INTO elsewhere VALUES (1)")
        with single_writer(world.settings):
            seen.append(1)
        return ("applied", 0)

    fake.answers["coupon"] = write_meanwhile
    world.publish(people(world, 2))
    world.push()

    assert seen == [1, 1]
    assert set(world.states().values()) == {"applied"}


def test_two_pushes_at_once_are_refused(world, fake):
    def push_again(_record):
        with pytest.raises(TransientError, match="Another push is sending"):
            push(world.settings, world.engine, secret=b"s")
        return ("applied", 0)

    fake.answers["coupon"] = push_again
    world.publish(people(world, 1))
    world.push()

    assert world.states() == {"c000": "applied"}


def test_a_dry_run_may_run_beside_a_push(world, fake):
    def look(_record):
        assert push(world.settings, world.engine, secret=b"s", dry_run=True).dry_run
        return ("applied", 0)

    fake.answers["coupon"] = look
    world.publish(people(world, 1))
    world.push()

    assert world.states() == {"c000": "applied"}


def test_a_broken_payload_is_quarantined_and_stops_nothing(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish(people(world, 3))
    world.push()
    with world.engine.begin() as transaction:
        victim = transaction.execute(sa.select(payloads.c.delivery_id)).scalars().first()
        transaction.execute(payloads.update().where(payloads.c.delivery_id == victim).values(payload="{broken"))
    fake.answers.clear()
    world.now = world.now.replace(hour=5)
    world.push()

    assert sorted(world.states().values()) == ["applied", "applied", "quarantined"]


def test_payloads_are_dropped_once_applied(world, fake):
    world.publish(people(world, 5))
    world.push()

    with world.engine.begin() as transaction:
        assert transaction.execute(sa.select(sa.func.count()).select_from(payloads)).scalar() == 0


def test_a_destination_that_always_asks_for_a_second_does_not_use_up_every_attempt(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 0)
    world.publish(people(world, 1))
    world.push()

    (row,) = world.log("coupon")
    assert (row["state"], row["attempts"]) == ("planned", 3)
    assert world.slept == [1.0, 1.0]


def test_a_rate_limit_is_not_run_into_by_every_batch(world, fake):
    fake.batch = 1
    fake.answers["coupon"] = lambda record: ("retry_after", 900)
    world.publish(people(world, 30))
    world.push()

    assert fake.calls["coupon"] == 3
    assert set(world.states().values()) == {"planned"}


def test_a_short_rate_limit_is_waited_out_in_the_same_push(world, fake):
    fake.batch = 1
    limited_until = world.now + timedelta(seconds=5)
    fake.answers["coupon"] = lambda record: ("applied", 0) if world.now >= limited_until else ("retry_after", 5)
    world.publish(people(world, 30))
    world.push()

    assert set(world.states().values()) == {"applied"}
    assert world.slept == [5.0]
