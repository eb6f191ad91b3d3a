"""Ids that last, and the log of what became of them."""

import json

import pytest


def test_when_two_customers_join_the_elder_id_stays_and_the_merge_is_logged(lake):
    lake.member("a", phone="1")
    lake.member("b", channel="pos", phone="2")
    lake.resolve()
    elder, younger = lake.customer("a"), lake.customer("b", "pos")
    lake.member("b", channel="pos", at=3, phone="1")
    report = lake.resolve()
    assert lake.customer("a") == lake.customer("b", "pos") == elder
    assert report.merges == 1
    (event,) = lake.merges()
    assert (event["kind"], event["from_customer_id"], event["into_customer_id"]) == ("merge", younger, elder)
    assert event["cause"] == "shared phone"
    ((evidence),) = json.loads(event["evidence"])
    assert evidence["kind"] == "phone"
    assert evidence["holders"] == ["app/a", "pos/b"]
    assert str(event["at"]) == "2024-01-04 00:00:00"


def test_a_third_member_who_bridges_two_customers_merges_them(lake):
    lake.member("a", phone="1")
    lake.member("b", email="x")
    lake.resolve()
    lake.member("c", channel="pos", phone="1", email="x")
    report = lake.resolve()
    assert lake.same("a", "b", "pos/c")
    assert report.merges == 1
    assert lake.merges()[0]["cause"] == "shared email, phone"


def test_when_a_customer_parts_each_part_has_its_own_founders_id(lake):
    lake.member("a", at=0, phone="1")
    lake.member("b", at=0, phone="2")
    lake.resolve()
    ids = lake.customer("a"), lake.customer("b")
    lake.member("c", at=1, phone="1", email="x")
    lake.member("d", at=1, phone="2", email="x")
    lake.resolve()
    assert lake.same("a", "b", "c", "d")
    for number in range(11):
        lake.member(f"hub{number}", email="x")
    lake.resolve()
    assert (lake.customer("a"), lake.customer("b")) == ids


def test_a_rerun_logs_nothing_new(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.resolve()
    lake.member("b", at=3, phone="1")
    lake.resolve()
    for full in (False, True, False):
        lake.resolve(full=full)
        assert len(lake.merges()) == 1


def test_ids_survive_the_loss_of_the_warehouse(lake):
    lake.member("a", phone="1")
    lake.order("o", guest_email="x")
    lake.member("b", phone="2", email="x")
    lake.resolve()
    before = lake.rows("select * from identity.identities order by all")
    lake.connection.execute("drop schema identity cascade")
    lake.resolve()
    assert lake.rows("select * from identity.identities order by all") == before


def test_a_failed_run_leaves_everything_as_it_was(lake, monkeypatch):
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.resolve()
    before = lake.rows("select * from identity.identities order by all")
    lake.member("b", at=1, phone="1")
    from pipelines.identity import resolution

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(resolution, "_note_progress", fail)
    with pytest.raises(KeyboardInterrupt):
        lake.resolve()
    monkeypatch.undo()
    assert lake.rows("select * from identity.identities order by all") == before
    assert lake.resolve().merges == 1


def test_rows_that_vanish_from_raw_cause_a_rebuild(lake):
    lake.member("a", phone="1")
    lake.member("b", phone="1")
    lake.resolve()
    lake.connection.execute("delete from raw.members where member_id = 'b'")
    report = lake.resolve()
    assert report.is_full
    assert (report.memberships, report.customers) == (1, 1)


def test_evidence_and_reasons_hold_no_working_keys(lake):
    lake.member("a", wechat_openid="w")
    lake.member("b", phone="2")
    lake.resolve()
    lake.member("b", at=3, wechat_openid="w")
    lake.resolve()
    (event,) = lake.merges()
    ((evidence),) = json.loads(event["evidence"])
    stored = lake.rows("select identity from identity.identities where kind = 'wechat_openid'")
    assert [(evidence["identity"],)] == stored


def test_the_connections_own_settings_are_given_back(lake):
    setting = "select current_setting('preserve_insertion_order')"
    for value in (True, False):
        lake.connection.execute(f"set preserve_insertion_order = {value}")
        lake.resolve()
        assert lake.rows(setting) == [(value,)]


def test_a_number_handed_on_parts_its_former_holder_with_that_cause(lake):
    lake.member("a", at=0, phone="1")
    lake.member("a", at=10, phone="2")
    lake.member("b", at=5, phone="1")
    lake.resolve()
    assert lake.same("a", "b")
    lake.member("a", at=3, phone="3")
    lake.resolve()
    (event,) = lake.merges()
    assert (event["kind"], event["cause"]) == ("split", "phone handed on")
    owners = lake.rows("select customer_id from identity.value_owners where kind = 'phone' order by from_at")
    assert owners == [(lake.customer("a"),), (lake.customer("b"),)]
    assert not lake.identity("phone", "1")["is_blocked"]
