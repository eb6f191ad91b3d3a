"""Plan, then apply: a plan sends exactly what it says, or nothing; and no push empties a destination by mistake."""

from __future__ import annotations

import json

import pytest

from pipelines.errors import PermanentError


@pytest.fixture
def shop(world):
    """Ten customers whom the destination knows already; two have changed since, one is new, one has gone."""
    world.campaign(offer={"kind": "gift", "value": "5", "currency": "CNY", "valid_days": 30})
    world.publish([world.person(f"c{number}", lifecycle="active", skus=["a"]) for number in range(10)])
    world.push()
    changed = [
        world.person(f"c{number}", lifecycle="dormant" if number < 2 else "active", skus=["a"]) for number in range(9)
    ]
    world.publish([*changed, world.person("c99", lifecycle="active", skus=["b"])])
    return world


def planned(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][1:-1]


def make_plan(world, tmp_path, **options):
    path = tmp_path / "plan.jsonl"
    world.push(dry_run=True, plan=path, **options)
    return path


def test_a_plan_lists_creates_updates_and_deletes_and_changes_nothing(shop, tmp_path):
    before = (shop.log(), shop.files())
    records = planned(make_plan(shop, tmp_path))

    kinds = sorted((record["kind"], record["operation"]) for record in records)
    assert kinds == sorted(
        [("create", "coupon")] * 2
        + [("create", "tags"), ("create", "recommendations"), ("delete", "tags"), ("delete", "recommendations")]
        + [("update", "tags")] * 2
    )
    assert (shop.log(), shop.files()) == before


def test_a_plan_sends_exactly_what_it_says(shop, tmp_path):
    known = {row["delivery_id"] for row in shop.log()}
    path = make_plan(shop, tmp_path)
    shop.push(plan=path)

    new = {row["delivery_id"]: row["state"] for row in shop.log() if row["delivery_id"] not in known}
    assert new == {record["delivery_id"]: "applied" for record in planned(path)}


def test_a_plan_is_readable_by_its_owner_alone_and_the_same_when_made_again(shop, tmp_path):
    path = make_plan(shop, tmp_path)
    first = path.read_bytes()

    assert path.stat().st_mode & 0o777 == 0o600
    assert make_plan(shop, tmp_path).read_bytes() == first


def test_a_plan_that_was_applied_can_not_be_applied_again(shop, tmp_path):
    path = make_plan(shop, tmp_path)
    shop.push(plan=path)
    outside = shop.files()
    with pytest.raises(PermanentError, match="no longer fits what the destinations hold"):
        shop.push(plan=path)

    assert shop.files() == outside


def test_a_plan_is_refused_once_another_snapshot_is_published(shop, tmp_path):
    path = make_plan(shop, tmp_path)
    shop.publish([shop.person("c1")])
    outside = shop.files()
    with pytest.raises(PermanentError, match="rests on snapshot marts-0002, and marts-0003 is published now"):
        shop.push(plan=path)

    assert shop.files() == outside


def test_a_plan_is_refused_once_the_configuration_says_otherwise(shop, tmp_path):
    path = make_plan(shop, tmp_path)
    shop.campaign(offer={"kind": "gift", "value": "5", "currency": "CNY", "valid_days": 30}, wave="other")
    with pytest.raises(PermanentError, match="no longer fits"):
        shop.push(plan=path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [*lines[:1], *lines[2:]],
        lambda lines: [*lines[:-1], lines[1], lines[-1]],
        lambda lines: [lines[0].replace("false", "true"), *lines[1:]],
        lambda lines: [*lines[:-1], json.dumps({"seal": "0" * 64})],
        lambda lines: lines[:-1],
        lambda lines: [],
        lambda lines: ["nonsense"],
    ],
    ids=["record left out", "record doubled", "guard lifted", "seal forged", "cut off", "empty", "no plan"],
)
def test_an_edited_plan_is_refused(shop, tmp_path, edit):
    path = make_plan(shop, tmp_path)
    path.write_text("\n".join(edit(path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")
    outside = shop.files()
    with pytest.raises(PermanentError, match=r"was changed after it was written|is no plan, or is cut off"):
        shop.push(plan=path)

    assert shop.files() == outside


def test_a_plan_for_one_destination_stays_with_it(shop, tmp_path):
    path = make_plan(shop, tmp_path, destination="files")
    with pytest.raises(PermanentError, match="is a plan for files, not other"):
        shop.push(plan=path, destination="other")

    assert shop.push(plan=path).sent[0].destination == "files"


def test_what_waits_from_an_earlier_push_is_part_of_the_plan(world, fake, tmp_path):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish([world.person("c1")])
    world.push()
    fake.answers.clear()
    world.now = world.now.replace(hour=9)
    path = make_plan(world, tmp_path)
    assert [record["kind"] for record in planned(path)] == ["retry"]

    world.push(plan=path)
    assert world.states() == {"c1": "applied"}


def test_a_snapshot_that_lost_its_customers_empties_no_destination(world):
    world.publish([world.person(f"c{number:03d}", skus=["a"]) for number in range(60)])
    world.push()
    world.publish([world.person("c000", skus=["a"])])
    outside = world.files()
    report = world.push()

    assert world.files() == outside
    assert len(report.failures) == 2
    assert "59 of 60 would be deleted, more than max_deletes_share 0.2 allows" in report.failures[0]
    assert "omnilake push --destination files --allow-deletes" in report.failures[0]

    report = world.push(allow_deletes=True)
    assert report.failures == []
    assert world.files() != outside


def test_a_plan_beyond_the_guard_is_not_even_written(world, tmp_path):
    world.publish([world.person(f"c{number:03d}") for number in range(60)])
    world.push()
    world.publish([world.person("c000")])
    with pytest.raises(PermanentError, match="No plan was written: files tags: 59 of 60"):
        make_plan(world, tmp_path)
    assert list(tmp_path.glob("plan*")) == []

    world.push(plan=make_plan(world, tmp_path, allow_deletes=True))
    assert len([row for row in world.received("tags") if row["action"] == "remove"]) == 59 * 2


@pytest.mark.parametrize(
    ("floor", "share", "stops"), [(2, "0.1", True), (3, "0.1", False), (0, "0.3", False), (0, "0.29", True)]
)
def test_the_guard_counts_exactly(world, floor, share, stops):
    settings = {"kind": "files", "operations": ["tags"], "max_deletes_floor": floor, "max_deletes_share": share}
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    world.publish([world.person(f"c{number}") for number in range(10)])
    world.push()
    world.publish([world.person(f"c{number}") for number in range(7)])

    assert bool(world.push().failures) is stops
