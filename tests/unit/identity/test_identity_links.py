"""Which identifiers make one customer of several memberships and guests."""

import pytest

GLOBAL_KINDS = ("phone", "email", "wechat_unionid", "alipay_uid", "card_no")


@pytest.mark.parametrize("kind", GLOBAL_KINDS)
def test_a_shared_global_identifier_links_members_across_channels(lake, kind):
    lake.member("a", **{kind: "same"})
    lake.member("b", channel="pos", **{kind: "same"})
    lake.member("c", channel="pos", **{kind: "other"})
    lake.resolve()
    assert lake.same("a", "pos/b")
    assert not lake.same("a", "pos/c")


@pytest.mark.parametrize("kind", ["wechat_openid", "qq_openid"])
def test_an_open_id_links_only_within_its_channel(lake, kind):
    lake.member("a", **{kind: "same"})
    lake.member("b", **{kind: "same"})
    lake.member("c", channel="pos", **{kind: "same"})
    lake.resolve()
    assert lake.same("a", "b")
    assert not lake.same("a", "pos/c")
    assert lake.identity(kind, "same", "app")["customer_id"] == lake.customer("a")
    assert lake.identity(kind, "same", "pos")["customer_id"] == lake.customer("c", "pos")


def test_links_reach_over_several_identifiers(lake):
    lake.member("a", phone="1")
    lake.member("b", channel="pos", phone="1", email="x")
    lake.member("c", channel="h5", email="x", card_no="7")
    lake.member("d", channel="mini", card_no="7")
    lake.resolve()
    assert lake.same("a", "pos/b", "h5/c", "mini/d")


def test_the_same_member_id_in_two_channels_is_two_memberships(lake):
    lake.member("a")
    lake.member("a", channel="pos")
    report = lake.resolve()
    assert report.customers == 2
    assert not lake.same("a", "pos/a")


def test_names_birthdays_and_devices_never_link_on_their_own(lake):
    for member_id in ("a", "b"):
        lake.member(member_id, name="zhang", birthday="1990-01-01", gender="M", devices=["tablet"])
    lake.resolve()
    assert not lake.same("a", "b")


def test_the_same_token_of_two_kinds_is_two_values(lake):
    lake.add("members", member_id="a", phone_token="p", updated_at="2024-01-01")
    lake.add("members", member_id="b", email_token="p", updated_at="2024-01-01")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.rows("select kind, identity from identity.identities where kind <> 'member' order by kind") == [
        ("email", "p"),
        ("phone", "p"),
    ]


@pytest.mark.parametrize(
    ("feed", "columns"),
    [
        ("orders", {"order_id": "o", "placed_at": "2024-01-01", "updated_at": "2024-01-01"}),
        ("events", {"event_id": "e", "type": "login", "occurred_at": "2024-01-01"}),
        ("points", {"entry_id": "p", "delta": 1, "occurred_at": "2024-01-01"}),
        ("coupons", {"coupon_code": "k", "updated_at": "2024-01-01"}),
        ("reviews", {"review_id": "r", "created_at": "2024-01-01"}),
    ],
)
def test_a_member_that_was_never_delivered_is_a_customer_of_its_own(lake, feed, columns):
    lake.add(feed, member_id="unknown", **columns)
    report = lake.resolve()
    assert (report.memberships, report.customers) == (1, 1)
    assert lake.customer("unknown").startswith("c")


def test_a_member_known_from_orders_alone_keeps_the_id_when_it_is_delivered(lake):
    lake.order("o", member_id="a")
    lake.resolve()
    before = lake.customer("a")
    lake.member("a", phone="1")
    lake.resolve()
    assert lake.customer("a") == before


def test_a_member_id_that_only_a_superseded_order_named_is_not_listed(lake):
    lake.order("o", member_id="wrong", version=0)
    lake.order("o", member_id="right", version=1)
    lake.resolve()
    assert lake.rows("select identity from identity.identities where kind = 'member'") == [("right",)]


def test_an_empty_lake_gives_empty_tables(lake):
    report = lake.resolve()
    assert (report.memberships, report.customers, report.links, report.blocked) == (0, 0, 0, {})
    assert lake.rows("select * from identity.identities") == []
    assert lake.rows("select * from identity.order_customers") == []


def test_customer_ids_are_c_and_twenty_hex_digits(lake):
    lake.member("a", phone="1")
    lake.order("o", guest_phone="2")
    lake.resolve()
    ids = [customer_id for (customer_id,) in lake.rows("select distinct customer_id from identity.identities")]
    assert len(ids) == 2
    assert all(len(i) == 21 and i[0] == "c" and set(i[1:]) <= set("0123456789abcdef") for i in ids)
