"""channels.yml's connectors: settings and secrets are found wrong at start, by name, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.channels import Channels, load_channels
from pipelines.connectors import registry
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings


def channels_with(settings: Settings, **entry: Any) -> Channels:
    path = settings.home / "reference" / "channels.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    mall = {"id": "mall", "kind": "pc_web", "connector": "shop", "url": "https://shop.example", **entry}
    path.write_text(yaml.safe_dump({"channels": [mall, {"id": "till", "kind": "pos"}]}))
    return load_channels(settings)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """A registry with one kind, which remembers what it was given."""
    options: list[Options] = []
    monkeypatch.setattr(registry, "KINDS", {"shop": lambda given: options.append(given) or given})
    return options


def test_a_channel_of_files_has_no_connector(settings, seen):
    connectors = registry.load_connectors(settings, channels_with(settings, api_key_env="MALL_KEY"), {"MALL_KEY": "k"})

    assert list(connectors) == ["mall"]


def test_a_connector_gets_its_settings_and_its_secrets_apart(settings, seen):
    channels = channels_with(settings, api_key_env="MALL_KEY", since="2026-01-01", ca_file="ca.pem")
    registry.load_connectors(settings, channels, {"MALL_KEY": " s3cr3t\n"})

    expected = {"url": "https://shop.example", "ca_file": str(channels.path.parent / "ca.pem")}
    assert seen == [Options("mall", expected, {"api_key": "s3cr3t"})]
    assert "s3cr3t" not in repr(seen)


@pytest.mark.parametrize("environ", [{}, {"MALL_KEY": ""}, {"MALL_KEY": "  "}])
def test_a_missing_secret_is_named_with_its_channel_and_variable(settings, seen, environ):
    with pytest.raises(ConfigurationError, match=r"'mall'.*api_key_env: MALL_KEY"):
        registry.load_connectors(settings, channels_with(settings, api_key_env="MALL_KEY"), environ)


@pytest.mark.parametrize("value", ["sk-live-0123456789", "abc/def", 42, None, ["MALL_KEY"]])
def test_a_secret_written_in_the_place_of_its_variable_is_not_quoted(settings, seen, value):
    with pytest.raises(ConfigurationError, match="name of an environment variable") as caught:
        registry.load_connectors(settings, channels_with(settings, api_key_env=value), {})

    assert str(value) not in str(caught.value)


def test_an_unknown_connector_is_told_with_the_valid_ones(settings, seen):
    with pytest.raises(ConfigurationError, match=r"'mall'.*'shoppe'; choose one of files, shop"):
        registry.load_connectors(settings, channels_with(settings, connector="shoppe"), {})


READS = {
    "text": lambda read: read.text("name"),
    "url": lambda read: read.url(),
    "whole": lambda read: read.whole("size", 10, most=100),
    "flag": lambda read: read.flag("guests", True),
    "texts": lambda read: read.texts("stores"),
    "mapping": lambda read: read.mapping("stock"),
}


@pytest.mark.parametrize(
    ("method", "settings", "value"),
    [
        ("text", {"name": " x "}, "x"),
        ("text", {"name": 7}, "7"),
        ("url", {"url": "https://shop.example/"}, "https://shop.example"),
        ("whole", {}, 10),
        ("whole", {"size": 100}, 100),
        ("flag", {"guests": False}, False),
        ("texts", {"stores": ["a", 1]}, ("a", "1")),
        ("mapping", {}, {}),
    ],
)
def test_a_setting_is_read_as_its_type(method, settings, value):
    assert READS[method](SettingsReader(Options("mall", settings))) == value


@pytest.mark.parametrize(
    ("method", "settings", "name"),
    [
        ("text", {}, "name"),
        ("text", {"name": ""}, "name"),
        ("text", {"name": True}, "name"),
        ("text", {"name": ["x"]}, "name"),
        ("url", {"url": "shop.example"}, "url"),
        ("whole", {"size": 101}, "size"),
        ("whole", {"size": True}, "size"),
        ("whole", {"size": "many"}, "size"),
        ("flag", {"guests": "no"}, "guests"),
        ("texts", {"stores": "a"}, "stores"),
        ("mapping", {"stock": []}, "stock"),
    ],
)
def test_an_unusable_setting_is_named_with_its_channel(method, settings, name):
    with pytest.raises(ConfigurationError, match=f"'mall'.*{name}"):
        READS[method](SettingsReader(Options("mall", settings)))


def test_a_setting_that_nobody_asked_for_is_refused_with_the_known_ones():
    read = SettingsReader(Options("mall", {"url": "https://x", "urll": 1}, {"api_kye": "secret"}))
    read.url()
    read.secret("api_key", None)

    with pytest.raises(ConfigurationError, match=r"urll, api_kye_env; it knows api_key_env, url") as caught:
        read.end()
    assert "secret" not in str(caught.value).replace("secret(s)", "")


def test_a_needed_secret_is_asked_for_by_the_name_of_its_setting():
    with pytest.raises(ConfigurationError, match="'mall' needs api_key_env"):
        SettingsReader(Options("mall")).secret("api_key")


def test_a_ca_file_is_a_path():
    assert SettingsReader(Options("mall", {"ca_file": "/etc/ca.pem"})).ca_file() == Path("/etc/ca.pem")
    assert SettingsReader(Options("mall")).ca_file() is None
