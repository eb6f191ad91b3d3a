"""Destination `woocommerce` where the answers are awkward."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipelines.destinations import woocommerce
from pipelines.destinations.protocol import (
    CouponIssue,
    Found,
    Offer,
    Operation,
    OutcomeKind,
    Recipient,
    RecommendationList,
    RecommendedItem,
    Tag,
    TagChange,
)
from pipelines.http import DoubtfulError, waiting
from tests.support.platform_server import Fault
from tests.support.woocommerce_server import WooCommerceServer

DAY = date(2026, 3, 31)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WooCommerceServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with WooCommerceServer() as running:
        for number in ("1", "2", "3"):
            running.add_customer(number)
        yield running


@pytest.fixture
def destination(server: WooCommerceServer) -> woocommerce.WooCommerceDestination:
    return woocommerce.connect("shop", list(Operation), server.options(), "omnilake:")


def tags(number: str, add=("champions",), remove=()) -> TagChange:
    changes = (tuple(Tag("segment", value) for value in values) for values in (add, remove))
    return TagChange(f"t-{number}", Recipient("c", number), number, 1, DAY, *changes)


def coupon(number: str, **changes) -> CouponIssue:
    offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
    code = f"ABCDEFGH23456{number}"
    made = CouponIssue(
        f"k-{number}", Recipient("c", number), number, 1, DAY, "recall", "1", code, offer, DAY, date(2026, 4, 30)
    )
    return replace(made, **changes)


def kinds(outcomes) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def meta(server: WooCommerceServer, number: str) -> dict[str, str]:
    return {entry["key"]: entry["value"] for entry in server.customers[number]["meta_data"]}


def test_meta_data_of_others_stay_and_a_changed_value_is_exchanged(server, destination):
    destination.apply_tags([tags("1", add=["loyal"])])
    destination.apply_tags([tags("1", add=["champions"], remove=["loyal"])])
    assert meta(server, "1") == {"their_own": "kept", "omnilake:segment": "champions"}

    destination.apply_tags([tags("1", add=[], remove=["champions"])])
    assert meta(server, "1") == {"their_own": "kept"}
    assert all(b"their_own" not in call.body for call in server.calls)


def test_a_customer_who_is_gone_spoils_nothing_for_the_others(server, destination):
    lists = [
        RecommendationList(f"r-{number}", Recipient("c", number), number, 1, DAY, (RecommendedItem(1, "TEA-01"),))
        for number in ("1", "99")
    ]

    assert kinds(destination.apply_tags([tags("1"), tags("99"), tags("3")])) == {
        "t-1": "applied", "t-99": "rejected", "t-3": "applied",
    }  # fmt: skip
    assert kinds(destination.put_recommendations(lists)) == {"r-1": "applied", "r-99": "rejected"}
    assert kinds(destination.issue_coupon([coupon("1"), coupon("99")])) == {"k-1": "applied", "k-99": "rejected"}


def test_a_coupon_is_for_the_address_of_its_owners_account_and_the_address_is_told_nobody_else(server, destination):
    destination.issue_coupon([coupon("1")])
    (made,) = server.coupons.values()

    assert made["email_restrictions"] == ["1@example.com"]
    assert (made["usage_limit"], made["usage_limit_per_user"]) == (1, 1)
    assert made["date_expires"] == "2026-05-01T00:00:00"
    assert (made["discount_type"], made["amount"], made["minimum_amount"]) == ("fixed_cart", "30.00", "199")


def test_a_customer_without_an_address_gets_no_coupon_that_anybody_could_use(server, destination):
    server.customers["1"]["email"] = ""
    (outcome,) = destination.issue_coupon([coupon("1")])

    assert outcome.kind is OutcomeKind.REJECTED
    assert "e-mail" in outcome.reason
    assert server.coupons == {}


def test_an_effect_whose_answer_is_lost_is_found_again_and_never_made_twice(server, destination):
    destination.issue_coupon([coupon("2")])
    whole = server.answer

    def lost_once(call):
        if call.path.endswith("/coupons/batch"):
            server.answer = whole
            whole(call)
            server.fail_next(Fault.RESET)
            return server.respond(call)[0]
        return whole(call)

    server.answer = lost_once
    with pytest.raises(DoubtfulError):
        destination.issue_coupon([coupon("1")])

    assert destination.read_back(Operation.COUPON, [coupon("1"), coupon("3")]) == {
        "k-1": Found.PRESENT, "k-3": Found.ABSENT,
    }  # fmt: skip
    assert kinds(destination.issue_coupon([coupon("1")])) == {"k-1": "already"}
    assert len(server.coupons) == 2


def test_a_code_that_another_coupon_has_is_refused_and_that_coupon_stays(server, destination):
    server.coupons["7"] = {"id": 7, "code": "abcdefgh234561", "amount": "5.00", "meta_data": []}

    assert kinds(destination.issue_coupon([coupon("1")])) == {"k-1": "rejected"}
    assert destination.read_back(Operation.COUPON, [coupon("1")]) == {"k-1": Found.ABSENT}
    assert server.coupons["7"]["amount"] == "5.00"


@pytest.mark.parametrize(
    "offer", [Offer("gift", Decimal(10), Decimal(0), "CNY"), Offer("amount_off", Decimal(10), Decimal(0), "EUR")]
)
def test_what_woocommerce_cant_carry_is_refused_and_not_sent(server, destination, offer):
    assert kinds(destination.issue_coupon([coupon("1", offer=offer)])) == {"k-1": "rejected"}
    assert server.coupons == {}


def test_an_older_list_never_comes_after_a_newer_one(server, destination):
    newer, older = (RecommendationList(f"r{version}", Recipient("c", "1"), "1", version, DAY, ()) for version in (2, 1))
    destination.put_recommendations([newer])

    assert kinds(destination.put_recommendations([older])) == {"r1": "already"}
    assert json.loads(meta(server, "1")["omnilake:recommendations"])["version"] == 2


@pytest.mark.parametrize(
    ("address", "number"), [("27", "27"), ("0", None), ("27,28", None), ("guest", None), ("", None)]
)
def test_an_address_that_is_no_number_never_reaches_a_batch(destination, address, number):
    assert destination.resolve_customer(Recipient("c1", address)) == number
