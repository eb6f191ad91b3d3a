"""Newest versions, earlier versions, late versions and deletions of members."""


def test_an_earlier_phone_links_until_it_is_seen_with_somebody_else(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=5, phone="2")
    lake.order("o", at=6, guest_phone="1")
    lake.resolve()
    assert lake.order_customer("o") == (lake.customer("a"), "phone")
    lake.member("b", at=10, channel="pos", phone="1")
    lake.resolve()
    assert not lake.same("a", "pos/b")
    assert lake.identity("phone", "1")["customer_id"] == lake.customer("b", "pos")


def test_a_member_seen_with_the_phone_before_it_was_dropped_stays_linked(lake):
    lake.member("a", at=0, phone="1")
    lake.member("b", at=2, channel="pos", phone="1")
    lake.member("a", at=5, phone="2")
    lake.resolve()
    assert lake.same("a", "pos/b")


def test_a_phone_taken_over_on_the_day_it_was_dropped_does_not_link(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=5, phone="2")
    lake.member("b", at=5, phone="1")
    lake.resolve()
    assert not lake.same("a", "b")


def test_a_version_that_leaves_the_phone_out_drops_it(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=5)
    lake.member("b", at=10, phone="1")
    lake.resolve()
    assert not lake.same("a", "b")


def test_the_same_name_and_birthday_are_nobody_else(lake):
    person = {"name": "zhang", "birthday": "1990-01-01"}
    lake.member("a", at=0, phone="1", **person)
    lake.member("a", at=5, phone=None, **person)
    lake.member("b", at=10, channel="pos", phone="1", **person)
    lake.resolve()
    assert lake.same("a", "pos/b")


def test_an_old_version_that_arrives_late_does_not_bring_its_phone_back_as_the_newest(lake):
    lake.member("a", at=5, phone="2")
    lake.member("b", at=10, phone="1")
    lake.resolve()
    lake.member("a", at=0, phone="1")
    report = lake.resolve()
    assert not report.is_full
    assert not lake.same("a", "b")


def test_a_late_version_that_shows_the_phone_was_held_longer_links_again(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=20, phone="2")
    lake.member("b", at=10, phone="1")
    lake.resolve()
    assert lake.same("a", "b")
    lake.member("a", at=5, phone="3")
    lake.resolve()
    assert not lake.same("a", "b")


def test_redelivery_changes_nothing(lake):
    for _ in range(2):
        lake.member("a", phone="1", name="zhang")
        lake.member("b", phone="1", name="zhang")
        lake.order("o", guest_phone="1")
        report = lake.resolve()
    assert lake.same("a", "b")
    assert lake.order_customer("o") == (lake.customer("a"), "phone")
    assert (report.merges, report.splits) == (0, 0)


def test_a_deleted_member_links_nobody_who_comes_later(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=5, phone="1", deleted=True)
    lake.member("b", at=10, phone="1")
    lake.order("o", at=20, guest_phone="1")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.order_customer("o") == (lake.customer("b"), "phone")


def test_past_orders_of_a_deleted_member_stay_with_the_customer(lake):
    lake.member("a", at=0, phone="1")
    lake.member("b", at=1, channel="pos", phone="1")
    lake.order("own", at=2, member_id="a")
    lake.order("guest", at=2, guest_phone="1")
    lake.resolve()
    customer = lake.customer("a")
    lake.member("a", at=5, deleted=True)
    lake.resolve()
    assert lake.order_customer("own") == (customer, "member")
    assert lake.order_customer("guest") == (customer, "phone")
    assert lake.same("a", "pos/b")


def test_a_guest_order_after_the_deletion_is_a_new_customer(lake):
    lake.member("a", at=0, phone="1")
    lake.order("before", at=2, guest_phone="1")
    lake.member("a", at=5, deleted=True)
    lake.order("after", at=7, guest_phone="1")
    lake.resolve()
    before, after = lake.order_customer("before"), lake.order_customer("after")
    assert before == (lake.customer("a"), "phone")
    assert after is not None
    assert after[0] != lake.customer("a")
    assert lake.identity("phone", "1")["customer_id"] == after[0]


def test_a_member_delivered_only_as_deleted_is_a_customer_without_identifiers(lake):
    lake.member("a", phone="1", deleted=True)
    lake.member("b", phone="1")
    lake.resolve()
    assert not lake.same("a", "b")


def test_a_member_who_comes_back_after_deletion_links_again(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=5, deleted=True)
    lake.member("a", at=8, phone="1")
    lake.member("b", at=10, phone="1")
    lake.resolve()
    assert lake.same("a", "b")


def test_of_two_versions_of_one_time_the_later_arrival_counts(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=0, phone="2")
    lake.member("b", at=5, phone="1")
    lake.member("c", at=5, phone="2")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.same("a", "c")
