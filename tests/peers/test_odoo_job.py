"""The whole job against a real Odoo point of sale: what was sold comes in, what was decided goes out once, what was
redeemed comes back, and a run with nothing to do changes nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.peers.home import Home
from tests.peers.odoo.server import Odoo
from tests.peers.odoo.shop import Shop, Sold

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1800), pytest.mark.xdist_group("odoo")]

FIELD = "x_omnilake_recommendations"
WATCHED = ("res_partner", "res_partner_category", "res_partner_res_partner_category_rel", "loyalty_program",
           "loyalty_rule", "loyalty_reward", "loyalty_card", "loyalty_history", "pos_order", "pos_order_line",
           "pos_payment", "stock_quant", "stock_move_line", "product_product", "product_template", "mail_mail",
           "ir_model_fields")  # fmt: skip
"""Tables of the server that a run with nothing to do must leave as they are."""


def channel(odoo: Odoo) -> str:
    return (
        f'{{id: till, name: 门店, kind: pos, currency: CNY, connector: odoo, url: "{odoo.url}", '
        f"database: {odoo.database}, api_key_env: TILL_KEY, consent_tag: 同意推送}}"
    )


def books(odoo: Odoo) -> dict[str, list[list[str]]]:
    return {
        table: odoo.sql(f"select count(*), md5(string_agg(row::text, '|' order by row::text)) from {table} as row")
        for table in WATCHED
    }


def test_the_loop_closes_on_a_real_till(odoo: Odoo, tmp_path: Path) -> None:
    odoo.reset()
    shop = Shop(odoo.client())
    shop.add_text_field(FIELD)
    consent = shop.client.create("res.partner.category", name="同意推送")
    willing = shop.person("王芳", phone="138 0013 9001", category_id=[[4, consent]])
    unwilling = shop.person("李强", phone="13800139002")
    sale = shop.sell([Sold("MILK-2", 2), Sold("CAP-L", 1, discount=15)], willing, "wechat_pay")
    shop.sell([Sold("MILK-2", -1, refunds=shop.lines(sale)[0]["id"])], willing, "wechat_pay")
    shop.sell([Sold("WIPES", 2)], unwilling)
    shop.sell([Sold("WIPES", 3)])
    shop.close()
    home = Home.make(tmp_path / "home", [channel(odoo)], {"till": "odoo"}, {"TILL_KEY": odoo.keys.omnilake})

    home.run()

    # In: orders, refunds and stock are the server's own.
    (sold,) = home.query("""
        select count(*) as orders, sum(net_amount_local + tax_amount_local) as charged,
               sum(refunded_amount_local) as refunded, count(distinct customer_id) as customers
        from marts.orders
    """)
    ((orders, charged),) = odoo.sql("select count(*), sum(amount_total) from pos_order where amount_total > 0")
    ((refunded,),) = odoo.sql("select sum(amount_tax - amount_total) from pos_order where amount_total < 0")
    assert (sold["orders"], Decimal(sold["charged"])) == (orders, Decimal(charged)) == ("3", Decimal("619.87"))
    assert Decimal(sold["refunded"]) == Decimal(refunded) == Decimal("237.17")
    assert sold["customers"] == "2"  # nobody is the owner of an anonymous ticket
    stock = {row["sku"]: Decimal(row["on_hand"]) for row in home.query("from marts.stock")}
    assert stock == {"MILK-2": 99, "CAP-L": 99, "WIPES": 95}

    # Out: a tag for every member, one coupon for the one who agreed.
    tags = odoo.sql(
        "select partner_id from res_partner_category join res_partner_res_partner_category_rel "
        "on category_id = res_partner_category.id where name ->> 'en_US' like 'omnilake:segment=%' order by 1"
    )
    assert tags == [[str(willing)], [str(unwilling)]]
    ((code, owner),) = odoo.sql("select code, partner_id from loyalty_card")
    assert owner == str(willing)
    home.omnilake("reconcile")

    # Again: what our own tags moved comes in once more, nothing goes out.
    before = books(odoo)
    home.run()
    assert books(odoo) == before

    # The owner alone redeems it, and the next night knows.
    shop.open()
    assert not shop.try_code(code, unwilling)["successful"]
    redeemed = shop.redeem(code, willing, [Sold("MILK-2", 1)], Decimal(30))
    assert not shop.try_code(code, willing)["successful"]
    shop.close()
    home.run()
    carriers = {
        row["order_id"]: row["coupon_codes"] for row in home.landed("till", "orders") if row.get("coupon_codes")
    }
    assert carriers == {str(redeemed): [code]}
    assert odoo.sql("select count(*) from loyalty_card") == [["1"]]
    home.omnilake("reconcile")
