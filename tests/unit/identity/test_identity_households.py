"""One phone, two persons: at the same time (a household) or one after the other (a recycled number)."""


def owners(lake, value="1"):
    return lake.rows(
        "select customer_id, from_at, to_at, rule from identity.value_owners where kind = 'phone' order by owner_no"
    )


def test_contradicting_names_and_birthdays_are_a_household(lake):
    lake.member("a", phone="1", name="zhang", birthday="1960-01-01")
    lake.member("b", channel="pos", phone="1", name="li", birthday="1962-02-02")
    lake.resolve()
    assert not lake.same("a", "pos/b")
    shared = lake.identity("phone", "1")
    assert (shared["customer_id"], shared["is_blocked"], shared["block_rule"]) == (None, True, "household")
    assert shared["reason"] == "shared by 2 persons: names and birthdays or genders contradict"
    assert {customer for customer, *_ in owners(lake)} == {lake.customer("a"), lake.customer("b", "pos")}
    assert {customer for (customer,) in lake.rows("select customer_id from identity.households")} == {
        lake.customer("a"),
        lake.customer("b", "pos"),
    }


def test_contradicting_names_and_genders_are_a_household_however_the_channel_writes_them(lake):
    lake.member("a", phone="1", name="zhang", gender="M")
    lake.member("b", phone="1", name="li", gender="女")
    lake.member("c", phone="2", name="zhang", gender="male")
    lake.member("d", phone="2", name="li", gender="男")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.same("c", "d")


def test_names_alone_or_birthdays_alone_part_nobody(lake):
    lake.member("a", phone="1", name="zhang")
    lake.member("b", phone="1", name="li")
    lake.member("c", phone="2", name="zhang", birthday="1990-01-01")
    lake.member("d", phone="2", name="zhang", birthday="1991-01-01", gender="F")
    lake.member("e", phone="3", birthday="1990-01-01", gender="M")
    lake.member("f", phone="3", birthday="1991-01-01", gender="F")
    lake.resolve()
    assert lake.same("a", "b")
    assert lake.same("c", "d")
    assert lake.same("e", "f")


def test_a_name_that_only_one_gave_differs_where_birthdays_or_genders_do(lake):
    lake.member("a", phone="1", name="zhang", gender="M")
    lake.member("b", phone="1", gender="F")
    lake.member("c", phone="2", name="zhang", birthday="1960-01-01")
    lake.member("d", phone="2", birthday="1962-02-02")
    lake.member("e", phone="3", name="zhang", birthday="1960-01-01", gender="M")
    lake.member("f", phone="3", birthday="1960-01-01", gender="F")
    lake.member("g", phone="4", name="zhang", gender="M")
    lake.member("h", phone="4")
    lake.resolve()
    assert not lake.same("a", "b")
    assert not lake.same("c", "d")
    assert lake.same("e", "f")
    assert lake.same("g", "h")


def test_a_household_applies_to_phones_and_not_to_a_card(lake):
    lake.member("a", card_no="1", name="zhang", birthday="1960-01-01")
    lake.member("b", card_no="1", name="li", birthday="1962-02-02")
    lake.resolve()
    assert lake.same("a", "b")


def test_another_exact_link_overrules_a_household(lake):
    lake.member("a", phone="1", wechat_unionid="u", name="zhang", birthday="1960-01-01")
    lake.member("b", channel="pos", phone="1", wechat_unionid="u", name="zhang san", birthday="1960-01-10")
    lake.resolve()
    assert lake.same("a", "pos/b")
    assert lake.identity("phone", "1")["is_blocked"] is False
    assert lake.rows("select * from identity.households") == []


def test_each_member_of_a_household_joins_the_person_of_that_name(lake):
    lake.member("a", phone="1", name="zhang", gender="M")
    lake.member("b", phone="1", name="li", gender="F")
    lake.member("c", channel="pos", phone="1", name="li")
    lake.member("d", channel="h5", phone="1", name="zhang")
    lake.resolve()
    assert lake.same("b", "pos/c")
    assert lake.same("a", "h5/d")
    assert not lake.same("a", "b")


