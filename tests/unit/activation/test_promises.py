"""Random nights with random faults: what must hold whatever happens."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.activation.reconcile import reconcile_activation

BUDGET = 9
PEOPLE = [f"c{number:02d}" for number in range(12)]


class KilledError(BaseException):
    """The process is gone."""


def disturb(fake, chance: random.Random, level: float) -> None:
    """Answers at random: every kind of outcome, effects before faults, and sudden death."""

    def answer(record):
        if chance.random() > level:
            return ("applied", 0)
        kind = chance.choice(["rejected", "retry", "unknown", "unknown_but_applied", "silent", "kill", "oops"])
        match kind:
            case "retry":
                return ("retry_after", chance.choice([1, 5000]))
            case "rejected":
                return ("rejected", 0) if chance.random() < 0.3 else ("applied", 0)
            case "silent":
                return None
            case "kill":
                if chance.random() < 0.5:
                    fake.applied["coupon"].extend([record] if hasattr(record, "code") else [])
                raise KilledError
            case "oops":
                raise ValueError("out of order")
            case _:
                return (kind, 0)

    for operation in ("tags", "recommendations", "coupon"):
        fake.answers[operation] = answer


def push_until_it_lives(world) -> None:
    for _ in range(30):
        try:
            world.push()
            return
        except KilledError:
            world.now += timedelta(seconds=30)


@pytest.fixture
def clean(world, fake):
    """Hypothesis runs many examples in one test function, so each starts from nothing by itself."""

    def reset():
        from pipelines.state import metadata

        with world.engine.begin() as transaction:
            for table in metadata.tables.values():
                transaction.execute(table.delete())
        fake.applied.clear()
        fake.answers.clear()
        fake.calls.clear()

    return reset


nights = st.lists(
    st.fixed_dictionaries(
        {
            "present": st.sets(st.sampled_from(PEOPLE), min_size=1),
            "active": st.sets(st.sampled_from(PEOPLE)),
            "refused": st.sets(st.sampled_from(PEOPLE), max_size=3),
            "merge": st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
        }
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(nights=nights, seed=st.integers(0, 2**32), level=st.sampled_from([0.0, 0.2, 0.6]))
def test_whatever_happens_the_promises_hold(world, fake, clean, nights, seed, level):
    clean()
    chance = random.Random(seed)
    fake.batch = chance.choice([1, 3, 100])
    world.campaign(holdout={"share": "0.2"}, budget={"coupons": BUDGET})
    merges: list[tuple[str, str, str]] = []
    desired = {}
    for night in nights:
        one, other = night["merge"]
        present = set(night["present"])
        if one != other and other in present:
            present.discard(one)
            merges.append(("merge", one, other))
        desired = {name: "active" if name in night["active"] else "dormant" for name in present}
        world.publish(
            [
                world.person(name, lifecycle=lifecycle, consent=name not in night["refused"], skus=["a"])
                for name, lifecycle in sorted(desired.items())
            ],
            merges=merges,
        )
        disturb(fake, chance, level)
        push_until_it_lives(world)
        world.as_of += timedelta(days=1)
        world.now += timedelta(days=1)
    fake.answers.clear()
    for _ in range(6):
        world.now += timedelta(days=3)
        world.push()

    log = world.log("coupon")
    live = [row for row in log if row["state"] in ("applied", "planned", "sent", "unknown")]
    assert len(live) <= BUDGET
    assert len({(row["customer_id"], row["wave"]) for row in log}) == len(log)
    applied_keys = Counter(coupon.key for coupon in fake.applied["coupon"])
    assert all(count == 1 for count in applied_keys.values())
    assert set(applied_keys) == {row["idempotency_key"] for row in log if row["state"] == "applied"}
    decided = {row["customer_id"] for row in log}
    survivors = {into for _, _, into in merges}
    assert all(name in decided or name in survivors for name, stage in desired.items() if stage == "dormant")
    failed = {row["customer_id"] for row in world.log("tags") if row["state"] in ("rejected", "quarantined")}
    held = {}
    for change in sorted(fake.applied["tags"], key=lambda change: change.version):
        tags = held.setdefault(change.recipient.customer_id, {})
        for tag in change.remove:
            tags.pop(tag.name, None)
        for tag in change.add:
            tags[tag.name] = tag.value
    for name in set(PEOPLE) - failed:
        expected = {"segment": "hibernating", "lifecycle": desired[name]} if name in desired else {}
        assert held.get(name, {}) == expected
    assert [check.name for check in reconcile_activation(world.settings, world.engine) if not check.ok] == []
