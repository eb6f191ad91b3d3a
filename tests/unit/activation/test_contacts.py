"""Phones and e-mail addresses for the destinations that ask for them: from the vault, at the moment of sending."""

from __future__ import annotations

import json
import sqlite3

import duckdb

from pipelines.activation import push as pushing
from pipelines.activation.contacts import contacts_of
from pipelines.errors import ConfigurationError
from pipelines.keys import ensure_keys
from pipelines.vault import Vault
from pipelines.warehouse import current_snapshot

PHONE = "+8613900000001"


def golden(world, *rows: tuple[str, str, bool, str, str]) -> None:
    """Give the published snapshot a golden record: customer, attribute, is_valid, channel, member."""
    with duckdb.connect(str(current_snapshot(world.settings))) as connection:
        connection.execute(
            "CREATE TABLE marts.golden_record (customer_id VARCHAR, attribute VARCHAR, is_valid BOOLEAN, "
            "source_channel VARCHAR, source_member VARCHAR)"
        )
        connection.executemany("INSERT INTO marts.golden_record VALUES (?, ?, ?, ?, ?)", rows)


def test_everybody_comes_with_the_contact_that_the_destination_asks_for(world, fake, monkeypatch):
    asked = []

    def contacts(kind, customers):
        asked.append((kind, sorted(customers)))
        return {"c1": PHONE}

    monkeypatch.setattr(pushing, "contacts_of", lambda _settings: contacts)
    fake.contact = "phone"
    world.publish([world.person("c1"), world.person("c2")])
    world.push()

    assert world.states() == {"c1": "applied", "c2": "rejected"}
    assert ("phone", ["c1", "c2"]) in asked
    assert [coupon.recipient.contact for coupon in fake.applied["coupon"]] == [PHONE]
    assert {row["reason"] for row in world.log() if row["state"] == "rejected"} == {
        "no usable phone is known of this customer"
    }
    with sqlite3.connect(world.settings.home / "state.db") as database:
        assert PHONE not in "".join(database.iterdump())


def test_a_vault_that_does_not_open_keeps_everything_planned(world, fake, monkeypatch):
    def contacts(_kind, _customers):
        raise ConfigurationError("OMNILAKE_VAULT_KEY is not the key of this vault.")

    monkeypatch.setattr(pushing, "contacts_of", lambda _settings: contacts)
    fake.contact = "email"
    world.publish([world.person("c1")])
    report = world.push()

    assert world.states() == {"c1": "planned"}
    assert "not the key of this vault" in report.failures[0]
    assert fake.calls["coupon"] == 0


def test_a_contact_is_the_golden_records_in_its_normal_form(world):
    keys = ensure_keys(world.settings)
    profiles = [("mall", "m1", "139 0000 0001"), ("pos", "m2", "not a phone"), ("pos", "m3", "13900000003")]
    with Vault.open(world.settings, keys) as vault:
        vault.seal_profiles(
            (channel, member, 1, 1, json.dumps({"phone": phone})) for channel, member, phone in profiles
        )
    world.publish([world.person(f"c{number}") for number in range(1, 5)])
    golden(
        world,
        ("c1", "phone", True, "mall", "m1"),
        ("c2", "phone", True, "pos", "m2"),
        ("c3", "phone", False, "pos", "m3"),
        ("c4", "phone", True, "pos", "erased"),
    )

    assert contacts_of(world.settings)("phone", ["c1", "c2", "c3", "c4", "c5"]) == {"c1": PHONE}