def test_three_persons_on_one_phone_are_three_customers(lake):
    for member_id, name, birthday in (("a", "x", "1950"), ("b", "y", "1960"), ("c", "z", "1970")):
        lake.member(member_id, phone="1", name=name, birthday=birthday)
    report = lake.resolve()
    assert report.customers == 3
    assert len(owners(lake)) == 3


def test_a_guest_order_on_a_household_phone_goes_to_the_first_owner(lake):
    lake.member("a", at=0, phone="1", name="zhang", gender="M")
    lake.member("b", at=5, phone="1", name="li", gender="F")
    lake.order("o", at=10, guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("a"), "phone")


def test_a_guest_order_on_a_household_phone_is_decided_by_its_email(lake):
    lake.member("a", at=0, phone="1", name="zhang", gender="M")
    lake.member("b", at=5, phone="1", email="x", name="li", gender="F")
    lake.order("o", at=10, guest_phone="1", guest_email="x")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("b"), "email")
    assert not lake.same("a", "b")


def test_a_number_silent_for_more_than_365_days_with_another_name_is_recycled(lake):
    lake.member("a", at=0, phone="1", name="zhang")
    lake.member("b", at=366, phone="1", name="li")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.identity("phone", "1")["block_rule"] == "recycled"
    assert lake.identity("phone", "1")["customer_id"] is None
    assert [rule for *_, rule in owners(lake)] == ["recycled", "recycled"]
    assert lake.rows("select * from identity.households") == []


def test_a_number_silent_for_exactly_365_days_still_links(lake):
    lake.member("a", at=0, phone="1", name="zhang")
    lake.member("b", at=365, phone="1", name="li")
    lake.resolve()
    assert lake.same("a", "b")


def test_a_number_recycled_under_the_same_or_no_name_still_links(lake):
    lake.member("a", at=0, phone="1", name="zhang")
    lake.member("b", at=900, phone="1", name="zhang")
    lake.member("c", at=0, phone="2", name="zhang")
    lake.member("d", at=900, phone="2")
    lake.resolve()
    assert lake.same("a", "b")
    assert lake.same("c", "d")


def test_a_number_its_first_owner_still_shows_is_not_recycled(lake):
    lake.member("a", at=0, phone="1", name="zhang")
    lake.member("a", at=300, phone="1", name="zhang")
    lake.member("b", at=400, phone="1", name="li")
    lake.resolve()
    assert lake.same("a", "b")


def test_guest_orders_on_a_recycled_number_go_to_the_owner_nearest_in_time(lake):
    lake.member("a", at=100, phone="1", name="zhang")
    lake.member("b", at=900, phone="1", name="li")
    for order_id, at in (("before", 0), ("early", 300), ("late", 800), ("now", 1000)):
        lake.order(order_id, at=at, guest_phone="1")
    lake.resolve()
    found = {order_id: lake.order_customer(order_id) for order_id in ("before", "early", "late", "now")}
    first, second = (lake.customer("a"), "phone"), (lake.customer("b"), "phone")
    assert found == {"before": first, "early": first, "late": second, "now": second}


def test_a_changed_name_reopens_the_question(lake):
    lake.member("a", at=0, phone="1", name="zhang", gender="M")
    lake.member("b", at=1, phone="1")
    lake.resolve()
    assert lake.same("a", "b")
    lake.member("b", at=2, phone="1", name="li", gender="F")
    report = lake.resolve()
    assert not lake.same("a", "b")
    assert report.splits == 1
    assert lake.merges()[0]["cause"] == "phone household"
    lake.member("b", at=3, phone="1", name="zhang", gender="F")
    assert lake.resolve().merges == 1
    assert lake.same("a", "b")
