from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from pipelines.channels import load_channels
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings


def write(settings: Settings, text: str) -> Settings:
    path = settings.home / "reference" / "channels.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return settings


def test_defaults_are_filled_in(settings: Settings) -> None:
    channels = load_channels(write(settings, "channels: [{id: mall, kind: pc_web}, {id: till, kind: pos}]"))
    mall, till = channels.channels["mall"], channels.channels["till"]
    assert (channels.reporting_currency, channels.timezone, channels.language) == ("CNY", "Asia/Shanghai", "zh")
    assert (mall.name, mall.online, mall.currency, mall.timezone) == ("mall", True, "CNY", "Asia/Shanghai")
    assert (till.online, till.business_day_cutoff, till.encoding) == (False, time(0), "utf-8")


@pytest.mark.parametrize("cutoff", ['"04:00"', "04:00", "4:00"])
def test_a_cutoff_means_the_same_with_and_without_quotes(settings: Settings, cutoff: str) -> None:
    write(settings, f"channels: [{{id: a, kind: pos, business_day_cutoff: {cutoff}}}]")
    assert load_channels(settings).channels["a"].business_day_cutoff == time(4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("channels: {}", "top-level list"),
        ("- a: [", "not readable YAML"),
        ("channels: [{kind: pos}]", "number 1 has no `id`"),
        ("channels: [{id: a, kind: shop}]", "channel 'a' has kind 'shop'"),
        ("channels: [{id: a, kind: pos}, {id: a, kind: pos}]", "'a' is defined twice"),
        ("channels: [{id: a, kind: pos, timezone: Mars}]", "timezone is 'Mars'"),
        ("channels: [{id: a, kind: pos, currency: RMB}]", "currency is 'RMB'"),
        ("channels: [{id: a, kind: pos, encoding: klingon}]", "unknown encoding 'klingon'"),
        ("channels: [{id: a, kind: pos, business_day_cutoff: dawn}]", "business_day_cutoff 'dawn'"),
        ("channels: [{id: _shared, kind: pos}]", "reserved id"),
        ("channels: []\nreporting_currency: XXX", "reporting_currency is 'XXX'"),
        ("channels: []\nlanguage: fr", "language is 'fr'"),
    ],
)
def test_a_wrong_file_is_refused_in_words(settings: Settings, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_channels(write(settings, text))


def test_without_a_file_the_message_says_where_it_was_looked_for(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"No channels\.yml at .*reference/channels\.yml or .*landing"):
        load_channels(settings)


def test_the_file_in_the_landing_folder_is_the_last_resort(settings: Settings, tmp_path: Path) -> None:
    settings.landing.mkdir(parents=True)
    (settings.landing / "channels.yml").write_text("channels: [{id: landed, kind: app}]")
    assert list(load_channels(settings).channels) == ["landed"]
    write(settings, "channels: [{id: own, kind: app}]")
    assert list(load_channels(settings).channels) == ["own"]
