"""Our connector and destination against a real Odoo 19 point of sale, with no more rights than the documentation asks
for: what is read equals the server's own books, what is sent is there once, and only its owner can use it."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.connectors import odoo as odoo_connector
from pipelines.connectors.protocol import Connector, Options
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
from pipelines.http import CredentialsError
from tests.peers.odoo.server import Odoo
from tests.peers.odoo.shop import Shop, Sold

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200), pytest.mark.xdist_group("odoo")]

EVER = datetime(1970, 1, 1, tzinfo=UTC)
TODAY = date.today()
FIELD = "x_omnilake_recommendations"


@dataclass(frozen=True)
class Till:
    """The server with a shop in it."""

    server: Odoo
    shop: Shop


@pytest.fixture(scope="module")
def seeded(odoo: Odoo) -> Till:
    odoo.reset()
    return Till(odoo, Shop(odoo.client()))


@pytest.fixture
def till(seeded: Till) -> Till:
    """One shop for all tests, which make people, tickets and tags of their own in it; its till is open."""
    seeded.shop.open()
    return seeded


@pytest.fixture
def options(till: Till) -> Options:
    server = till.server
    return Options("till", {"url": server.url, "database": server.database}, {"api_key": server.keys.omnilake})


@pytest.fixture
def connector(options: Options) -> Connector:
    return odoo_connector.connect(options)


@pytest.fixture
def destination(options: Options) -> Destination:
    return connect(options)


def connect(options: Options) -> Destination:
    return odoo_destination.connect("till", list(Operation), options, "omnilake:")


def pulled(connector: Connector, feed: str, since: datetime = EVER) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for page in connector.pull(feed, since, datetime.now(UTC) + timedelta(seconds=1)):
        for name, more in page.records.items():
            rows[name] += [dict(row) for row in more]
    return rows


def total(rows: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def goods(row: dict[str, Any]) -> Decimal:
    return sum(
        (line["unit_price"] * line["quantity"] - line["discount_amount"] for line in row["lines"]), Decimal(0)
    ) - Decimal(row["discount_amount"])


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


# What is read


def test_a_days_tickets_refunds_and_stock_equal_the_servers_own(till: Till, connector: Connector) -> None:
    shop = till.shop
    member = shop.person("王芳", phone="138 0013 9001", email="fang@example.com", barcode="0420001")
    sale = shop.sell([Sold("MILK-2", 2), Sold("CAP-L", 1, discount=15)], member, "wechat_pay")
    taken_back = shop.lines(sale)[0]["id"]
    shop.sell([Sold("MILK-2", -1, refunds=taken_back)], member, "wechat_pay")
    anonymous = shop.sell([Sold("WIPES", 3)], mobile="13700000001")
    weighed = shop.sell([Sold("WIPES", Decimal("0.35"))])
    shop.close()
    rows = pulled(connector, "orders")
    orders = {row["order_id"]: row for row in rows["orders"]}
    own = till.server.sql("select sum(amount_total), sum(amount_tax) from pos_order where amount_total > 0")
    repaid = till.server.sql("select -sum(amount_total) from pos_order where amount_total < 0")

    assert set(orders) == {str(sale), str(anonymous), str(weighed)}
    assert total(rows["orders"], "paid_amount") == Decimal(own[0][0])
    assert total(rows["orders"], "tax_amount") == Decimal(own[0][1])
    assert total(rows["refunds"], "amount") == Decimal(repaid[0][0]) == 268
    assert all(goods(row) == row["paid_amount"] == total(row["tenders"], "amount") for row in rows["orders"])
    assert rows["refunds"][0]["order_id"] == str(sale)
    assert [(line["line_id"], line["quantity"]) for line in rows["refunds"][0]["lines"]] == [(str(taken_back), 1)]
    assert orders[str(sale)]["member_id"] == str(member)
    assert [tender["type"] for tender in orders[str(sale)]["tenders"]] == ["wechat_pay"]
    assert "member_id" not in orders[str(anonymous)]
    assert orders[str(anonymous)]["guest_phone"] == "13700000001"
    assert {(line["sku"], line["tax_rate"]) for line in orders[str(sale)]["lines"]} == {
        ("MILK-2", Decimal("0.13")), ("CAP-L", Decimal("0.13")),
    }  # fmt: skip
    counted = {row["sku"]: row["on_hand"] for row in pulled(connector, "inventory")["inventory"]}
    stock = till.server.sql(
        "select default_code, sum(quantity) from stock_quant "
        "join stock_location on stock_location.id = stock_quant.location_id "
        "join product_product on product_product.id = stock_quant.product_id where usage = 'internal' group by 1"
    )
    assert counted == {sku: Decimal(quantity) for sku, quantity in stock}
    assert counted["MILK-2"] == 99  # the first test of the shop: a hundred were there


def test_an_exchange_is_a_return_and_an_order_paid_with_its_credit(till: Till, connector: Connector) -> None:
    sale = till.shop.sell([Sold("CAP-L", 2)])
    returned = till.shop.lines(sale)[0]["id"]
    dearer = till.shop.sell([Sold("CAP-L", -1, refunds=returned), Sold("MILK-2", 1)])
    cheaper = till.shop.sell([Sold("CAP-L", -1, refunds=returned), Sold("WIPES", 1)])
    rows = connector.fetch("orders", [str(sale), str(dearer), str(cheaper)]).records
    orders = {row["order_id"]: row for row in rows["orders"]}

    assert [(row["refund_id"], row["amount"], row["reason"]) for row in rows["refunds"]] == [
        (str(dearer), Decimal("39.90"), "exchange"), (str(cheaper), Decimal("39.90"), "exchange"),
    ]  # fmt: skip
    assert orders[str(dearer)]["exchange_of"] == str(sale)
    assert {t["type"]: t["amount"] for t in orders[str(dearer)]["tenders"]} == {
        "cash": Decimal("228.10"), "exchange_credit": Decimal("39.90"),
    }  # fmt: skip
    assert {t["type"]: t["amount"] for t in orders[str(cheaper)]["tenders"]} == {"exchange_credit": Decimal("9.99")}
    ((own,),) = till.server.sql(f"select sum(amount_total) from pos_order where id in ({sale}, {dearer}, {cheaper})")
    assert total(list(rows["orders"]), "paid_amount") - total(list(rows["refunds"]), "amount") == Decimal(own)


def test_a_draft_is_no_order_and_closing_the_session_moves_the_whole_day(till: Till, connector: Connector) -> None:
    paid = [till.shop.sell([Sold("WIPES", 1)]) for _ in range(3)]
    draft = till.shop.sell([Sold("WIPES", 1)], state="draft", payment_ids=[], amount_paid=0)
    before = {row["order_id"]: row["updated_at"] for row in pulled(connector, "orders")["orders"]}
    till.server.sql("update pos_order set state = 'cancel' where state = 'draft'")
    since = datetime.now(UTC) + timedelta(seconds=1)
    threading.Event().wait(1.1)  # Odoo shows whole seconds
    till.shop.close()
    moved = pulled(connector, "orders", since)["orders"]

    assert {str(number) for number in paid} <= set(before)
    assert str(draft) not in before
    assert {row["order_id"] for row in moved} >= {str(number) for number in paid}
    assert all(row["updated_at"] > before[row["order_id"]] for row in moved if row["order_id"] in before)


def test_thousands_of_records_of_one_instant_all_arrive_and_a_pull_goes_on_after_any_page(
    till: Till, connector: Connector
) -> None:
    till.server.sql(
        "insert into res_partner (name, phone, active, partner_share, type, autopost_bills, create_date, write_date) "
        "select 'x', '139' || lpad(n::text, 8, '0'), true, true, 'contact', 'ask', now(), "
        "case when n % 1000 = 0 then timestamp '2026-03-01 00:00:01.25' else '2026-03-01 00:00:00.5' end "
        "from generate_series(1, 2600) n"
    )
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 0, 2, tzinfo=UTC)
    pages = list(connector.pull("members", since, until))
    arrived = [row["member_id"] for page in pages for row in page.records["members"]]
    middle = pages[len(pages) // 2]
    rest = [row["member_id"] for page in connector.pull("members", since, until, middle.state)
            for row in page.records["members"]]  # fmt: skip

    assert len(arrived) == len(set(arrived)) == 2600
    assert set(rest) == {
        row["member_id"] for page in pages[pages.index(middle) + 1 :] for row in page.records["members"]
    }
    assert all(len(page.records["members"]) <= connector.capabilities().feeds["members"].page_size for page in pages)


def test_a_new_price_or_name_of_the_template_is_seen_though_its_variant_does_not_move(
    till: Till, connector: Connector
) -> None:
    threading.Event().wait(1.1)
    since = datetime.now(UTC)
    template = till.shop.client.find("product.product", [["default_code", "=", "CAP-L"]], ["product_tmpl_id"])
    till.shop.client("product.template", "write", ids=[template[0]["product_tmpl_id"][0]], vals={"list_price": 45.5})
    rows = pulled(connector, "products", since)["products"]

    assert {(row["sku"], row["list_price"], row["tax_rate"]) for row in rows} == {
        ("CAP-L", Decimal("45.50"), Decimal("0.13"))
    }
    assert rows[0]["category_path"] == "母婴/婴儿"


def test_a_good_whose_last_piece_left_is_counted_as_none(till: Till, connector: Connector) -> None:
    till.shop.count(till.shop.products["CAP-L"], 5)
    till.shop.sell([Sold("CAP-L", 5)])
    till.server.sql("delete from stock_quant where quantity = 0")
    counted = {row["sku"]: row["on_hand"] for row in pulled(connector, "inventory")["inventory"]}

    assert counted["CAP-L"] == 0
    assert counted["MILK-2"] > 0


def test_an_archived_contact_is_deleted_and_users_and_companies_are_no_members(
    till: Till, connector: Connector
) -> None:
    stays, leaves = till.shop.person("留"), till.shop.person("走", phone="13800139005")
    till.shop.client("res.partner", "write", ids=[leaves], vals={"active": False})
    members = {row["member_id"]: row for row in pulled(connector, "members")["members"]}

    assert members[str(leaves)]["deleted"] is True
    assert members[str(stays)]["deleted"] is False
    theirs = {"小店", "Administrator", "omnilake", "Public user", "Portal User Template"}
    assert not {row["name"] for row in members.values()} & theirs


def test_consent_is_the_tag_that_the_settings_name(till: Till, options: Options) -> None:
    tag = till.shop.client.create("res.partner.category", name="同意推送")
    willing, other = till.shop.person("愿", category_id=[[4, tag]]), till.shop.person("否")
    settings = {**options.settings, "consent_tag": "同意推送"}
    connector = odoo_connector.connect(Options("till", settings, options.secrets))
    members = {row["member_id"]: row.get("consent_marketing") for row in pulled(connector, "members")["members"]}

    assert (members[str(willing)], members[str(other)]) == (True, False)


def test_a_gift_card_that_pays_is_a_tender_and_selling_one_is_no_sale(till: Till, connector: Connector) -> None:
    client = till.shop.client
    program = client.find(
        "loyalty.program", [["program_type", "=", "gift_card"]], ["trigger_product_ids", "reward_ids"]
    )[0]
    owner = till.shop.person("礼")
    client.create("loyalty.card", program_id=program["id"], code="GIFT1", points=100)
    card = client.find("loyalty.card", [["code", "=", "GIFT1"]], ["id"])[0]["id"]
    reward = client.find("loyalty.reward", [["program_id", "=", program["id"]]], ["discount_line_product_id"])[0]
    till.shop.products["REWARD"] = reward["discount_line_product_id"][0]
    off = Sold("REWARD", 1, Decimal(-20), reward={
        "is_reward_line": True, "reward_id": reward["id"], "coupon_id": card, "points_cost": 20,
        "tax_ids": [[6, 0, []]], "price_subtotal": Decimal(-20),
    })  # fmt: skip
    order = till.shop.sell([Sold("CAP-L", 1), off], owner)
    row = next(row for row in pulled(connector, "orders")["orders"] if row["order_id"] == str(order))
    paths = {row["spu"]: row.get("category_path", "") for row in pulled(connector, "products")["products"]}

    assert {tender["type"]: tender["amount"] for tender in row["tenders"]} == {
        "cash": Decimal("19.90"), "gift_card": Decimal("20.00"),
    }  # fmt: skip
    assert row["paid_amount"] == Decimal("39.90") == goods(row)
    assert "coupon_codes" not in row
    assert any(path.startswith("gift_card/") for path in paths.values())


def test_a_wrong_key_and_a_wrong_database_are_told_by_the_check_and_never_an_empty_success(
    options: Options, connector: Connector
) -> None:
    stranger = odoo_connector.connect(Options("till", options.settings, {"api_key": "0" * 40}))
    lost = odoo_connector.connect(Options("till", {**options.settings, "database": "elsewhere"}, options.secrets))

    assert all(check.ok for check in connector.check())
    assert all(not check.ok and check.remedy for check in (*stranger.check(), *lost.check()))
    with pytest.raises(CredentialsError):
        pulled(stranger, "orders")


# What is sent


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


def test_two_pushes_at_once_make_one_card_each(till: Till, options: Options) -> None:
    owners = [till.shop.person(str(number)) for number in range(10)]
    coupons = [coupon(owner, f"RACE{number}", value="31") for number, owner in enumerate(owners)]
    results: list[dict[str, OutcomeKind]] = []
    racers = [
        threading.Thread(target=lambda: results.append(kinds(connect(options).issue_coupon(coupons)))) for _ in range(2)
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
    again = connect(options).issue_coupon(coupons)
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


def test_reading_needs_no_more_than_a_cashiers_and_a_storekeepers_rights(till: Till, connector: Connector) -> None:
    client = till.shop.client
    (user,) = client.find("res.users", [["login", "=", "omnilake"]], ["group_ids"])
    few = [("base", "group_user"), ("point_of_sale", "group_pos_user"), ("stock", "group_stock_user")]
    groups = [
        client.find("ir.model.data", [["module", "=", module], ["name", "=", name]], ["res_id"])[0]["res_id"]
        for module, name in few
    ]
    till.shop.sell([Sold("WIPES", 1)])
    client("res.users", "write", ids=[user["id"]], vals={"group_ids": [[6, 0, groups]]})
    try:
        read = {feed: pulled(connector, feed)[feed] for feed in connector.capabilities().feeds}
    finally:
        client("res.users", "write", ids=[user["id"]], vals={"group_ids": [[6, 0, user["group_ids"]]]})

    assert all(read[feed] for feed in read if feed != "coupons")
