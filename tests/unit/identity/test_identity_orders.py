"""To whom an order belongs, and by which identifier."""


def test_an_order_belongs_to_its_member_whatever_the_recipients_phone(lake):
    lake.member("a")
    lake.member("b", phone="1")
    lake.order("o", member_id="a", guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("a"), "member")
    assert not lake.same("a", "b")


def test_a_recipients_phone_alone_is_no_identity(lake):
    lake.order("o", member_id="a", guest_phone="1")
    lake.resolve()
    assert lake.rows("select kind from identity.identities") == [("member",)]


def test_a_guest_joins_the_member_who_owns_the_phone(lake):
    lake.member("a", phone="1")
    lake.order("o", channel="pos", guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o", "pos") == (lake.customer("a"), "phone")


def test_a_guest_without_a_member_is_a_customer_and_keeps_the_id_when_the_member_comes(lake):
    lake.order("o", guest_phone="1")
    lake.resolve()
    found = lake.order_customer("o")
    assert found is not None
    lake.member("a", phone="1")
    report = lake.resolve()
    assert lake.order_customer("o") == found
    assert lake.customer("a") == found[0]
    assert report.merges == 0


def test_the_identifiers_of_one_guest_order_link_to_each_other(lake):
    lake.member("a", phone="1")
    lake.member("b", channel="pos", email="x")
    lake.order("o", guest_phone="1", guest_email="x")
    lake.resolve()
    assert lake.same("a", "pos/b")


def test_a_guest_open_id_is_the_channels_wechat_open_id(lake):
    lake.member("a", channel="mini", wechat_openid="w")
    lake.order("o", channel="mini", guest_openid="w")
    lake.order("p", channel="app", guest_openid="w")
    lake.resolve()
    assert lake.order_customer("o", "mini") == (lake.customer("a", "mini"), "wechat_openid")
    elsewhere = lake.order_customer("p", "app")
    assert elsewhere is not None
    assert elsewhere[0] != lake.customer("a", "mini")


def test_phone_decides_before_email_and_email_before_open_id(lake):
    lake.order("o", guest_phone="1", guest_email="x", guest_openid="w")
    lake.order("p", guest_email="y", guest_openid="v")
    lake.resolve()
    assert [lake.order_customer(order_id)[1] for order_id in ("o", "p")] == ["phone", "email"]


def test_a_device_alone_identifies_nobody(lake):
    lake.member("a", devices=["d"])
    lake.add("orders", order_id="o", placed_at="2024-01-01", updated_at="2024-01-01", device_token="d")
    lake.resolve()
    assert lake.order_customer("o") is None


def test_the_newest_version_of_an_order_decides(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.order("o", version=5, guest_phone="2")
    lake.order("o", version=0, guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("b"), "phone")
    lake.order("o", version=6, guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("a"), "phone")


def test_a_guest_order_that_names_its_member_later_merges_the_guest_into_the_member(lake):
    lake.order("o", version=0, guest_phone="1")
    lake.member("a")
    lake.resolve()
    guest = lake.order_customer("o")
    lake.order("o", version=1, member_id="a")
    report = lake.resolve()
    assert report.merges == 1
    (event,) = lake.merges()
    assert (event["from_customer_id"], event["into_customer_id"]) == (guest[0], lake.customer("a"))
    assert event["cause"] == "a guest order names its member now"


def test_orders_of_two_channels_with_one_id_are_two_orders(lake):
    lake.order("o", channel="app", guest_phone="1")
    lake.order("o", channel="pos", guest_phone="2")
    lake.resolve()
    assert lake.order_customer("o", "app") != lake.order_customer("o", "pos")


def test_an_order_whose_status_alone_changed_touches_nobody(lake):
    lake.order("o", version=0, guest_phone="1", status="paid")
    lake.resolve()
    lake.order("o", version=1, guest_phone="1", status="completed")
    assert lake.resolve().touched_nodes == 0
