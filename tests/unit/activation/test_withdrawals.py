"""Taking back what destinations hold of an erased person, and forgetting that they held it."""

from __future__ import annotations

import json
from datetime import timedelta

import duckdb
import sqlalchemy as sa

from pipelines.activation.reconcile import reconcile_activation
from pipelines.activation.withdrawals import (
    forget_deliveries,
    plan_coupon_withdrawals,
    plan_withdrawals,
    waiting_withdrawals,
)
from pipelines.destinations.registry import load_destinations
from pipelines.state import metadata


def erase(world, customer, redeemed=()):
    """What carrying an erasure out does to the outbox, and to what is published."""
    destinations = load_destinations(world.settings)
    plan_coupon_withdrawals(world.engine, "e1", [customer], set(redeemed), destinations, world.now)
    plan_withdrawals(world.engine, "e1", [customer], world.now)
    forget_deliveries(world.engine, [customer])


def remembered(world):
    """Every row of the state database as text."""
    with world.engine.begin() as transaction:
        tables = [transaction.execute(sa.select(table)).all() for table in metadata.sorted_tables]
    return json.dumps([[tuple(map(str, row)) for row in rows] for rows in tables])


def test_tags_and_coupons_are_taken_back_and_then_nothing_names_the_person(world, fake):
    fake.channel = "mall"
    people = [world.person("c1"), world.person("c2")]
    world.publish(people)
    world.push()
    held = {record.recipient.address: record.add for record in fake.applied["tags"]}
    (coupon,) = [record for record in fake.applied["coupon"] if record.recipient.customer_id == "c1"]
    counted = len(world.log())

    erase(world, "c1")

    assert "c1" not in {row["customer_id"] for row in world.log()}
    world.publish(people[1:])
    world.push()
    withdrawn = fake.applied["tags"][-1]
    assert (withdrawn.recipient.address, withdrawn.recipient.customer_id) == ("m-c1", "c1")
    assert (withdrawn.add, withdrawn.remove) == ((), tuple(sorted(held["m-c1"], key=lambda tag: tag.name)))
    assert [(revoked.code, revoked.recipient.address) for revoked in fake.applied["revoke"]] == [(coupon.code, "m-c1")]
    assert waiting_withdrawals(world.engine) == []
    text = remembered(world)
    assert "m-c1" not in text
    assert '"c1"' not in text
    assert "m-c2" in text
    assert len(world.log()) == counted + 2
    assert [check for check in reconcile_activation(world.settings, world.engine) if not check.ok] == []
    sent = {operation: len(records) for operation, records in fake.applied.items()}
    world.push()
    assert {operation: len(records) for operation, records in fake.applied.items()} == sent


def test_a_refused_withdrawal_is_seen_and_tried_again_by_every_push(world, fake):
    world.publish([world.person("c1")])
    world.push()
    erase(world, "c1", redeemed=[record.code for record in fake.applied["coupon"]])
    world.publish([])
    fake.answers["tags"] = lambda _: ("rejected", 0)
    for _ in range(2):
        calls = fake.calls["tags"]
        world.push()
        assert fake.calls["tags"] == calls + 1
        (waiting,) = waiting_withdrawals(world.engine)
        assert (waiting.destination, waiting.withdrawals, waiting.reason) == ("files", 1, "refused by the script")
    fake.answers.clear()
    world.push()
    assert waiting_withdrawals(world.engine) == []
    assert fake.applied["revoke"] == []


def test_whoever_the_destination_does_not_know_has_nothing_there(world, fake):
    world.publish([world.person("c1")])
    world.push()
    erase(world, "c1")
    world.publish([])
    fake.strangers = {"c1"}
    world.push()
    assert waiting_withdrawals(world.engine) == []
    assert '"c1"' not in remembered(world)


def test_what_was_in_doubt_is_taken_back_too(world, fake):
    fake.answers["tags"] = lambda _: ("unknown_but_applied", 0)
    fake.reads_back = fake.resend_is_safe = frozenset()
    world.publish([world.person("c1")])
    world.push()
    fake.answers.clear()
    erase(world, "c1")
    world.publish([])
    world.push()
    assert [tag.name for tag in fake.applied["tags"][-1].remove] == ["lifecycle", "segment"]
    assert waiting_withdrawals(world.engine) == []


def test_files_show_the_withdrawal_for_a_week_and_then_blank_it(world):
    world.publish([world.person("c1"), world.person("c2")])
    world.push()
    for configured in load_destinations(world.settings).values():
        configured.destination.blank(["c1"])
    erase(world, "c1")
    world.publish([world.person("c2")])
    world.push()
    rows = [row for row in world.received("tags") if row["customer_id"] == "c1"]
    assert {row["action"] for row in rows} == {"remove"}
    assert {row["source_ids"] for row in rows} == {"[]"}
    world.now += timedelta(days=8)
    world.push()
    assert [row for folder in ("tags", "coupons") for row in world.received(folder) if row["customer_id"] == "c1"] == []
    assert "m-c1" not in b"".join(world.files().values()).decode()
    assert '"c1"' not in remembered(world)
    assert [check for check in reconcile_activation(world.settings, world.engine) if not check.ok] == []


def test_erased_persons_do_not_become_one_person_in_the_books(world, fake):
    world.publish([world.person("c1"), world.person("c2"), world.person("c3")])
    world.push()
    for customer in ("c1", "c2"):
        erase(world, customer)
    assert len({row["customer_id"] for row in world.log("coupon")}) == 3
    assert [check for check in reconcile_activation(world.settings, world.engine) if not check.ok] == []


def test_a_channels_own_no_holds_there_whatever_the_person_said_elsewhere(world, fake):

    fake.channel = "mall"
    world.campaign()
    snapshot = world.publish([world.person("c1"), world.person("c2")])
    with duckdb.connect(str(world.settings.snapshots / f"{snapshot}.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE marts.customer_consents AS SELECT 'c1' AS customer_id, 'marketing' AS purpose, "
            "'mall' AS channel, 'm-c1' AS member_id, false AS is_granted, true AS is_live"
        )
    world.push()
    states = {row["customer_id"]: (row["state"], row["reason"]) for row in world.log("coupon")}
    assert states["c1"] == ("suppressed", "no consent to marketing in any channel of the campaign")
    assert states["c2"][0] == "applied"
