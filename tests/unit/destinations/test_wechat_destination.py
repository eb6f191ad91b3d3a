"""Destination `wechat` where the answers are awkward."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from pipelines.destinations import wechat
from pipelines.destinations.protocol import Found, Operation, OutcomeKind, Recipient, Tag, TagChange
from pipelines.http import DoubtfulError, RefusedError, waiting
from tests.support.platform_server import Answer, Fault
from tests.support.wechat_server import WeChatServer

DAY = date(2026, 3, 31)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with WeChatServer() as running:
        for number in range(60):
            running.add_follower(f"o{number}")
        yield running


@pytest.fixture
def destination(server: WeChatServer) -> wechat.WeChatDestination:
    return wechat.connect("oa", list(Operation), server.options(), "omnilake:")


def tags(openid: str, add=("champions",), remove=()) -> TagChange:
    changes = (tuple(Tag("segment", value) for value in values) for values in (add, remove))
    return TagChange(f"t-{openid}", Recipient("c", openid), openid, 1, DAY, *changes)


def kinds(outcomes) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def names(server: WeChatServer, openid: str) -> set[str]:
    return {name for name, tag in server.tags.items() if tag in server.followers[openid]}


def test_only_tags_are_supported_and_the_rest_is_refused_and_not_raised(destination):
    assert destination.capabilities().operations == {Operation.TAGS}
    assert destination.issue_coupon([]) == destination.put_recommendations([]) == []


def test_tags_of_others_stay_and_a_changed_value_is_exchanged(server, destination):
    destination.apply_tags([tags("o1", add=["loyal"])])
    destination.apply_tags([tags("o1", add=["champions"], remove=["loyal"])])

    assert names(server, "o1") == {"星标组", "omnilake:segment=champions"}


def test_one_follower_who_is_none_or_full_is_refused_alone(server, destination):
    server.followers["o7"] = set(range(1000, 1020))
    del server.followers["o33"]
    outcomes = kinds(destination.apply_tags([tags(f"o{number}") for number in range(50)]))

    assert {key for key, kind in outcomes.items() if kind == "rejected"} == {"t-o7", "t-o33"}
    assert len(outcomes) == 50
    assert all("omnilake:segment=champions" in names(server, f"o{n}") for n in range(50) if n not in (7, 33))


def test_a_full_follower_whose_tag_is_exchanged_has_room(server, destination):
    destination.apply_tags([tags("o1", add=["loyal"])])
    server.followers["o1"] |= set(range(1000, 1018))

    assert len(server.followers["o1"]) == 20
    assert kinds(destination.apply_tags([tags("o1", add=["champions"], remove=["loyal"])])) == {"t-o1": "applied"}


def test_fifty_followers_take_one_call(server, destination):
    destination.apply_tags([tags("o0")])
    server.calls.clear()
    destination.apply_tags([tags(f"o{number}") for number in range(50)])

    assert [call.path for call in server.calls] == ["/cgi-bin/tags/members/batchtagging"]


def test_a_tag_that_somebody_else_makes_meanwhile_is_taken(server, destination):
    destination.read_back(Operation.TAGS, [tags("o1", add=["other"])])
    server.tags["omnilake:segment=champions"] = 777

    assert kinds(destination.apply_tags([tags("o1")])) == {"t-o1": "applied"}
    assert 777 in server.followers["o1"]


def test_a_tag_that_somebody_deletes_is_made_again_by_the_next_attempt(server, destination):
    destination.apply_tags([tags("o1")])
    del server.tags["omnilake:segment=champions"]

    with pytest.raises(RefusedError):
        destination.apply_tags([tags("o2")])
    assert kinds(destination.apply_tags([tags("o2")])) == {"t-o2": "applied"}


def test_an_account_with_a_hundred_tags_is_told_so(server, destination):
    server.tags |= {f"t{number}": 2000 + number for number in range(99)}

    with pytest.raises(RefusedError, match="hundred"):
        destination.apply_tags([tags("o1")])


def test_tags_whose_answer_is_lost_are_found_again(server, destination):
    destination.apply_tags([tags("o0")])
    server.fail_next(Fault.LOST)
    with pytest.raises(DoubtfulError):
        destination.apply_tags([tags("o1")])

    assert destination.read_back(Operation.TAGS, [tags("o1"), tags("o2"), tags("gone")]) == {
        "t-o1": Found.PRESENT, "t-o2": Found.ABSENT, "t-gone": Found.ABSENT,
    }  # fmt: skip


def test_a_busy_system_says_nothing_of_the_effect(server, destination, monkeypatch):
    destination.apply_tags([tags("o0")])
    monkeypatch.setattr(server, "_tag", lambda _body, on: Answer({"errcode": -1, "errmsg": "system error"}))

    with pytest.raises(DoubtfulError):
        destination.apply_tags([tags("o1")])
