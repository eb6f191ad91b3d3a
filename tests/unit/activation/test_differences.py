"""Tags and recommendations: what is sent, and what is not sent again."""

from __future__ import annotations

import duckdb
import pytest

from pipelines.activation import differences
from pipelines.errors import ConfigurationError, PermanentError


@pytest.fixture(autouse=True, params=[1, 1_000_000], ids=["slice by slice", "at once"])
def _slices(request, monkeypatch):
    """However many customers are compared at a time, the differences are the same."""
    monkeypatch.setattr(differences, "_SLICE_ROWS", request.param)


def tags_at_destination(world):
    """What a receiver that applies every row in order of version holds, per customer."""
    held = {}
    for row in sorted(world.received("tags"), key=lambda row: (int(row["version"]), row["action"] == "add")):
        tags = held.setdefault(row["customer_id"], set())
        label = (row["tag"], row["value"])
        if row["action"] == "add":
            tags.add(label)
        else:
            tags.remove(label)
    return {customer: tags for customer, tags in held.items() if tags}


def list_at_destination(world):
    """The newest recommendation list per customer, as a receiver sees it."""
    newest = {}
    for row in world.received("recommendations"):
        version = int(row["version"])
        known = newest.get(row["customer_id"], (0, []))
        if version >= known[0]:
            items = known[1] if version == known[0] else []
            newest[row["customer_id"]] = (version, [*items, (row["rank"], row["sku"])])
    return {customer: [sku for rank, sku in sorted(items) if rank] for customer, (_, items) in newest.items()}


def test_every_customer_gets_all_tags_and_the_whole_list(world):
    world.publish([world.person("c1", skus=["a", "b"]), world.person("c2", lifecycle="active", segment="champions")])

    report = world.push()

    assert tags_at_destination(world) == {
        "c1": {("lifecycle", "dormant"), ("segment", "hibernating")},
        "c2": {("lifecycle", "active"), ("segment", "champions")},
    }
    assert list_at_destination(world) == {"c1": ["a", "b"]}
    assert [(d.operation, d.creates, d.updates, d.deletes) for d in report.differences] == [
        ("tags", 2, 0, 0),
        ("recommendations", 1, 0, 0),
    ]


def test_a_second_push_on_the_same_data_sends_nothing(world):
    persons = [world.person(f"c{number}", skus=["a"]) for number in range(5)]
    world.publish(persons)
    world.push()
    files = world.files()
    world.publish(persons)

    report = world.push()

    assert world.files() == files
    assert all(d.creates + d.updates + d.deletes == 0 for d in report.differences)
    assert [decision.decided for decision in report.campaigns] == [0]
    assert report.sent[0].states == {}


def test_a_changed_tag_is_one_removal_and_one_addition(world):
    world.publish([world.person("c1", lifecycle="active")])
    world.push()
    world.publish([world.person("c1", lifecycle="at_risk")])

    report = world.push()

    changes = [(r["action"], r["tag"], r["value"]) for r in world.received("tags") if r["version"] == "2"]
    assert sorted(changes) == [("add", "lifecycle", "at_risk"), ("remove", "lifecycle", "active")]
    assert report.differences[0].updates == 1
    assert report.differences[0].samples == ("update c1: -lifecycle=active lifecycle=at_risk",)


def test_tags_that_go_back_and_forth_are_sent_every_time(world):
    for lifecycle in ("active", "at_risk", "active", "at_risk"):
        world.publish([world.person("c1", lifecycle=lifecycle)])
        world.push()

    assert [row["state"] for row in world.log("tags")] == ["applied"] * 4
    assert tags_at_destination(world)["c1"] == {("lifecycle", "at_risk"), ("segment", "hibernating")}


def test_a_customer_who_was_merged_away_loses_tags_and_list(world):
    world.publish([world.person("c1", skus=["a"]), world.person("c2", skus=["b"])])
    world.push()
    world.publish([world.person("c2", skus=["b"])], merges=[("merge", "c1", "c2")])

    report = world.push()

    assert set(tags_at_destination(world)) == {"c2"}
    assert list_at_destination(world) == {"c1": [], "c2": ["b"]}
    assert [d.deletes for d in report.differences] == [1, 1]


def test_a_customer_who_comes_back_gets_tags_again(world):
    for persons in (["c1", "c2"], ["c2"], ["c1", "c2"]):
        world.publish([world.person(name, skus=["a"]) for name in persons])
        world.push()

    assert set(tags_at_destination(world)) == {"c1", "c2"}
    assert list_at_destination(world)["c1"] == ["a"]


def test_a_mart_that_the_snapshot_lacks_withdraws_nothing(world):
    world.publish([world.person("c1", skus=["a"])])
    world.push()
    world.publish([world.person("c1")], without=("recommendations",))

    report = world.push()

    assert list_at_destination(world) == {"c1": ["a"]}
    assert report.notes == ["files: no recommendations in this snapshot, so what is there stays."]


def test_a_new_score_or_date_alone_does_not_send_a_list_again(world):
    world.publish([world.person("c1", skus=["a"])])
    world.push()
    path = world.publish([world.person("c1", skus=["a"])])
    with duckdb.connect(str(world.settings.snapshots / f"{path}.duckdb")) as connection:
        connection.execute("UPDATE marts.recommendations SET score = 0.9, as_of = as_of + INTERVAL 1 DAY")

    assert world.push().differences[1].updates == 0


