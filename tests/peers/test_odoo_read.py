"""Our connector against a real Odoo 19 point of sale: what is read equals the server's own books."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipelines.connectors.odoo import connect
from pipelines.connectors.protocol import Connector, Options
from pipelines.http import CredentialsError
from tests.peers.odoo.shop import Sold
from tests.peers.odoo.till import Till, goods, pulled, total

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200), pytest.mark.xdist_group("odoo")]


@pytest.fixture
def connector(till: Till) -> Connector:
    return connect(till.options())


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


def test_consent_is_the_tag_that_the_settings_name(till: Till) -> None:
    tag = till.shop.client.create("res.partner.category", name="同意推送")
    willing, other = till.shop.person("愿", category_id=[[4, tag]]), till.shop.person("否")
    connector = connect(till.options(consent_tag="同意推送"))
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
    till: Till, connector: Connector
) -> None:
    options = till.options()
    stranger = connect(Options("till", options.settings, {"api_key": "0" * 40}))
    lost = connect(till.options(database="elsewhere"))

    assert all(check.ok for check in connector.check())
    assert all(not check.ok and check.remedy for check in (*stranger.check(), *lost.check()))
    with pytest.raises(CredentialsError):
        pulled(stranger, "orders")


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
