"""Our destination against a real Vendure: what is sent is there once, and only its owner can use it."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from pipelines.connectors.protocol import Connector
from pipelines.connectors.vendure import connect
from pipelines.destinations import vendure as vendure_destination
from pipelines.destinations.protocol import (
    Destination,
    Found,
    Operation,
    OutcomeKind,
    Recipient,
    RecommendationList,
    RecommendedItem,
)
from pipelines.http import CredentialsError
from tests.peers.mall import TODAY, coupon, guest, options, person, pulled, segment
from tests.peers.vendure_server import Vendure

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("vendure")]


@pytest.fixture
def destination(mall: Vendure) -> Destination:
    return vendure_destination.connect("mall", list(Operation), options(mall), "omnilake:")


def test_tags_change_within_our_prefix_and_leave_the_rest(mall: Vendure, destination: Destination) -> None:
    owner, _ = mall.member(**person(20))
    mall.set_customer(owner, omnilakeTags=["vip", "other:segment=x"])
    first, second = segment(owner, "champions"), segment(owner, "loyal", remove="champions")
    poison = segment("999999", "loyal")
    kinds = {outcome.key: outcome.kind for outcome in destination.apply_tags([first, poison])}

    assert kinds == {first.key: OutcomeKind.APPLIED, poison.key: OutcomeKind.REJECTED}
    assert mall.customer(owner)["omnilakeTags"] == ["vip", "other:segment=x", "omnilake:segment=champions"]
    assert destination.read_back(Operation.TAGS, [first, second]) == {
        first.key: Found.PRESENT, second.key: Found.ABSENT,
    }  # fmt: skip
    assert [outcome.kind for outcome in destination.apply_tags([second])] == [OutcomeKind.APPLIED]
    assert [outcome.kind for outcome in destination.apply_tags([second])] == [OutcomeKind.ALREADY]
    assert mall.customer(owner)["omnilakeTags"] == ["vip", "other:segment=x", "omnilake:segment=loyal"]


def test_a_tag_may_hold_any_character(mall: Vendure, destination: Destination) -> None:
    owner, _ = mall.member(**person(25))
    changes = [segment(owner, value) for value in ('a, "b"', "{c}", "冠军\\n“d”", "e=f:g", "")]
    for change in changes:
        assert [outcome.kind for outcome in destination.apply_tags([change])] == [OutcomeKind.APPLIED]

    assert mall.customer(owner)["omnilakeTags"] == [f"omnilake:segment={change.add[0].value}" for change in changes]
    assert set(destination.read_back(Operation.TAGS, changes).values()) == {Found.PRESENT}


def test_recommendations_are_written_and_withdrawn(mall: Vendure, destination: Destination) -> None:
    owner, _ = mall.member(**person(21))
    items = (RecommendedItem(1, "007", "买过「奶粉」", "S1"),)
    given = RecommendationList("r1", Recipient("c1", owner), owner, 1, TODAY, items)
    withdrawn = RecommendationList("r2", Recipient("c1", owner), owner, 2, TODAY, ())
    assert [outcome.kind for outcome in destination.put_recommendations([given])] == [OutcomeKind.APPLIED]
    assert "买过「奶粉」" in mall.customer(owner)["omnilakeRecommendations"]
    assert destination.read_back(Operation.RECOMMENDATIONS, [given, withdrawn]) == {
        "r1": Found.PRESENT, "r2": Found.ABSENT,
    }  # fmt: skip
    assert [outcome.kind for outcome in destination.put_recommendations([withdrawn])] == [OutcomeKind.APPLIED]
    assert mall.customer(owner)["omnilakeRecommendations"] is None


@pytest.mark.parametrize(("kind", "value", "discount"), [("amount_off", "30.00", 3000), ("percent_off", "12.5", 3738)])
def test_a_coupon_is_redeemed_once_by_its_owner_and_by_nobody_else(
    mall: Vendure, connector: Connector, destination: Destination, kind: str, value: str, discount: int
) -> None:
    owner, shop = mall.member(**person(2200 + discount))
    _, stranger = mall.member(**person(2300 + discount))
    issued = coupon(owner, "CODE22", kind, value)
    assert [outcome.kind for outcome in destination.issue_coupon([issued])] == [OutcomeKind.APPLIED]
    full = 29900 + 1000

    assert mall.buy(stranger, {"MP1-800": 1}, "CODE22")["totalWithTax"] == full
    assert mall.buy(mall.shop(), {"MP1-800": 1}, "CODE22", guest=guest(22))["totalWithTax"] == full
    assert mall.fill(shop, {"WIP-80": 1}, "CODE22")["totalWithTax"] == 1235  # below the threshold
    redeemed = mall.buy(shop, {"MP1-800": 1})
    assert redeemed["totalWithTax"] - full - 1235 == pytest.approx(-discount, abs=160)
    assert mall.fill(shop, {"MP1-800": 1}, "CODE22")["__typename"] == "CouponCodeLimitError"
    rows = pulled(connector, "orders")
    assert {row["order_id"]: row["coupon_codes"] for row in rows["orders"] if row["coupon_codes"]} == {
        redeemed["id"]: ["CODE22"]
    }
    (row,) = rows["coupons"]
    assert (row["coupon_code"], row["redeemed_order_id"], row["kind"]) == ("CODE22", redeemed["id"], kind)
    assert Decimal(row["value"]) == Decimal(value)


def test_a_coupon_of_a_customer_who_was_just_looked_at_works_at_once(mall: Vendure, destination: Destination) -> None:
    owner, shop = mall.member(**person(24))
    destination.issue_coupon([coupon(owner, "FIRST24")])
    mall.fill(shop, {"MP1-800": 1}, "FIRST24")  # the server now remembers the customer's groups for a week
    destination.issue_coupon([coupon(owner, "SECOND24", value="50.00")])

    assert mall.fill(shop, {}, "SECOND24")["totalWithTax"] == 29900 - 3000 - 5000


def test_twenty_pushes_at_once_make_one_promotion_and_one_group(mall: Vendure) -> None:
    owners = [mall.member(**person(30 + number))[0] for number in range(3)]
    coupons = [coupon(owner, f"RACE{owner}") for owner in owners]
    kinds: list[OutcomeKind] = []

    def push() -> None:
        mine = vendure_destination.connect("mall", [Operation.COUPON], options(mall), "omnilake:")
        kinds.extend(outcome.kind for outcome in mine.issue_coupon(coupons))

    threads = [threading.Thread(target=push) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kinds) == 60
    assert OutcomeKind.REJECTED not in kinds
    last = vendure_destination.connect("mall", [Operation.COUPON], options(mall), "omnilake:")
    assert [outcome.kind for outcome in last.issue_coupon(coupons)] == [OutcomeKind.ALREADY] * 3
    assert mall.sql('select count(*), count(distinct "couponCode") from promotion') == [["3", "3"]]
    assert mall.sql("select count(*), count(distinct name) from customer_group") == [["3", "3"]]
    assert mall.sql("select count(*) from customer_groups_customer_group") == [["3"]]


def test_one_record_that_the_server_refuses_holds_up_no_neighbour(mall: Vendure, destination: Destination) -> None:
    owner, _ = mall.member(**person(40))
    other, _ = mall.member(**person(41))
    mall.buy(mall.shop(), {"WIP-80": 1}, guest=guest(40))
    visitor = mall.sql("select id from customer where \"emailAddress\" = 'guest40@example.com'")[0][0]
    mall.promotion_of_others("TAKEN")
    retracted = coupon(owner, "GONE")
    destination.issue_coupon([retracted])
    mall.delete_promotion("GONE")
    batch = [
        coupon(owner, "FINE1"), coupon("999999", "NOBODY"), coupon(visitor, "GUEST"), coupon(owner, "TAKEN"),
        coupon(owner, "GIFT", kind="gift"), coupon(other, "FINE2"), retracted,
    ]  # fmt: skip
    kinds = {outcome.key: outcome.kind for outcome in destination.issue_coupon(batch)}

    assert kinds == {
        "key-FINE1": OutcomeKind.APPLIED, "key-FINE2": OutcomeKind.APPLIED, "key-NOBODY": OutcomeKind.REJECTED,
        "key-GUEST": OutcomeKind.REJECTED, "key-TAKEN": OutcomeKind.REJECTED, "key-GIFT": OutcomeKind.REJECTED,
        "key-GONE": OutcomeKind.RETRY_AFTER,
    }  # fmt: skip
    assert destination.received(Operation.COUPON) == 2
    assert mall.sql("select count(*) from promotion where \"couponCode\" = 'TAKEN'") == [["1"]]


def test_the_permissions_of_the_documentation_are_enough_and_no_more_than_needed(mall: Vendure) -> None:
    owner, shop = mall.member(**person(50))
    mall.buy(shop, {"WIP-80": 1})
    reading = ["ReadCustomer", "ReadOrder", "ReadCatalog", "ReadPromotion"]
    sending = ["UpdateCustomer", "CreateCustomerGroup", "UpdateCustomerGroup", "CreatePromotion"]
    reader = replace(options(mall, username="reader@example.com"), secrets={"password": "reader-password"})
    mall.administrator("reader@example.com", "reader-password", reading)
    for feed in ("members", "orders", "products", "coupons", "stores"):
        pulled(connect(reader), feed)
    assert [check.ok for check in connect(reader).check()] == [True]
    poor = vendure_destination.connect("mall", list(Operation), reader, "omnilake:")
    with pytest.raises(CredentialsError, match="permission"):
        poor.apply_tags([segment(owner, "loyal")])

    mall.administrator("sender@example.com", "sender-password", reading + sending)
    sender = replace(options(mall, username="sender@example.com"), secrets={"password": "sender-password"})
    destination = vendure_destination.connect("mall", list(Operation), sender, "omnilake:")
    assert [outcome.kind for outcome in destination.apply_tags([segment(owner, "loyal")])] == [OutcomeKind.APPLIED]
    assert [outcome.kind for outcome in destination.issue_coupon([coupon(owner, "ROLE")])] == [OutcomeKind.APPLIED]
