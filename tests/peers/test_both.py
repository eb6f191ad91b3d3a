"""One shopper in a real mall and at a real till: two ids, one phone, one customer; tag and coupon in both."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.peers.home import Home
from tests.peers.odoo.server import Odoo
from tests.peers.odoo.shop import Shop, Sold
from tests.peers.vendure_server import ADMIN, PASSWORD, Vendure

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1800), pytest.mark.xdist_group("vendure")]

PHONE = "13912340201"
SECRETS = {"MALL_PASSWORD": PASSWORD}


def channels(mall: Vendure, till: Odoo) -> list[str]:
    return [
        f'{{id: mall, name: 商城, kind: pc_web, currency: CNY, connector: vendure, url: "{mall.url}", '
        f"username: {ADMIN}, password_env: MALL_PASSWORD, consent_field: marketingConsent}}",
        f'{{id: till, name: 门店, kind: pos, currency: CNY, connector: odoo, url: "{till.url}", '
        f"database: {till.database}, api_key_env: TILL_KEY}}",
    ]


def test_a_shopper_of_mall_and_till_is_one_customer_with_tag_and_coupon_in_both(
    vendure: Vendure, odoo: Odoo, tmp_path: Path
) -> None:
    vendure.empty()
    odoo.reset()
    in_mall, session = vendure.member("both1@example.com", PHONE)
    vendure.consent(in_mall)
    stranger, other = vendure.member("both2@example.com", "13912340202")
    vendure.buy(session, {"MP1-800": 1})
    repaid = vendure.buy(session, {"NAP-M": 3})["id"]
    vendure.refund(repaid, 1)
    vendure.cancel(vendure.buy(other, {"BOT-240": 1})["id"])
    vendure.buy(other, {"NAP-S": 1})
    shop = Shop(odoo.client())
    shop.add_text_field("x_omnilake_recommendations")
    at_till = shop.person("张三", phone=f"+86 {PHONE[:3]} {PHONE[3:7]} {PHONE[7:]}")
    sale = shop.sell([Sold("MILK-2", 2)], at_till)
    shop.sell([Sold("MILK-2", -1, refunds=shop.lines(sale)[0]["id"])], at_till)
    shop.sell([Sold("WIPES", 3)])
    shop.close()
    home = Home.make(
        tmp_path / "home", channels(vendure, odoo), {"mall": "vendure", "till": "odoo"},
        SECRETS | {"TILL_KEY": odoo.keys.omnilake},
    )  # fmt: skip

    home.run()

    members = home.query("select channel, identity, customer_id from marts.customer_identities where kind = 'member'")
    customers = {(row["channel"], row["identity"]): row["customer_id"] for row in members}
    assert customers["mall", in_mall] == customers["till", str(at_till)] != customers["mall", stranger]
    sold = {
        row["channel"]: (int(row["orders"]), Decimal(row["charged"]))
        for row in home.query("""
            select channel, count(*) as orders,
                   sum(net_amount_local + tax_amount_local + coalesce(shipping_amount_local, 0)) as charged
            from marts.orders where not is_cancelled group by channel
        """)
    }
    ((tickets, taken),) = odoo.sql("select count(*), sum(amount_total) from pos_order where amount_total > 0")
    assert sold["till"] == (int(tickets), Decimal(taken)) == (2, Decimal("565.97"))
    ((orders, charged),) = vendure.sql(
        """select count(*), sum(amount) from "order" join payment on "orderId" = "order".id
           where "order".state <> 'Cancelled' and "orderPlacedAt" is not null and payment.state = 'Settled'"""
    )
    assert sold["mall"] == (int(orders), Decimal(charged) / 100)
    ((code,),) = vendure.sql('select "couponCode" from promotion')
    assert odoo.sql("select code, partner_id from loyalty_card") == [[code, str(at_till)]]
    assert (
        home.query("select * from marts.activation_log where state not in ('applied', 'already', 'suppressed')") == []
    )
    assert any(tag.startswith("omnilake:segment=") for tag in vendure.customer(in_mall)["omnilakeTags"])
    assert odoo.sql(
        "select partner_id from res_partner_category join res_partner_res_partner_category_rel "
        "on category_id = res_partner_category.id where name ->> 'en_US' like 'omnilake:segment=%'"
    ) == [[str(at_till)]]
    assert shop.try_code(code, at_till)["successful"]
    home.omnilake("reconcile")
