"""What must not merge anybody, and that the reason can be read."""


def test_a_staff_phone_links_nobody_and_says_why(lake):
    lake.staff("s1", "1")
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    report = lake.resolve()
    assert not lake.same("a", "b")
    blocked = lake.identity("phone", "1")
    assert (blocked["is_blocked"], blocked["customer_id"], blocked["n_sources"]) == (True, None, 2)
    assert blocked["reason"] == "a phone of the staff feed"
    assert report.blocked == {"staff": 1}


def test_a_staff_phone_that_arrives_later_parts_whom_it_linked(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.order("o", guest_phone="1")
    lake.resolve()
    assert lake.same("a", "b")
    founder = lake.customer("a")
    lake.staff("s1", "1", at=3)
    report = lake.resolve()
    assert not lake.same("a", "b")
    assert lake.customer("a") == founder
    assert lake.order_customer("o") is None
    assert (report.merges, report.splits) == (0, 1)
    (event,) = lake.merges()
    assert (event["kind"], event["from_customer_id"], event["into_customer_id"]) == (
        "split",
        founder,
        lake.customer("b"),
    )
    assert event["cause"] == "phone blocked: staff"


def test_a_phone_that_one_staff_version_showed_stays_blocked(lake):
    lake.staff("s1", "1", at=0)
    lake.staff("s1", "2", at=5)
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    assert not lake.same("a", "b")


def test_a_placeholder_links_nobody_and_shows_its_block(lake):
    lake.member("a", phone="13800000000", phone_issue="placeholder")
    lake.member("b", phone="13800000000", phone_issue="placeholder")
    lake.order("o", guest_email="none@", guest_email_issue="placeholder")
    lake.resolve()
    assert not lake.same("a", "b")
    assert lake.identity("phone", "13800000000")["block_rule"] == "placeholder"
    assert lake.identity("email", "none@")["is_blocked"]
    assert lake.order_customer("o") is None


def test_an_invalid_or_masked_number_is_no_identity(lake):
    lake.add("members", member_id="a", phone_issue="masked", updated_at="2024-01-01")
    lake.add("members", member_id="b", phone_issue="invalid", updated_at="2024-01-01")
    report = lake.resolve()
    assert report.customers == 2
    assert lake.rows("select count(*) from identity.identities where kind <> 'member'") == [(0,)]


def test_a_value_on_ten_members_links_them_all_and_on_eleven_nobody(lake):
    for number in range(10):
        lake.member(f"m{number}", phone="1")
    lake.resolve()
    assert lake.same(*(f"m{number}" for number in range(10)))
    lake.member("m10", phone="1")
    report = lake.resolve()
    assert report.customers == 11
    assert lake.identity("phone", "1")["reason"] == "on 11 members, the limit for phone is 10"


def test_each_kind_has_its_own_limit(lake):
    lake.rules("limits: {default: 10, email: 2}")
    for number in range(3):
        lake.member(f"m{number}", phone="1")
        lake.member(f"e{number}", email="x")
    lake.resolve()
    assert lake.same("m0", "m1", "m2")
    assert not lake.same("e0", "e1")


def test_one_member_in_many_versions_counts_once_against_the_limit(lake):
    lake.rules("limits: {default: 2}")
    for version in range(5):
        lake.member("a", at=version, phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    assert lake.same("a", "b")


def test_a_guest_phone_beside_many_addresses_is_a_hub(lake):
    lake.rules("limits: {default: 3}")
    for number in range(4):
        lake.order(f"o{number}", guest_phone="shop", guest_email=f"e{number}")
    lake.resolve()
    customers = {lake.order_customer(f"o{number}") for number in range(4)}
    assert len(customers) == 4
    assert {matched_by for _, matched_by in customers} == {"email"}
    assert lake.identity("phone", "shop")["block_rule"] == "limit"


def test_a_device_on_many_members_is_blocked_with_its_reason(lake):
    for number in range(11):
        lake.member(f"m{number}", devices=["tablet"])
    lake.member("x", devices=["own"])
    lake.resolve()
    tablet = lake.rows(
        "select is_blocked, reason, n_sources, customer_id from identity.identities where n_sources = 11"
    )
    assert tablet == [(True, "on 11 members, the limit for device_id is 10", 11, None)]
    own = lake.rows(
        "select is_blocked, customer_id from identity.identities where kind = 'device_id' and n_sources = 1"
    )
    assert own == [(False, lake.customer("x"))]


def test_a_new_member_on_a_blocked_value_touches_nobody_else(lake):
    for number in range(12):
        lake.member(f"m{number}", phone="hub")
    lake.resolve()
    lake.member("late", phone="hub")
    report = lake.resolve()
    assert report.touched_nodes == 1
    assert lake.identity("phone", "hub")["n_sources"] == 13


def test_a_change_of_limits_rebuilds_everything(lake):
    for number in range(3):
        lake.member(f"m{number}", phone="1")
    lake.resolve()
    lake.rules("limits: {default: 2}")
    report = lake.resolve()
    assert report.is_full
    assert report.customers == 3
    assert report.splits == 2
