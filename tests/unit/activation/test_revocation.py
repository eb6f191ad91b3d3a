"""A coupon that turns out to be the wrong person's is taken back, once, unless it was redeemed."""

from __future__ import annotations

from datetime import timedelta

import duckdb

from pipelines.activation.revocation import plan_revocations
from pipelines.destinations import registry
from pipelines.destinations.protocol import Operation


def issue(world, *members):
    world.publish([world.person("c1", members=list(members) or [("mall", "m1"), ("mall", "m2")])])
    world.push()
    world.now += timedelta(hours=1)


def part(world):
    """The customer of m1 and m2 is parted: m2 is somebody else."""
    world.publish(
        [world.person("c1", members=[("mall", "m1")]), world.person("c2", members=[("mall", "m2")])],
        merges=[("split", "c1", "c2")],
    )
    world.now += timedelta(hours=1)
    return world.push()


def revocations(world):
    return [(row["customer_id"], row["state"]) for row in world.log("revoke")]


def test_a_coupon_told_to_a_customer_who_was_parted_is_taken_back_once(world):
    issue(world)
    report = part(world)
    world.push()

    assert revocations(world) == [("c1", "applied")]
    (row,) = world.received("revocations")
    (coupon,) = [one for one in world.received("coupons") if one["customer_id"] == "c1"]
    assert (row["coupon_code"], row["coupon_key"]) == (coupon["coupon_code"], coupon["key"])
    assert any("files revoke: 1 creates" in line for line in report.lines())
    assert world.states()["c1"] == "applied"


def test_a_coupon_on_the_account_of_somebody_else_is_taken_back(world, fake):
    fake.channel = "mall"
    issue(world, ("mall", "m2"), ("mall", "m1"))
    (coupon,) = fake.applied[Operation.COUPON]
    owner = coupon.recipient.address
    other = "m2" if owner == "m1" else "m1"
    world.publish(
        [world.person("c1", members=[("mall", other)]), world.person("c2", members=[("mall", owner)])],
        merges=[("split", "c1", "c2")],
    )
    world.push()

    (revoked,) = fake.applied[Operation.REVOKE]
    assert (revoked.code, revoked.recipient.address, revoked.coupon_key) == (coupon.code, owner, coupon.key)


def test_a_coupon_whose_account_stayed_with_its_customer_stays(world, fake):
    fake.channel = "mall"
    issue(world, ("mall", "m1"))
    part(world)

    assert revocations(world) == []


def test_a_coupon_issued_after_the_split_stays(world):
    world.publish([world.person("c1"), world.person("c2")], merges=[("split", "c1", "c2")])
    world.now += timedelta(hours=1)
    world.push()
    world.push()

    assert revocations(world) == []


def test_a_redeemed_or_expired_coupon_stays(world):
    issue(world)
    (coupon,) = world.received("coupons")
    world.publish([world.person("c1"), world.person("c2")], merges=[("split", "c1", "c2")])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        connection.execute(
            "CREATE TABLE marts.campaign_coupons AS "
            "SELECT 'omnilake' AS issued_by, ? AS coupon_code, true AS is_redeemed",
            [coupon["coupon_code"]],
        )
    world.now += timedelta(hours=1)
    world.push()
    assert revocations(world) == []

    world.as_of += timedelta(days=31)
    part(world)
    assert revocations(world) == []


def test_a_waiting_coupon_of_the_wrong_account_never_leaves(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    issue(world)
    fake.answers.clear()
    world.now += timedelta(hours=2)
    part(world)

    assert world.states()["c1"] == "suppressed"
    assert fake.applied[Operation.REVOKE] == []


def test_where_nothing_can_be_taken_back_the_log_says_so(world, fake, monkeypatch):
    whole = fake.capabilities
    issue(world)
    monkeypatch.setattr(
        fake,
        "capabilities",
        lambda: type(whole())(
            operations=frozenset(Operation) - {Operation.REVOKE},
            batch_size=whole().batch_size,
            reads_back=whole().reads_back,
        ),
    )
    part(world)

    assert revocations(world) == [("c1", "rejected")]
    assert "unsupported" in world.log("revoke")[0]["reason"]


def test_a_killed_revocation_is_sent_once(world, fake):
    issue(world)
    fake.answers["revoke"] = lambda record: ("unknown_but_applied", 0)
    part(world)
    fake.answers.clear()
    world.now += timedelta(hours=1)
    world.push()

    assert revocations(world) == [("c1", "applied")]
    assert len(fake.applied[Operation.REVOKE]) == 1


def test_any_coupon_delivery_can_be_revoked_for_a_reason_of_its_own(world, fake):
    issue(world)
    (coupon,) = world.log("coupon")
    given = coupon | {"address": "c1", "reason": "the person was erased"}
    configured = registry.load_destinations(world.settings)
    planned = [plan_revocations(world.engine, [given], configured, world.as_of, world.now, "marts-1") for _ in range(2)]
    world.push()

    assert planned == [1, 0]
    assert fake.applied[Operation.REVOKE][0].reason == "the person was erased"
