"""Our connector against a real Vendure: what is read equals the server's own books, whenever it happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipelines.connectors.protocol import Connector, Options
from pipelines.connectors.vendure import connect
from pipelines.http import CredentialsError, RefusedError
from tests.peers.mall import by_id, guest, minor, options, person, pulled, total
from tests.peers.vendure_server import ADMIN, Vendure

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("vendure")]


def test_orders_payments_refunds_and_stock_equal_the_servers_own(mall: Vendure, connector: Connector) -> None:
    _, member = mall.member(**person(1))
    plain = mall.buy(member, {"MP1-400": 2, "WIP-80": 3})["id"]
    refunded = mall.buy(member, {"NAP-M": 3})["id"]
    cancelled = mall.buy(member, {"BOT-240": 1})["id"]
    shipped = mall.buy(mall.shop(), {"MP1-800": 1}, guest=guest(1))["id"]
    mall.refund(refunded, 1)
    mall.cancel(cancelled)
    mall.ship(shipped)
    mall.fill(mall.shop(), {"MP1-400": 5})  # an open cart is no order
    rows = pulled(connector, "orders")
    orders = by_id(rows["orders"], "order_id")

    assert {order["order_id"]: order["status"] for order in rows["orders"]} == {
        refunded: "partially_refunded", cancelled: "cancelled", shipped: "completed", plain: "paid",
    }  # fmt: skip
    paid = mall.sql("select sum(amount) from payment where state = 'Settled'")[0][0]
    repaid = mall.sql("select sum(total) from refund where state = 'Settled'")[0][0]
    assert minor(total(rows["orders"], "paid_amount")) == int(paid)
    assert minor(total(rows["refunds"], "amount")) == int(repaid) == 9990
    for order_id in set(orders) - {cancelled}:
        order = orders[order_id]
        assert minor(order["paid_amount"]) == mall.order(order_id)["totalWithTax"]
        goods = sum(Decimal(line["unit_price"]) * line["quantity"] - Decimal(line["discount_amount"])
                    for line in order["lines"])  # fmt: skip
        assert goods - Decimal(order["discount_amount"]) + Decimal(order["shipping_amount"]) == Decimal(
            order["paid_amount"]
        )
    assert [(line["sku"], line["quantity"]) for line in orders[cancelled]["lines"]] == [("BOT-240", 1)]
    assert orders[cancelled]["cancelled_at"] >= orders[cancelled]["placed_at"]
    stock = {row["sku"]: (row["on_hand"], row["reserved"]) for row in pulled(connector, "products")["inventory"]}
    own = mall.sql(
        'select sku, "stockOnHand", "stockAllocated" from stock_level '
        'join product_variant on product_variant.id = stock_level."productVariantId"'
    )
    assert stock == {sku: (int(on_hand), int(allocated)) for sku, on_hand, allocated in own}


def test_guests_are_no_members_and_carry_their_identifiers_on_the_order(mall: Vendure, connector: Connector) -> None:
    member_id, member = mall.member(**person(2))
    mall.buy(member, {"WIP-80": 1})
    mall.buy(mall.shop(), {"WIP-80": 1}, guest=guest(2))
    members = pulled(connector, "members")["members"]
    first, second = pulled(connector, "orders")["orders"]

    assert [(row["member_id"], row["phone"], row["name"]) for row in members] == [(member_id, "13912340002", "张三")]
    assert (first["member_id"], first["guest_phone"], first["guest_email"]) == (member_id, None, None)
    assert second["member_id"] is None
    assert (second["guest_phone"], second["guest_email"]) == ("13712340002", "guest2@example.com")


def test_an_order_paid_days_after_its_cart_was_filled_is_not_missed(mall: Vendure, connector: Connector) -> None:
    _, member = mall.member(**person(3))
    mall.fill(member, {"NAP-S": 1})
    order_id = mall.check_out(member)["id"]
    # The server moves updatedAt with the cart and not with the payment.
    mall.sql(f"""update "order" set "updatedAt" = now() - interval '9 days' where id = {order_id}""")
    since = datetime.now(UTC) - timedelta(hours=1)

    assert [row["order_id"] for row in pulled(connector, "orders", since)["orders"]] == [order_id]


def test_payment_shipment_refund_and_cancellation_of_an_old_order_are_seen(mall: Vendure, connector: Connector) -> None:
    _, member = mall.member(**person(4))
    ids = [mall.buy(member, {"NAP-S": 2})["id"] for _ in range(4)]
    mall.sql("""update "order" set "updatedAt" = "updatedAt" - interval '20 days',
                "orderPlacedAt" = "orderPlacedAt" - interval '20 days'""")
    mall.sql("""update history_entry set "createdAt" = "createdAt" - interval '20 days'""")
    since = datetime.now(UTC)
    assert pulled(connector, "orders", since)["orders"] == []
    mall.ship(ids[0])
    mall.refund(ids[1], 1)
    mall.cancel(ids[2])
    rows = pulled(connector, "orders", since)

    assert {row["order_id"]: row["status"] for row in rows["orders"]} == {
        ids[0]: "completed", ids[1]: "partially_refunded", ids[2]: "cancelled",
    }  # fmt: skip
    assert [(row["order_id"], row["amount"]) for row in rows["refunds"]] == [(ids[1], "89.90")]


def test_a_line_cancelled_in_part_keeps_what_was_ordered(mall: Vendure, connector: Connector) -> None:
    _, member = mall.member(**person(5))
    order_id = mall.buy(member, {"NAP-S": 3, "BOT-240": 1})["id"]
    line = mall.order(order_id)["lines"][0]["id"]
    mall.admin("mutation ($i: CancelOrderInput!) { cancelOrder(input: $i) { __typename } }",
               i={"orderId": order_id, "lines": [{"orderLineId": line, "quantity": 2}]})  # fmt: skip
    (order,) = pulled(connector, "orders")["orders"]

    assert [(row["sku"], row["quantity"]) for row in order["lines"]] == [("NAP-S", 3), ("BOT-240", 1)]
    assert order["items_amount"] == "315.20"
    assert order["paid_amount"] == "325.20"


def test_an_order_that_the_server_cannot_read_holds_up_no_other(mall: Vendure, connector: Connector) -> None:
    _, member = mall.member(**person(12))
    ids = [mall.buy(member, {"WIP-80": 1})["id"] for _ in range(3)]
    mall.sql(f"""update "order" set "currencyCode" = '??' where id = {ids[1]}""")
    rows = pulled(connector, "orders")["orders"]

    assert [row.get("order_id") for row in rows] == [ids[0], None, ids[2]]
    assert rows[1]["id"] == ids[1]


def test_thousands_of_rows_of_one_instant_all_arrive(mall: Vendure, connector: Connector) -> None:
    mall.sql("""
        with made as (
            insert into "user" (identifier, verified) select 'many-' || n, true from generate_series(1, 2600) as n
            returning id
        )
        insert into customer ("updatedAt", "firstName", "lastName", "phoneNumber", "emailAddress", "userId")
        select '2026-03-01 00:00:00.5', '三', '张', '', id || '@example.com', id from made
    """)
    mall.sql("""insert into customer_channels_channel select id, 1 from customer""")
    members = pulled(connector, "members")["members"]

    assert len(members) == len({row["member_id"] for row in members}) == 2600


def test_consent_comes_from_the_custom_field_that_the_settings_name(mall: Vendure) -> None:
    willing, _ = mall.member(**person(7))
    mall.member(**person(8))
    mall.consent(willing)
    members = pulled(connect(options(mall, consent_field="marketingConsent")), "members")["members"]

    assert {row["member_id"]: row["consent_marketing"] for row in members} == {
        row["member_id"]: row["member_id"] == willing for row in members
    }


def test_stores_products_and_prices_are_read_in_major_units_with_tax(mall: Vendure) -> None:
    connector = connect(options(mall, stores={"1": "WH-SH"}))
    rows = pulled(connector, "products")
    products = by_id(rows["products"], "sku")

    assert len(products) == 6
    assert products["MP1-400"]["list_price"] == "168.00"
    assert products["MP1-400"]["tax_rate"] == "0.13"
    assert products["MP1-400"]["category_path"] == "milk_powder"
    assert {row["price"] for row in rows["prices"] if row["sku"] == "WIP-80"} == {"12.35"}
    assert {row["store_id"] for row in rows["inventory"]} == {"WH-SH"}
    assert [row["store_id"] for row in pulled(connector, "stores")["stores"]] == ["WH-SH"]


def test_an_expired_session_is_renewed_and_wrong_credentials_are_told(mall: Vendure, connector: Connector) -> None:
    mall.member(**person(9))
    assert len(pulled(connector, "members")["members"]) == 1
    mall.forget_sessions()

    assert len(pulled(connector, "members")["members"]) == 1
    stranger = connect(Options("mall", {"url": mall.url, "username": ADMIN}, {"password": "wrong-password"}))
    with pytest.raises(CredentialsError, match="user name or the password"):
        pulled(stranger, "members")
    assert [check.ok for check in stranger.check()] == [False]
    assert [check.ok for check in connector.check()] == [True]


def test_an_api_key_does_as_well_as_a_login(mall: Vendure) -> None:
    mall.member(**person(10))
    key = mall.api_key()
    connector = connect(Options("mall", {"url": mall.url}, {"api_key": key}))

    assert len(pulled(connector, "members")["members"]) == 1
    with pytest.raises(CredentialsError):
        pulled(connect(Options("mall", {"url": mall.url}, {"api_key": "x" + key})), "members")


def test_another_vendure_channel_is_asked_by_its_token(mall: Vendure) -> None:
    _, member = mall.member(**person(11))
    mall.buy(member, {"WIP-80": 1})
    token = mall.second_channel()

    assert pulled(connect(options(mall, channel_token=token)), "orders")["orders"] == []
    with pytest.raises(RefusedError, match="CHANNEL_NOT_FOUND"):
        pulled(connect(options(mall, channel_token="of-no-channel")), "orders")
