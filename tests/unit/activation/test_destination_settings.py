"""destinations.yml: what every kind shares, and what a destination takes over from its channel."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipelines.connectors.options import SettingsReader
from pipelines.destinations import registry
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import load_destinations
from pipelines.errors import ConfigurationError

CHANNELS = {
    "channels": [
        {
            "id": "mall", "kind": "pc_web", "connector": "shop", "url": "https://mall.example", "pages": 7,
            "api_key_env": "MALL_KEY", "since": "2026-01-01",
        }
    ]
}  # fmt: skip


@pytest.fixture
def connected(world, monkeypatch):
    """The arguments of every `connect` of kind `shop`."""
    calls = []

    def connect(*arguments):
        calls.append(arguments)
        return "a destination"

    monkeypatch.setitem(registry.KINDS, "shop", connect)
    world.configure("channels.yml", CHANNELS)
    return calls


def configure(world, **entry):
    world.configure("destinations.yml", {"destinations": {"out": {"kind": "shop", **entry}}})


def test_url_and_secrets_come_from_the_channel_and_own_settings_stand_above(world, connected):
    configure(world, channel="mall", pages=9, token_env="OWN", operations=["tags"], prefix="mine:")
    load_destinations(world.settings, environ={"MALL_KEY": "k", "OWN": "o"})

    name, operations, options, prefix = connected[0]
    assert (name, operations, prefix) == ("out", (Operation.TAGS,), "mine:")
    assert options.channel == "mall"
    assert options.settings == {"url": "https://mall.example", "pages": 9}
    assert options.secrets == {"api_key": "k", "token": "o"}
    assert options.inherited == {"url", "api_key"}


def test_without_a_channel_a_destination_has_its_own_settings_alone(world, connected):
    configure(world, url="https://other.example")
    load_destinations(world.settings, environ={})

    assert connected[0][2].settings == {"url": "https://other.example"}
    assert connected[0][2].channel == ""
    assert connected[0][3] == "omnilake:"


def test_a_misspelt_setting_is_refused_and_what_only_the_connector_knows_is_not(world, connected, monkeypatch):
    def connect(name, operations, options, prefix):
        read = SettingsReader(options, f"destination {name!r}")
        read.url()
        read.secret("api_key")
        read.end()

    monkeypatch.setitem(registry.KINDS, "shop", connect)
    configure(world, channel="mall")
    load_destinations(world.settings, environ={"MALL_KEY": "k"})

    configure(world, channel="mall", curency="CNY")
    with pytest.raises(ConfigurationError, match=r"does not know the setting\(s\) curency"):
        load_destinations(world.settings, environ={"MALL_KEY": "k"})


def test_a_missing_secret_is_named_with_its_variable(world, connected):
    configure(world, channel="mall")
    with pytest.raises(ConfigurationError, match="api_key_env: MALL_KEY, which is not set"):
        load_destinations(world.settings, environ={})


def test_no_secret_is_shown_by_the_settings(world, connected):
    configure(world, channel="mall")
    configured = load_destinations(world.settings, environ={"MALL_KEY": "hidden-value"})

    assert "hidden-value" not in repr(configured)
    assert configured["out"].settings.options.secrets == {"api_key": "hidden-value"}


def test_shared_settings_are_read_exactly(world, connected):
    configure(world, concurrency=8, max_deletes_share=0.1, max_deletes_floor=3)
    settings = load_destinations(world.settings)["out"].settings

    assert (settings.concurrency, settings.max_deletes_share, settings.max_deletes_floor) == (8, Decimal("0.1"), 3)


def test_files_of_a_channel_are_addressed_by_its_members(world):
    world.configure("channels.yml", CHANNELS)
    world.configure("destinations.yml", {"destinations": {"sms": {"kind": "files", "channel": "mall"}}})

    assert load_destinations(world.settings, environ={})["sms"].destination.capabilities().channel == "mall"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"channel": "nowhere"}, "names channel 'nowhere'.*has: mall"),
        ({"prefix": " "}, "prefix ' '; give a text"),
        ({"prefix": 7}, "prefix 7; give a text"),
        ({"concurrency": 0}, "concurrency 0; give a whole number from 1 to 64"),
        ({"concurrency": True}, "concurrency True"),
        ({"concurrency": 65}, "concurrency 65"),
        ({"max_deletes_share": 1.5}, "max_deletes_share 1.5; give a share from 0 to 1"),
        ({"max_deletes_share": "much"}, "max_deletes_share 'much'"),
        ({"max_deletes_share": True}, "max_deletes_share True"),
        ({"max_deletes_share": "NaN"}, "max_deletes_share 'NaN'"),
        ({"max_deletes_floor": -1}, "max_deletes_floor -1; give a whole number of 0 or more"),
    ],
)
def test_a_wrong_shared_setting_is_named_with_its_remedy(world, connected, entry, words):
    configure(world, **entry)
    with pytest.raises(ConfigurationError, match=words):
        load_destinations(world.settings, environ={"MALL_KEY": "k"})
