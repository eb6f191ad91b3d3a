"""Our destination against a real Odoo 19 point of sale: what is sent is there once, and only its owner can use it."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.connectors import odoo as odoo_connector
from pipelines.connectors.protocol import Connector
from pipelines.destinations import odoo as odoo_destination
from pipelines.destinations.protocol import (
    CouponIssue,
    Destination,
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
from tests.peers.odoo.shop import Sold
from tests.peers.odoo.till import Till, goods, pulled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200), pytest.mark.xdist_group("odoo")]

TODAY = date.today()
FIELD = "x_omnilake_recommendations"


@pytest.fixture
def connector(till: Till) -> Connector:
    return odoo_connector.connect(till.options())


@pytest.fixture
def destination(till: Till) -> Destination:
    return connect(till)


def connect(till: Till) -> Destination:
    return odoo_destination.connect("till", list(Operation), till.options(), "omnilake:")


def coupon(owner: int, code: str, kind: str = "amount_off", value: str = "30.00", **more: Any) -> CouponIssue:
    offer = Offer(kind, Decimal(value), Decimal("199.00"), more.pop("currency", "CNY"))
    return CouponIssue(f"key-{code}", Recipient("c1", str(owner)), str(owner), 1, TODAY, "recall", "1", code, offer,
                       more.pop("valid_from", TODAY), TODAY + timedelta(days=30))  # fmt: skip


def segment(owner: int, add: str, remove: str | None = None) -> TagChange:
    gone = (Tag("segment", remove),) if remove else ()
    return TagChange(
        f"tag-{owner}-{add}", Recipient("c1", str(owner)), str(owner), 1, TODAY, (Tag("segment", add),), gone
    )


def listed(owner: int, version: int, *skus: str) -> RecommendationList:
    items = tuple(RecommendedItem(rank, sku, "买过「X」") for rank, sku in enumerate(skus, start=1))
    return RecommendationList(f"list-{owner}-{version}", Recipient("c1", str(owner)), str(owner), version, TODAY, items)


def kinds(outcomes: list[Any]) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def test_tags_are_set_once_within_our_prefix_and_others_are_never_touched(till: Till, destination: Destination) -> None:
    client = till.shop.client
    theirs = client.create("res.partner.category", name="VIP")
    one, two = till.shop.person("一", category_id=[[4, theirs]]), till.shop.person("二")
    first = [segment(one, "冠军"), segment(two, "冠军")]

    assert set(kinds(destination.apply_tags(first)).values()) == {OutcomeKind.APPLIED}
    before = till.server.sql("select write_date from res_partner order by id")
    assert set(kinds(destination.apply_tags(first)).values()) == {OutcomeKind.ALREADY}
    assert till.server.sql("select write_date from res_partner order by id") == before
    change = segment(one, "沉睡", "冠军")
    destination.apply_tags([change])
    names = till.server.sql(
        "select partner_id, name ->> 'en_US' from res_partner_category join res_partner_res_partner_category_rel "
        f"on category_id = res_partner_category.id where partner_id in ({one}, {two}) order by 1, 2"
    )
    assert names == [[str(one), "VIP"], [str(one), "omnilake:segment=沉睡"], [str(two), "omnilake:segment=冠军"]]
    assert destination.read_back(Operation.TAGS, [*first, change]) == {
        first[0].key: Found.ABSENT, first[1].key: Found.PRESENT, change.key: Found.PRESENT,
    }  # fmt: skip


def test_a_tag_of_the_same_name_is_used_and_not_made_again(till: Till, destination: Destination) -> None:
    client = till.shop.client
    names = [client.create("res.partner.category", name="omnilake:segment=twice") for _ in range(2)]
    person = till.shop.person("一", category_id=[[4, names[1]]])

    assert kinds(destination.apply_tags([segment(person, "twice")])) == {f"tag-{person}-twice": OutcomeKind.ALREADY}
    destination.apply_tags([segment(person, "twice-b", "twice")])
    assert (
        len(till.server.sql("select 1 from res_partner_category where name ->> 'en_US' like 'omnilake:segment=twice%'"))
        == 3
    )
    assert destination.read_back(Operation.TAGS, [segment(person, "twice")]) == {f"tag-{person}-twice": Found.ABSENT}


def test_one_contact_that_is_gone_costs_its_neighbours_nothing(till: Till, destination: Destination) -> None:
    stays, gone = till.shop.person("在"), till.shop.person("走")
    till.shop.client("res.partner", "unlink", ids=[gone])

    assert kinds(destination.apply_tags([segment(gone, "a"), segment(stays, "a")])) == {
        f"tag-{gone}-a": OutcomeKind.REJECTED, f"tag-{stays}-a": OutcomeKind.APPLIED,
    }  # fmt: skip
    assert kinds(destination.issue_coupon([coupon(gone, "GONE1"), coupon(stays, "STAYS1")])) == {
        "key-GONE1": OutcomeKind.REJECTED, "key-STAYS1": OutcomeKind.APPLIED,
    }  # fmt: skip


def test_a_coupon_is_issued_once_usable_by_its_owner_alone_and_comes_back_when_it_is_used(
    till: Till, connector: Connector, destination: Destination
) -> None:
    owner, other = till.shop.person("主"), till.shop.person("客")
    before = destination.received(Operation.COUPON) or 0
    issued = [coupon(owner, "CODE1"), coupon(other, "CODE2", "percent_off", "10")]

    assert set(kinds(destination.issue_coupon(issued)).values()) == {OutcomeKind.APPLIED}
    assert set(kinds(destination.issue_coupon(issued)).values()) == {OutcomeKind.ALREADY}
    assert destination.read_back(Operation.COUPON, [*issued, coupon(owner, "CODE3")]) == {
        "key-CODE1": Found.PRESENT, "key-CODE2": Found.PRESENT, "key-CODE3": Found.ABSENT,
    }  # fmt: skip
    assert (destination.received(Operation.COUPON) or 0) - before == 2
    assert till.server.sql("select count(*) from mail_mail") == [["0"]]  # omnilake tells the customer, not Odoo
    assert not till.shop.try_code("CODE1", other)["successful"]
    assert not till.shop.try_code("CODE1", None)["successful"]
    order = till.shop.redeem("CODE1", owner, [Sold("MILK-2", 1)], Decimal(30))
    assert not till.shop.try_code("CODE1", owner)["successful"]
    row = next(row for row in pulled(connector, "orders")["orders"] if row["order_id"] == str(order))
    assert (row["coupon_codes"], row["discount_amount"], row["paid_amount"]) == (["CODE1"], 30, 238)
    assert goods(row) == 238
    coupons = {row["coupon_code"]: row for row in pulled(connector, "coupons")["coupons"]}
    assert (coupons["CODE1"]["redeemed_order_id"], coupons["CODE1"]["member_id"]) == (str(order), str(owner))
    assert (coupons["CODE2"]["kind"], coupons["CODE2"]["value"], coupons["CODE2"]["threshold"]) == (
        "percent_off", 10, 199,
    )  # fmt: skip
    assert "redeemed_at" not in coupons["CODE2"]


def test_offers_that_the_till_cannot_honour_are_refused_in_words(till: Till, destination: Destination) -> None:
    owner = till.shop.person("主")
    refused = [coupon(owner, "GIFT", "gift"), coupon(owner, "DOLLARS", currency="USD")]
    outcomes = destination.issue_coupon([*refused, coupon(owner, "FINE")])

    assert kinds(outcomes) == {
        "key-GIFT": OutcomeKind.REJECTED, "key-DOLLARS": OutcomeKind.REJECTED, "key-FINE": OutcomeKind.APPLIED,
    }  # fmt: skip
    assert {outcome.key: "USD" in (outcome.reason or "") for outcome in outcomes}["key-DOLLARS"]


def test_a_code_that_is_somebody_elses_is_refused_and_not_taken_over(till: Till, destination: Destination) -> None:
    owner, other = till.shop.person("主"), till.shop.person("客")
    destination.issue_coupon([coupon(other, "TAKEN")])

    assert kinds(destination.issue_coupon([coupon(owner, "TAKEN")])) == {"key-TAKEN": OutcomeKind.REJECTED}
    assert till.server.sql("select partner_id from loyalty_card where code = 'TAKEN'") == [[str(other)]]


def test_a_coupon_that_holds_from_a_later_day_cannot_be_used_before(till: Till, destination: Destination) -> None:
    owner = till.shop.person("主")
    destination.issue_coupon([coupon(owner, "LATER", valid_from=TODAY + timedelta(days=3)), coupon(owner, "NOW")])

    assert till.shop.try_code("NOW", owner)["successful"]
    assert not till.shop.try_code("LATER", owner)["successful"]


def test_two_pushes_at_once_make_one_card_each(till: Till) -> None:
    owners = [till.shop.person(str(number)) for number in range(10)]
    coupons = [coupon(owner, f"RACE{number}", value="31") for number, owner in enumerate(owners)]
    results: list[dict[str, OutcomeKind]] = []
    racers = [
        threading.Thread(target=lambda: results.append(kinds(connect(till).issue_coupon(coupons)))) for _ in range(2)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert till.server.sql("select count(*), count(distinct code) from loyalty_card where code like 'RACE%'") == [
        ["10", "10"]
    ]
    sure = {OutcomeKind.APPLIED, OutcomeKind.ALREADY}
    assert all(any(result[one.key] in sure for result in results) for one in coupons)
    again = connect(till).issue_coupon(coupons)
    assert set(kinds(again).values()) == {OutcomeKind.ALREADY}


def test_without_the_field_recommendations_are_unsupported_in_words(till: Till, destination: Destination) -> None:
    outcomes = destination.put_recommendations([listed(till.shop.person("一"), 1, "MILK-2")])

    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.REJECTED]
    assert FIELD in (outcomes[0].reason or "")


def test_recommendations_stand_in_their_own_field_and_an_older_list_never_replaces_a_newer(
    till: Till, destination: Destination
) -> None:
    till.shop.add_text_field(FIELD)
    person = till.shop.person("一", comment="<p>theirs</p>")

    assert kinds(destination.put_recommendations([listed(person, 2, "MILK-2", "CAP-L")])) == {
        f"list-{person}-2": OutcomeKind.APPLIED
    }
    assert kinds(destination.put_recommendations([listed(person, 1, "WIPES")])) == {
        f"list-{person}-1": OutcomeKind.ALREADY
    }
    held = till.shop.client.find("res.partner", [["id", "=", person]], [FIELD, "comment"])[0]
    assert "MILK-2" in held[FIELD]
    assert "theirs" in held["comment"]
    assert destination.read_back(Operation.RECOMMENDATIONS, [listed(person, 2), listed(person, 3)]) == {
        f"list-{person}-2": Found.PRESENT, f"list-{person}-3": Found.ABSENT,
    }  # fmt: skip
