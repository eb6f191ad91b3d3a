"""Coupon decisions: who gets one, who doesn't and why, and that it stays so."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import duckdb
import pytest

from pipelines.activation.coupons import coupon_code
from pipelines.errors import ConfigurationError


def people(world, count, **changes):
    return [world.person(f"c{number:04d}", **changes) for number in range(count)]


def test_everybody_of_the_audience_is_in_exactly_one_state(world):
    world.campaign(holdout={"share": "0.2"}, budget={"coupons": 20})
    persons = [
        world.person(
            f"c{number:04d}",
            consent=[True, True, True, False, None][number % 5],
            staff=number % 7 == 0,
            lifecycle="dormant" if number % 3 else "active",
        )
        for number in range(150)
    ]
    world.publish(persons)
    (decision,) = world.push().campaigns

    states = world.states()
    audience = {person.customer_id for person in persons if person.lifecycle == "dormant"}
    assert set(states) == audience
    assert decision.audience == decision.decided == len(audience)
    assert list(states.values()).count("applied") == 20
    assert {"held_out", "suppressed", "capped", "applied"} == set(states.values())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"staff": True}, "staff"),
        ({"consent": False}, "no consent to marketing"),
        ({"consent": None}, "no consent to marketing"),
    ],
)
def test_who_may_not_be_addressed_is_suppressed_with_the_reason(world, changes, reason):
    world.publish([world.person("c1", **changes)])
    world.push()

    assert [(row["state"], row["reason"]) for row in world.log("coupon")] == [("suppressed", reason)]
    assert world.received("coupons") == []


def test_the_coupon_carries_offer_code_and_validity(world):
    world.publish([world.person("c1")])
    world.push()

    (row,) = world.received("coupons")
    assert row["coupon_code"] == coupon_code(b"a secret of thirty-two bytes.....", "recall", "1", "c1")
    assert (row["kind"], row["value"], row["threshold"], row["currency"]) == ("amount_off", "30.00", "199", "CNY")
    assert (row["valid_from"], row["valid_to"]) == ("2026-03-31", "2026-04-30")
    assert world.log("coupon")[0]["subject"] == row["coupon_code"]


def test_who_was_decided_is_not_decided_again_and_who_is_new_is(world):
    world.publish(people(world, 3))
    world.push()
    first = world.log("coupon")
    world.as_of += timedelta(days=1)
    world.publish(people(world, 5))

    (decision,) = world.push().campaigns

    assert (decision.audience, decision.already, decision.decided) == (5, 3, 2)
    assert [row for row in world.log("coupon") if row["decided_on"] < world.as_of] == first


def test_who_left_the_audience_keeps_the_coupon(world):
    world.publish(people(world, 2))
    world.push()
    world.publish(people(world, 2, lifecycle="active"))
    world.push()

    assert set(world.states().values()) == {"applied"}
    assert len(world.received("coupons")) == 2


def test_the_held_out_share_is_kept_and_stable_over_waves(world):
    world.campaign(holdout={"share": "0.3"}, budget={"coupons": 10_000}, wave="a")
    world.publish(people(world, 600))
    world.push()
    first = {row["customer_id"] for row in world.log("coupon") if row["state"] == "held_out"}
    world.campaign(holdout={"share": "0.3"}, budget={"coupons": 10_000}, wave="b")
    world.push()
    second = {row["customer_id"] for row in world.log("coupon") if row["state"] == "held_out" and row["wave"] == "b"}

    assert first == second
    assert 130 < len(first) < 230


def test_another_salt_draws_another_group(world):
    groups = []
    for wave, salt in (("a", "x"), ("b", "y")):
        world.campaign(holdout={"share": "0.5", "salt": salt}, budget={"coupons": 10_000}, wave=wave)
        world.publish(people(world, 100))
        world.push()
        groups.append({r["customer_id"] for r in world.log("coupon") if r["state"] == "held_out" and r["wave"] == wave})

    assert groups[0] != groups[1]


def test_the_budget_of_coupons_goes_to_the_most_valuable_first(world):
    world.campaign(budget={"coupons": 2})
    world.publish([world.person(f"c{value}", monetary=f"{value}.00") for value in (10, 40, 30, 20)])
    world.push()

    assert world.states() == {"c40": "applied", "c30": "applied", "c20": "capped", "c10": "capped"}
    assert {row["reason"] for row in world.log("coupon") if row["state"] == "capped"} == {
        "the budget of the campaign is used up"
    }


def test_the_budget_of_liability_is_never_exceeded(world):
    world.campaign(budget={"liability": "100.00"})
    world.publish(people(world, 10))
    world.push()

    assert len(world.received("coupons")) == 3


def test_the_budget_holds_over_nights_and_waves(world):
    for night, wave in enumerate(("a", "a", "b", "b")):
        world.campaign(budget={"coupons": 5}, wave=wave)
        world.publish(people(world, 2 * (night + 1)))
        world.push()

    states = [row["state"] for row in world.log("coupon")]
    assert states.count("applied") == 5


def test_a_refused_coupon_frees_its_budget_for_new_persons(world, fake):
    world.campaign(budget={"coupons": 1})
    fake.answers["coupon"] = lambda record: ("rejected", 0)
    world.publish(people(world, 1))
    world.push()
    fake.answers.clear()
    world.publish(people(world, 2))
    world.push()

    assert world.states() == {"c0000": "rejected", "c0001": "applied"}


def test_held_out_persons_come_from_those_whom_the_budget_reaches(world):
    world.campaign(holdout={"share": "0.5"}, budget={"coupons": 10})
    world.publish([world.person(f"c{value:04d}", monetary=f"{value}.00") for value in range(1, 200)])
    world.push()

    by_value = sorted(world.states().items(), reverse=True)
    reached = [state for _, state in by_value if state != "capped"]
    assert [state for _, state in by_value][: len(reached)] == reached
    assert reached.count("applied") == 10


def test_a_cap_counts_coupons_of_every_campaign_of_the_kind(world):
    cap = {"campaign_kind": "recall", "at_most": 1, "days": 90}
    world.campaign(caps=[cap], wave="a")
    world.publish(people(world, 2))
    world.push()
    world.campaign(caps=[cap], wave="b")
    world.as_of += timedelta(days=89)
    world.publish(people(world, 3))
    world.push()

    second = {r["customer_id"]: (r["state"], r["reason"]) for r in world.log("coupon") if r["wave"] == "b"}
    assert second == {
        "c0000": ("capped", "1 coupon(s) of kind recall within 90 days already"),
        "c0001": ("capped", "1 coupon(s) of kind recall within 90 days already"),
        "c0002": ("applied", None),
    }


def test_a_cap_ends_after_its_days(world):
    cap = {"at_most": 1, "days": 90}
    for days, wave in ((0, "a"), (90, "b")):
        world.as_of += timedelta(days=days)
        world.campaign(caps=[cap], wave=wave)
        world.publish(people(world, 1))
        world.push()

    assert [row["state"] for row in world.log("coupon")] == ["applied", "applied"]


def test_of_two_campaigns_in_one_push_the_second_sees_the_firsts_coupons(world):
    one = {
        "kind": "recall",
        "audience": {"lifecycle": ["dormant"]},
        "offer": {"kind": "amount_off", "value": 10, "currency": "CNY", "valid_days": 7},
        "budget": {"coupons": 10},
        "destinations": ["files"],
    }
    world.configure("campaigns.yml", {"caps": [{"at_most": 1, "days": 30}], "campaigns": {"first": one, "second": one}})
    world.publish(people(world, 3))
    world.push()

    outcomes = {(row["campaign_id"], row["state"]) for row in world.log("coupon")}
    assert outcomes == {("first", "applied"), ("second", "capped")}


def test_a_coupon_of_the_merged_id_counts_for_the_survivor(world):
    world.publish([world.person("c1")])
    world.push()
    world.publish([world.person("c2")], merges=[("merge", "c1", "c2")])
    (decision,) = world.push().campaigns

    assert (decision.audience, decision.already) == (1, 1)
    assert len(world.received("coupons")) == 1


def test_a_chain_of_merges_is_followed_even_in_a_circle(world):
    world.publish([world.person("c1"), world.person("c9")])
    world.push()
    merges = [("merge", "c1", "c2"), ("merge", "c2", "c3"), ("merge", "c9", "c8"), ("merge", "c8", "c9")]
    world.publish([world.person("c3")], merges=merges)
    world.push()

    assert len(world.received("coupons")) == 2


def test_a_person_split_off_earns_no_second_coupon(world):
    cap = {"campaign_kind": "recall", "at_most": 1, "days": 90}
    world.campaign(caps=[cap])
    world.publish([world.person("c1")])
    world.push()
    world.publish([world.person("c1"), world.person("c2")], merges=[("split", "c1", "c2")])
    world.push()

    assert world.states() == {"c1": "applied", "c2": "capped"}


def test_a_merge_of_two_who_were_decided_changes_neither(world):
    world.publish([world.person("c1"), world.person("c2")])
    world.push()
    before = world.log("coupon")
    world.publish([world.person("c2")], merges=[("merge", "c1", "c2")])
    world.push()

    assert world.log("coupon") == before


def test_a_waiting_coupon_is_withheld_when_consent_is_withdrawn(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish(people(world, 2))
    world.push()
    fake.answers.clear()
    world.publish([world.person("c0000", consent=False), world.person("c0001")])
    world.now = world.now.replace(hour=12)
    report = world.push()

    assert world.states() == {"c0000": "suppressed", "c0001": "applied"}
    assert report.withheld == 1
    assert [coupon.recipient.customer_id for coupon in fake.applied["coupon"]] == ["c0001"]


def test_a_waiting_coupon_that_has_expired_is_rejected(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish(people(world, 1))
    world.push()
    fake.answers.clear()
    world.as_of += timedelta(days=31)
    world.now += timedelta(days=31)
    world.publish(people(world, 1))
    world.push()

    assert [(row["state"], row["reason"]) for row in world.log("coupon")] == [
        ("rejected", "expired before it could be sent")
    ]


def test_of_two_waiting_coupons_of_persons_who_merge_one_goes_out(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish(people(world, 2))
    world.push()
    fake.answers.clear()
    world.now = world.now.replace(hour=12)
    world.publish([world.person("c0001")], merges=[("merge", "c0000", "c0001")])
    world.push()

    assert world.states() == {"c0000": "suppressed", "c0001": "applied"}
    assert len(fake.applied["coupon"]) == 1


def test_a_campaign_outside_its_dates_decides_nobody(world):
    world.campaign(starts_on="2026-04-01")
    world.publish(people(world, 2))
    report = world.push()

    assert world.log("coupon") == []
    assert report.notes == ["campaign recall: not running on 2026-03-31."]


def test_waves_by_days_count_from_the_start(world):
    world.campaign(starts_on="2026-03-01", wave_days=30)
    for days in (0, 1):
        world.as_of += timedelta(days=days)
        world.publish(people(world, 1))
        world.push()

    assert [(row["wave"], row["state"]) for row in world.log("coupon")] == [("2", "applied")]
    world.as_of += timedelta(days=1)
    world.publish(people(world, 1))
    world.push()
    assert sorted(row["wave"] for row in world.log("coupon")) == ["2"]
    world.as_of += timedelta(days=30)
    world.publish(people(world, 1))
    world.push()
    assert sorted(row["wave"] for row in world.log("coupon")) == ["2", "3"]


def test_segments_and_lifecycle_together_are_an_intersection(world):
    world.campaign(audience={"segments": ["hibernating", "lost_ones"], "lifecycle": ["dormant"]})
    world.publish(
        [
            world.person("c1"),
            world.person("c2", segment="champions"),
            world.person("c3", lifecycle="active"),
            world.person("c4", segment="lost_ones"),
        ]
    )
    world.push()

    assert set(world.states()) == {"c1", "c4"}


def test_a_code_is_the_same_at_both_destinations_and_paid_once(world):
    world.configure("destinations.yml", {"destinations": {"sms": {"kind": "files"}, "mail": {"kind": "files"}}})
    world.campaign(destinations=["sms", "mail"], budget={"coupons": 3})
    world.publish(people(world, 5))
    world.push()

    codes = [{row["coupon_code"] for row in world.received("coupons", name)} for name in ("sms", "mail")]
    assert codes[0] == codes[1]
    assert len(codes[0]) == 3


def test_a_push_to_one_destination_sends_to_no_other(world):
    world.configure("destinations.yml", {"destinations": {"sms": {"kind": "files"}, "mail": {"kind": "files"}}})
    world.campaign(destinations=["mail"])
    world.publish(people(world, 2))
    world.push(destination="sms")

    assert world.received("coupons", "mail") == world.received("tags", "mail") == []
    assert len(world.received("tags", "sms")) == 4


def test_a_person_without_an_account_at_the_destination_is_suppressed_there(world, fake):
    fake.channel = "mall"
    world.publish([world.person("c1", members=[("pos", "p1")]), world.person("c2", members=[("mall", "m2")])])
    world.push()

    assert world.states() == {"c1": "suppressed", "c2": "applied"}
    reasons = [row["reason"] for row in world.log("coupon") if row["state"] == "suppressed"]
    assert reasons == ["no account at any destination of the campaign"]


def test_a_member_of_a_segment_who_is_no_customer_is_suppressed_once(world):
    world.campaign(audience={"segments": ["hibernating"]})
    world.publish([world.person("c1")])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        connection.execute("INSERT INTO marts.segment_members VALUES ('hibernating', 'ghost', DATE '2026-01-01')")
    world.push()
    (decision,) = world.push().campaigns

    assert world.states() == {"c1": "applied", "ghost": "suppressed"}
    assert decision.decided == 0


def test_codes_are_unguessable_and_easy_to_read():
    codes = {coupon_code(b"one", "recall", "1", f"c{number}") for number in range(2000)}

    assert len(codes) == 2000
    assert all(len(code) == 14 and not set(code) & set("ILOU") for code in codes)
    assert coupon_code(b"two", "recall", "1", "c1") != coupon_code(b"one", "recall", "1", "c1")
    with pytest.raises(ValueError, match="secret"):
        coupon_code(b"", "recall", "1", "c1")


def test_nothing_that_goes_out_is_a_float(world):
    world.campaign(offer={"kind": "amount_off", "value": 0.1, "threshold": 19.9, "currency": "CNY", "valid_days": 1})
    world.publish(people(world, 1))
    world.push()
    (content,) = [content for path, content in world.files().items() if "coupons" in path]
    (row,) = csv.DictReader(io.StringIO(content.decode()))

    assert (row["value"], row["threshold"]) == ("0.1", "19.9")


def test_a_misspelt_segment_is_an_error_and_no_empty_audience(world):
    world.campaign(audience={"segments": ["hibernatng"]})
    world.publish([world.person("c1")])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        connection.execute("CREATE TABLE marts.segments AS SELECT 'hibernating' AS segment, 1 AS position")

    with pytest.raises(ConfigurationError, match=r"names hibernatng; segments\.yml has: hibernating"):
        world.push()
    assert world.log("coupon") == []
