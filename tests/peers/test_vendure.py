"""Our connector and destination against a real Vendure: what is read equals the server's own books, what is sent is
there once, and only its owner can use it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.connectors.protocol import Connector, Options
from pipelines.connectors.vendure import connect
from pipelines.destinations import vendure as vendure_destination
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
from pipelines.http import CredentialsError, RefusedError
from tests.peers.vendure_server import ADMIN, PASSWORD, Vendure

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600), pytest.mark.xdist_group("vendure")]

EVER = datetime(1970, 1, 1, tzinfo=UTC)
TODAY = date.today()


@pytest.fixture
def mall(vendure: Vendure) -> Iterator[Vendure]:
    vendure.empty()
    yield vendure
    vendure.empty()


def options(mall: Vendure, **more: Any) -> Options:
    return Options("mall", {"url": mall.url, "username": ADMIN, **more}, {"password": PASSWORD})


@pytest.fixture
def connector(mall: Vendure) -> Connector:
    return connect(options(mall))


@pytest.fixture
def destination(mall: Vendure) -> Destination:
    return vendure_destination.connect("mall", list(Operation), options(mall), "omnilake:")


def pulled(connector: Connector, feed: str, since: datetime = EVER) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for page in connector.pull(feed, since, datetime.now(UTC)):
        for name, more in page.records.items():
            rows[name] += [dict(row) for row in more]
    return rows


def by_id(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def total(rows: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def person(number: int) -> dict[str, str]:
    return {"email": f"shopper{number}@example.com", "phone": f"1391234{number:04d}"}


def guest(number: int) -> dict[str, str]:
    return {"emailAddress": f"guest{number}@example.com", "firstName": "客", "lastName": "李",
            "phoneNumber": f"1371234{number:04d}"}  # fmt: skip


def coupon(owner: str, code: str, kind: str = "amount_off", value: str = "30.00") -> CouponIssue:
    offer = Offer(kind, Decimal(value), Decimal("199.00"), "CNY")
    return CouponIssue(f"key-{code}", Recipient("c1", owner), owner, 1, TODAY, "recall", "1", code, offer,
                       TODAY - timedelta(days=1), TODAY + timedelta(days=30))  # fmt: skip


def segment(owner: str, add: str, remove: str | None = None) -> TagChange:
    gone = (Tag("segment", remove),) if remove else ()
    return TagChange(f"tag-{owner}-{add}", Recipient("c1", owner), owner, 1, TODAY, (Tag("segment", add),), gone)


def minor(amount: str | Decimal) -> int:
    return int(Decimal(amount) * 100)


# What is read


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


# What is sent


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
