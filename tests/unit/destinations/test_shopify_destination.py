"""Destination `shopify` where the answers are awkward."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipelines.destinations import shopify
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
from pipelines.errors import ConfigurationError
from pipelines.http import BusyError, DoubtfulError, waiting
from tests.support.platform_server import Fault
from tests.support.shopify_server import ShopifyServer

DAY = date(2026, 3, 31)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopifyServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with ShopifyServer() as running:
        for number in ("1", "2", "3"):
            running.add_customer(number)
        yield running


@pytest.fixture
def destination(server: ShopifyServer) -> shopify.ShopifyDestination:
    return shopify.connect("mall", list(Operation), server.options(), "omnilake:")


def tags(number: str, add=("champions",), remove=()) -> TagChange:
    recipient = Recipient(f"c{number}", number)
    changes = (tuple(Tag("segment", value) for value in values) for values in (add, remove))
    return TagChange(f"t-{number}", recipient, number, 1, DAY, *changes)


def coupon(number: str, **changes) -> CouponIssue:
    recipient, offer = Recipient(f"c{number}", number), Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
    code = f"ABCDEFGH23456{number}"
    made = CouponIssue(f"k-{number}", recipient, number, 1, DAY, "recall", "1", code, offer, DAY, date(2026, 4, 30))
    return replace(made, **changes)


def picks(number: str, version: int = 1, key: str = "") -> RecommendationList:
    items = (RecommendedItem(1, "TEA-01", "bought together"),)
    return RecommendationList(key or f"r-{number}-{version}", Recipient("c", number), number, version, DAY, items)


def kinds(outcomes) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def test_tags_of_others_stay_and_a_changed_value_is_exchanged(server, destination):
    destination.apply_tags([tags("1", add=["loyal"])])
    destination.apply_tags([tags("1", add=["champions"], remove=["loyal"])])

    assert server.tags["gid://shopify/Customer/1"] == ["their own", "omnilake:segment=champions"]


def test_a_customer_who_is_gone_spoils_nothing_for_the_others(server, destination):
    outcomes = kinds(destination.apply_tags([tags("1"), tags("99"), tags("3")]))

    assert outcomes == {"t-1": "applied", "t-99": "rejected", "t-3": "applied"}
    assert kinds(destination.put_recommendations([picks("1"), picks("99")])) == {
        "r-1-1": "applied",
        "r-99-1": "rejected",
    }
    assert kinds(destination.issue_coupon([coupon("1"), coupon("99", code="ABCDEFGH999999")])) == {
        "k-1": "applied", "k-99": "rejected",
    }  # fmt: skip


def test_an_effect_whose_answer_is_lost_is_found_again_and_never_made_twice(server, destination):
    server.calls.clear()
    destination.issue_coupon([coupon("2")])  # whatever is asked once has been asked
    server.fail_next(Fault.LOST)
    with pytest.raises(DoubtfulError):
        destination.issue_coupon([coupon("1")])

    assert destination.read_back(Operation.COUPON, [coupon("1"), coupon("3")]) == {
        "k-1": Found.PRESENT, "k-3": Found.ABSENT,
    }  # fmt: skip
    assert kinds(destination.issue_coupon([coupon("1")])) == {"k-1": "already"}
    assert len(server.discounts) == 2


def test_a_code_that_another_discount_has_is_refused_and_that_discount_stays(server, destination):
    server.discounts["ABCDEFGH234561"] = {"code": "ABCDEFGH234561", "title": "Spring sale"}

    assert kinds(destination.issue_coupon([coupon("1")])) == {"k-1": "rejected"}
    assert destination.read_back(Operation.COUPON, [coupon("1")]) == {"k-1": Found.ABSENT}
    assert server.discounts["ABCDEFGH234561"]["title"] == "Spring sale"


def test_a_coupon_is_its_owners_once_and_ends_with_its_last_day_in_the_shops_zone(server, destination):
    destination.issue_coupon([coupon("1")])
    discount = server.discounts["ABCDEFGH234561"]

    assert discount["context"] == {"customers": {"add": ["gid://shopify/Customer/1"]}}
    assert (discount["usageLimit"], discount["appliesOncePerCustomer"]) == (1, True)
    assert (discount["startsAt"], discount["endsAt"]) == ("2026-03-31T00:00:00+08:00", "2026-05-01T00:00:00+08:00")
    assert discount["customerGets"]["value"] == {"discountAmount": {"amount": "30.00", "appliesOnEachItem": False}}
    assert discount["minimumRequirement"] == {"subtotal": {"greaterThanOrEqualToSubtotal": "199"}}


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (Offer("gift", Decimal(10), Decimal(0), "CNY"), "kind gift"),
        (Offer("amount_off", Decimal(10), Decimal(0), "USD"), "USD"),
    ],
)
def test_what_shopify_cant_carry_is_refused_with_the_reason_and_not_sent(server, destination, offer, words):
    (outcome,) = destination.issue_coupon([coupon("1", offer=offer)])

    assert outcome.kind is OutcomeKind.REJECTED
    assert words in outcome.reason
    assert server.discounts == {}


def test_percent_is_a_share_of_one(server, destination):
    destination.issue_coupon([coupon("1", offer=Offer("percent_off", Decimal("12.5"), Decimal(0), "CNY"))])

    assert server.discounts["ABCDEFGH234561"]["customerGets"]["value"] == {"percentage": Decimal("0.125")}
    assert "minimumRequirement" not in server.discounts["ABCDEFGH234561"]


def test_an_older_list_never_comes_after_a_newer_one(server, destination):
    assert kinds(destination.put_recommendations([picks("1", version=2)])) == {"r-1-2": "applied"}
    assert kinds(destination.put_recommendations([picks("1", version=1)])) == {"r-1-1": "already"}

    (stored,) = server.metafields.values()
    assert json.loads(stored)["version"] == 2


def test_an_empty_cost_bucket_is_waited_for_or_told_and_nothing_is_sent(server, destination):
    destination.issue_coupon([coupon("2")])
    server.restores, server.available = 0.01, 0.0

    with pytest.raises(BusyError) as caught:
        destination.apply_tags([tags("1")])
    assert caught.value.seconds > 60
    assert server.tags["gid://shopify/Customer/1"] == ["their own"]


def test_partial_answers_leave_only_the_silent_records_in_doubt(server, destination, monkeypatch):
    whole = server.answer

    def partly(call):
        answer = whole(call)
        if b"tagsAdd" in call.body:
            answer.body["data"]["a1"] = None
            answer.body["errors"] = [
                {"message": "timed out", "path": ["a1"], "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
            ]
        return answer

    monkeypatch.setattr(server, "answer", partly)

    assert kinds(destination.apply_tags([tags("1"), tags("2"), tags("3")])) == {
        "t-1": "applied", "t-2": "unknown", "t-3": "applied",
    }  # fmt: skip


def test_a_prefix_that_leaves_no_room_is_found_at_start(server):
    with pytest.raises(ConfigurationError, match="shorter"):
        shopify.connect("mall", list(Operation), server.options(), "x" * 254)


def test_operations_that_nobody_asked_for_are_no_capability(server):
    destination = shopify.connect("mall", [Operation.TAGS], server.options(), "omnilake:")

    assert destination.capabilities().operations == {Operation.TAGS}
    assert destination.read_back(Operation.COUPON, [coupon("1")]) == {"k-1": Found.UNKNOWN}


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("6214178570283", "6214178570283"),
        ("gid://shopify/Customer/6214178570283", "6214178570283"),
        ("0f3c2a9d5e7b41688c1d2e3f4a5b6c7d", None),
        ("gid://shopify/Order/1", None),
        ("٣", None),
        ("", None),
    ],
)
def test_an_address_without_a_number_never_reaches_a_batch(destination, address, number):
    assert destination.resolve_customer(Recipient("c1", address)) == number