def test_a_changed_order_of_the_list_is_an_update(world):
    world.publish([world.person("c1", skus=["a", "b"])])
    world.push()
    world.publish([world.person("c1", skus=["b", "a"])])
    world.push()

    assert list_at_destination(world) == {"c1": ["b", "a"]}


def test_configured_tags_alone_are_sent(world):
    world.configure("destinations.yml", {"destinations": {"files": {"kind": "files", "tags": ["segment"]}}})
    world.publish([world.person("c1")])
    world.push()

    assert {row["tag"] for row in world.received("tags")} == {"segment"}


def test_an_operation_that_is_not_configured_is_not_sent(world):
    world.configure("destinations.yml", {"destinations": {"files": {"kind": "files", "operations": ["tags"]}}})
    world.publish([world.person("c1", skus=["a"])])

    report = world.push()

    assert world.received("recommendations") == []
    assert world.log("coupon") == []
    assert report.notes == ["campaign recall: no destination of it takes coupons."]


def test_source_ids_of_every_membership_stand_beside_the_customer(world):
    world.publish([world.person("c1", members=[("pos", "007"), ("mall", 'a"b,c')])])
    world.push()

    assert {row["source_ids"] for row in world.received("tags")} == {
        '[{"channel":"mall","member_id":"a\\"b,c"},{"channel":"pos","member_id":"007"}]'
    }


def test_dry_run_writes_nothing_and_says_what_it_would_do(world):
    world.publish([world.person("c1", skus=["a"]), world.person("c2", consent=False)])
    dry = world.push(dry_run=True)

    assert world.files() == {}
    assert world.log() == []
    wet = world.push()
    assert dry.rows() == wet.rows()
    assert "Dry run: nothing was written or sent." in dry.lines()


def test_a_dry_run_shows_no_coupon_code(world):
    world.publish([world.person("c1")])
    words = "\n".join(world.push(dry_run=True).lines())
    world.push()

    code = world.received("coupons")[0]["coupon_code"]
    assert code not in words


def test_an_unknown_destination_is_a_configuration_error_that_lists_the_others(world):
    world.publish([world.person("c1")])

    with pytest.raises(ConfigurationError, match=r"no destination 'sms'.*choose one of: files"):
        world.push(destination="sms")


def test_nothing_published_is_said_in_words(world):
    with pytest.raises(PermanentError, match="Nothing is published"):
        world.push()


def test_an_overtaken_change_is_never_sent(world, fake):
    fake.answers["tags"] = lambda record: ("retry_after", 3600)
    world.publish([world.person("c1", lifecycle="active")])
    world.push()
    world.publish([world.person("c1", lifecycle="at_risk")])
    fake.answers.clear()

    world.push()
    world.now = world.now.replace(hour=23)
    world.push()

    assert [sorted((tag.name, tag.value) for tag in change.add) for change in fake.applied["tags"]] == [
        [("lifecycle", "at_risk"), ("segment", "hibernating")]
    ]
    assert sorted(row["state"] for row in world.log("tags")) == ["applied", "rejected"]


def test_a_change_overtaken_back_and_forth_gets_a_key_of_its_own_each_time(world, fake):
    fake.answers["tags"] = lambda record: ("retry_after", 3600)
    for lifecycle in ("active", "at_risk", "active"):
        world.publish([world.person("c1", lifecycle=lifecycle)])
        world.push()
    fake.answers.clear()
    world.now = world.now.replace(hour=23)
    world.push()

    keys = [row["idempotency_key"] for row in world.log("tags")]
    assert len(set(keys)) == len(keys) == 3
    assert [[tag.value for tag in change.add] for change in fake.applied["tags"]] == [["active", "hibernating"]]


def test_a_refused_change_is_sent_again_only_when_it_is_another_one(world, fake):
    fake.answers["tags"] = lambda record: ("rejected", 0)
    persons = [world.person("c1", lifecycle="active")]
    for _ in range(3):
        world.publish(persons)
        world.push()
    assert len(world.log("tags")) == 1

    world.publish([world.person("c1", lifecycle="at_risk")])
    world.push()

    assert [row["state"] for row in world.log("tags")] == ["rejected", "rejected"]


def test_a_destination_of_one_channel_gets_its_members_alone(world, fake):
    fake.channel = "mall"
    world.publish(
        [
            world.person("c1", members=[("mall", "m1"), ("mall", "m2"), ("pos", "p1")]),
            world.person("c2", members=[("pos", "p2")]),
        ]
    )
    world.push()

    assert sorted(change.source_id for change in fake.applied["tags"]) == ["m1", "m2"]
    assert {change.recipient.customer_id for change in fake.applied["tags"]} == {"c1"}


def test_an_account_that_changes_hands_gets_the_difference_alone(world, fake):
    fake.channel = "mall"
    world.publish([world.person("c1", members=[("mall", "m1")]), world.person("c2", members=[("pos", "p2")])])
    world.push()
    world.publish([world.person("c2", lifecycle="active", members=[("mall", "m1"), ("pos", "p2")])])
    world.push()

    last = fake.applied["tags"][-1]
    assert (last.source_id, last.recipient.customer_id) == ("m1", "c2")
    assert [tag.value for tag in last.add] == ["active"]
    assert [tag.value for tag in last.remove] == ["dormant"]
