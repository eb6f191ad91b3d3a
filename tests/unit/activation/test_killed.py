"""A push that dies at any instant and is started again does what an undisturbed one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipelines.activation.reconcile import reconcile_activation
from pipelines.destinations import registry
from pipelines.destinations.files import FilesDestination

PERSONS = 24


class KilledError(BaseException):
    """What no handler of the push may catch; the process would be gone."""


class Fuse:
    """Counts instants at which a push can die, and kills it at the chosen one."""

    def __init__(self) -> None:
        self.passed = 0
        self.blows_at: int | None = None

    def pass_by(self) -> None:
        self.passed += 1
        if self.passed == self.blows_at:
            raise KilledError


@pytest.fixture
def fuse(world, monkeypatch):
    """Instants: before and after every transaction of the state, before and after every file's rename."""
    made = Fuse()
    rename = Path.replace
    commit = world.engine.dialect.do_commit

    def watched_rename(path: Path, target: Path) -> Path:
        made.pass_by()
        renamed = rename(path, target)
        made.pass_by()
        return renamed

    def watched_commit(connection) -> None:
        made.pass_by()
        commit(connection)
        made.pass_by()

    monkeypatch.setattr(Path, "replace", watched_rename)
    monkeypatch.setattr(world.engine.dialect, "do_commit", watched_commit)
    monkeypatch.setitem(
        registry.KINDS,
        "files",
        lambda name, operations, options, prefix: FilesDestination(
            name, Path(options.settings["directory"]), operations, batch_size=9
        ),
    )
    return made


def publish_first(world):
    world.campaign(holdout={"share": "0.2"}, budget={"coupons": 15}, caps=[{"at_most": 1, "days": 30}])
    world.publish([world.person(f"c{n:03d}", skus=["a", "b"], consent=n % 6 != 0) for n in range(PERSONS)])


def publish_second(world):
    changed = [
        world.person(f"c{n:03d}", skus=["b", "a"], lifecycle="dormant" if n % 2 else "active")
        for n in range(5, PERSONS + 6)
    ]
    world.publish(changed, merges=[("merge", "c001", "c010")])


def seen_outside(world):
    return {
        folder: sorted(map(str, (sorted(row.items()) for row in world.received(folder))))
        for folder in ("tags", "recommendations", "coupons")
    }


def outcome(world):
    log = [{name: value for name, value in row.items() if name != "decided_at"} for row in world.log()]
    return seen_outside(world), log, world.files()


def reset(world):
    import shutil

    with world.engine.begin() as transaction:
        for table in ("deliveries", "delivery_payloads", "destination_state", "campaign_plans"):
            transaction.execute(sa.text(f"DELETE FROM {table}"))
    shutil.rmtree(world.settings.outbound, ignore_errors=True)


def undisturbed(world, fuse):
    publish_first(world)
    world.push()
    publish_second(world)
    world.push()
    return outcome(world), fuse.passed


def run_killed_at(world, fuse, instant: int) -> None:
    fuse.passed, fuse.blows_at = 0, instant
    for publish in (publish_first, publish_second):
        publish(world)
        for _ in range(3):
            try:
                world.push()
                break
            except KilledError:
                continue
    fuse.blows_at = None


@pytest.mark.slow
def test_killed_at_every_instant_the_result_is_the_undisturbed_one(world, fuse):
    expected, instants = undisturbed(world, fuse)
    assert instants > 60

    for instant in range(1, instants, 11):
        reset(world)
        run_killed_at(world, fuse, instant)

        assert outcome(world) == expected, f"killed at instant {instant} of {instants}"
        assert [check for check in reconcile_activation(world.settings, world.engine) if not check.ok] == []


def test_killed_again_and_again_nobody_gets_two_coupons_and_nobody_is_lost(world, fuse):
    publish_first(world)
    pushes = 0
    fuse.blows_at = 0
    step: Callable[[], int] = iter(range(3, 200, 4)).__next__
    while True:
        fuse.passed, fuse.blows_at = 0, step()
        pushes += 1
        try:
            world.push()
            break
        except KilledError:
            continue
    fuse.blows_at = None
    world.push()

    assert pushes > 3
    assert len(world.states()) == PERSONS
    applied = [customer for customer, state in world.states().items() if state == "applied"]
    assert sorted(row["customer_id"] for row in world.received("coupons")) == sorted(applied)
    assert len(applied) == 15


def test_a_coupon_in_flight_when_the_process_died_is_not_sent_twice(world, fake):
    def die_after_the_effect(record):
        fake.applied["coupon"].append(record)
        raise KilledError

    fake.answers["coupon"] = die_after_the_effect
    world.publish([world.person("c1"), world.person("c2")])
    with pytest.raises(KilledError):
        world.push()
    assert set(world.states().values()) == {"sent"}
    fake.answers.clear()
    world.push()

    assert sorted(coupon.recipient.customer_id for coupon in fake.applied["coupon"]) == ["c1", "c2"]
    assert set(world.states().values()) == {"applied"}


def test_a_coupon_in_flight_that_can_not_be_read_back_stays_in_doubt(world, fake):
    fake.reads_back = frozenset()

    def die(record):
        raise KilledError

    fake.answers["coupon"] = die
    world.publish([world.person("c1")])
    with pytest.raises(KilledError):
        world.push()
    fake.answers.clear()
    world.push()

    assert world.states() == {"c1": "unknown"}
    assert fake.applied["coupon"] == []
