"""The files that the destination `files` writes."""

from __future__ import annotations

import pytest

from pipelines.destinations import files
from pipelines.destinations.registry import load_destinations
from pipelines.errors import ConfigurationError


def test_an_unfinished_file_is_not_received(world):
    world.publish([world.person("c1")])
    world.push()
    (path,) = (world.settings.outbound / "files" / "tags").glob("*.csv")
    path.rename(path.with_name(path.name + ".part"))

    destination = load_destinations(world.settings)["files"].destination
    assert destination.received("tags") == 0


def test_a_file_is_named_by_date_and_keys_alone(world, tmp_path):
    world.publish([world.person("c1"), world.person("c2")])
    world.push()
    names = sorted(world.files())

    assert len(names) == 2
    assert all(name.split("/")[-1].startswith("2026-03-31-") for name in names)


def test_a_full_disk_is_waited_out(world, monkeypatch):
    def full(*_: object, **__: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_rows", full)
    world.publish([world.person("c1")])
    world.push()
    assert world.states() == {"c1": "planned"}
    monkeypatch.undo()
    world.now = world.now.replace(hour=9)
    world.push()

    assert world.states() == {"c1": "applied"}
    assert len(world.received("coupons")) == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"kind": "carrier_pigeon"}, "kind 'carrier_pigeon'; choose one of: files, "),
        ({"kind": "files", "operations": ["letters"]}, "give a list of: tags, recommendations, coupon"),
        ({"kind": "files", "tags": "segment"}, "give a list of tag names"),
        (
            {"kind": "files", "folder": "x"},
            r"does not know the setting.* folder; it knows .*directory",
        ),
        ({"kind": "files", "format": "xls"}, "format 'xls'; choose one of: csv, parquet"),
        ({"kind": "files", "contact": "fax"}, "contact 'fax'; choose one of: phone, email"),
        (
            {"kind": "files", "operations": ["coupon"], "columns": {"k": "key", "c": "customer_id", "m": "contact"}},
            "columns that names contact; map each column to one of campaign_id, ",
        ),
        (
            {"kind": "files", "operations": ["coupon"], "columns": {"code": "coupon_code"}},
            "lacks key, customer_id; map each",
        ),
        ("files", "needs settings"),
    ],
)
def test_a_wrong_destination_is_named_with_its_remedy(world, entry, words):
    world.configure("destinations.yml", {"destinations": {"out": entry}})

    with pytest.raises(ConfigurationError, match=words):
        load_destinations(world.settings)


def test_a_providers_layout_of_coupons_loads(world):
    columns = {
        "mobile": "contact",
        "code": "coupon_code",
        "until": "valid_to",
        "custom_id": "key",
        "who": "customer_id",
    }
    entry = {"kind": "files", "operations": ["coupon"], "contact": "phone", "format": "parquet", "columns": columns}
    world.configure("destinations.yml", {"destinations": {"sms": entry}})

    assert load_destinations(world.settings)["sms"].destination.capabilities().contact == "phone"


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b"])
def test_a_destination_can_not_be_named_out_of_its_folder(world, name):
    world.configure("destinations.yml", {"destinations": {name: {"kind": "files"}}})

    with pytest.raises(ConfigurationError, match="unusable name"):
        load_destinations(world.settings)


def test_broken_yaml_is_a_configuration_error(world):
    world.configure("destinations.yml", {})
    (world.settings.home / "reference" / "destinations.yml").write_text("destinations: [")

    with pytest.raises(ConfigurationError, match="not readable YAML"):
        load_destinations(world.settings)
