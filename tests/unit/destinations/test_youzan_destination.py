"""Destination `youzan` where the answers are awkward: above all, never two vouchers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from unittest import mock

import pytest

from pipelines.connectors import youzan_api
from pipelines.destinations import youzan
from pipelines.destinations.protocol import CouponIssue, Found, Offer, Operation, OutcomeKind, Recipient, Tag, TagChange
from pipelines.errors import ConfigurationError
from pipelines.http import waiting
from tests.support.platform_server import Answer, Fault
from tests.support.shapes import shape
from tests.support.youzan_server import YouzanServer

DAY = date(2026, 3, 31)
SEND = "youzan.ump.voucheractivity.send"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YouzanServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    monkeypatch.setattr(youzan_api, "TAG_CALLS_PER_SECOND", 10_000)
    with YouzanServer() as running:
        for open_id in ("a", "b", "c"):
            running.add_customer(open_id)
        yield running


def connected(server: YouzanServer, **settings) -> youzan.YouzanDestination:
    options = server.options()
    more = {**options.settings, "activities": {"recall": 555}, **settings}
    return youzan.connect("youzan", list(Operation), replace(options, settings=more), "omnilake:")


@pytest.fixture
def destination(server: YouzanServer) -> youzan.YouzanDestination:
    made = connected(server)
    made.read_back(Operation.TAGS, [tags("a")])  # whatever login there is has been made
    server.calls.clear()
    return made


def tags(open_id: str, add=("champions",), remove=()) -> TagChange:
    changes = (tuple(Tag("segment", value) for value in values) for values in (add, remove))
    return TagChange(f"t-{open_id}", Recipient("c", open_id), open_id, 1, DAY, *changes)


def coupon(open_id: str, **changes) -> CouponIssue:
    offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
    recipient = Recipient("c", open_id)
    made = CouponIssue(f"k-{open_id}", recipient, open_id, 1, DAY, "recall", "1", "CODE", offer, DAY, date(2026, 4, 30))
    return replace(made, **changes)


def kinds(outcomes) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def sent(server: YouzanServer) -> int:
    return sum(SEND in call.path for call in server.calls)


def test_a_voucher_whose_answer_is_lost_is_in_doubt_found_again_and_never_sent_twice(server, destination):
    whole = server.respond

    def lost(call):
        answer, fault = whole(call)
        return answer, (Fault.LOST if SEND in call.path and sent(server) == 1 else fault)

    with mock.patch.object(server, "respond", lost):
        assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "unknown"}
    assert destination.read_back(Operation.COUPON, [coupon("a"), coupon("b")]) == {
        "k-a": Found.PRESENT, "k-b": Found.ABSENT,
    }  # fmt: skip
    assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "already"}
    assert sent(server) == 1
    assert len(server.vouchers["a"]) == 1


def test_another_process_that_sends_the_same_voucher_finds_it(server, destination):
    destination.issue_coupon([coupon("a")])

    assert kinds(connected(server).issue_coupon([coupon("a")])) == {"k-a": "already"}
    assert len(server.vouchers["a"]) == 1


def test_without_a_look_at_what_the_customer_holds_nothing_is_sent(server, destination):
    with mock.patch.object(server, "_vouchers", return_value=Answer({"code": 106000001, "success": False})):
        assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "retry_after"}
    assert sent(server) == 0


def test_an_older_voucher_of_the_same_activity_is_of_an_earlier_wave(server, destination):
    server.vouchers["a"] = [shape("youzan", "voucher") | {"activity_id": 555, "send_at": 1_774_886_399_000}]
    assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "applied"}

    server.vouchers["b"] = [shape("youzan", "voucher") | {"activity_id": 556}]
    assert kinds(destination.issue_coupon([coupon("b")])) == {"k-b": "applied"}


def test_a_long_list_of_vouchers_is_read_to_its_end(server, destination):
    old = shape("youzan", "voucher") | {"activity_id": 1}
    server.vouchers["a"] = [old] * 450 + [shape("youzan", "voucher") | {"activity_id": 555}]

    assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "already"}


def test_a_campaign_without_an_activity_is_refused_in_words(server, destination):
    (outcome,) = destination.issue_coupon([coupon("a", campaign_id="spring")])

    assert outcome.kind is OutcomeKind.REJECTED
    assert "activities" in outcome.reason
    assert sent(server) == 0


def test_a_coupon_is_no_operation_that_may_be_repeated_blindly(destination):
    assert destination.capabilities().resend_is_safe == {Operation.TAGS}
    assert Operation.RECOMMENDATIONS not in destination.capabilities().operations


def test_tags_of_others_stay_and_a_changed_value_is_exchanged(server, destination):
    destination.apply_tags([tags("a", add=["loyal"])])
    destination.apply_tags([tags("a", add=["champions"], remove=["loyal"])])

    assert server.tags["a"] == ["高价值", "omnilake:segment=champions"]


def test_many_tags_go_twenty_at_a_time(server, destination):
    destination.apply_tags([tags("a", add=[f"v{number}" for number in range(45)])])

    assert len(server.tags["a"]) == 46
    assert len(server.calls) == 3


def test_a_customer_who_is_gone_spoils_nothing_for_the_others(server, destination):
    outcomes = kinds(destination.apply_tags([tags("a"), tags("zz"), tags("c")]))

    assert outcomes == {"t-a": "applied", "t-zz": "rejected", "t-c": "applied"}
    assert kinds(destination.issue_coupon([coupon("zz"), coupon("b")])) == {"k-zz": "rejected", "k-b": "applied"}


@pytest.mark.parametrize(
    "limited",
    [{"gw_err_resp": {"err_code": 4101, "err_msg": "请求太频繁"}}, {"msg": "请求被限流", "code": 500100004},
     {"code": 123000042, "success": False, "message": "请求被限流"}],
)  # fmt: skip
def test_every_form_of_a_limit_sends_the_rest_back_to_their_queue(server, destination, limited):
    with mock.patch.object(server, "_tag", return_value=Answer(limited)):
        outcomes = destination.apply_tags([tags("a"), tags("b")])

    assert kinds(outcomes) == {"t-a": "retry_after", "t-b": "retry_after"}
    assert {outcome.seconds for outcome in outcomes} == {12.0}
    assert len(server.calls) == 1


def test_an_expired_token_is_renewed_once_and_the_effect_made_once(server, destination):
    server.token = "revoked elsewhere"

    assert kinds(destination.issue_coupon([coupon("a")])) == {"k-a": "applied"}
    assert (server.logins, len(server.vouchers["a"])) == (2, 1)


@pytest.mark.parametrize(
    ("settings", "words"), [({"activities": {"recall": "soon"}}, "activities"), ({"activities": [1]}, "activities")]
)
def test_unusable_activities_are_found_at_start(server, settings, words):
    with pytest.raises(ConfigurationError, match=words):
        connected(server, **settings)
