"""golden_record.yml and consent.yml: what they may say."""

from __future__ import annotations

import pytest

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.survivorship import ATTRIBUTES, survivorship_tables
from tests.support.raw_tables import a_channel, the_channels

CHANNELS = the_channels(a_channel("mall", kind="pc_web"), a_channel("till", kind="pos"), a_channel("gate", kind="pos"))


def _write(settings: Settings, name: str, text: str) -> None:
    folder = settings.home / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_the_packaged_rules_cover_every_attribute_and_channel(settings: Settings) -> None:
    tables = survivorship_tables(settings, CHANNELS)
    assert [row[0] for row in tables["golden_rules"][1]] == list(ATTRIBUTES)
    assert len(tables["golden_sources"][1]) == len(ATTRIBUTES) * 3
    assert tables["consent_rules"][1] == [("stricter",)]


def test_a_channel_named_by_its_id_goes_before_its_kind_and_what_is_not_named_comes_last(settings: Settings) -> None:
    _write(settings, "golden_record.yml", "sources: [gate, pos]\nattributes:\n  name: {by: [source, earliest]}\n")
    tables = survivorship_tables(settings, CHANNELS)
    ranks = {channel: rank for name, channel, rank in tables["golden_sources"][1] if name == "name"}
    assert ranks == {"mall": 2, "till": 1, "gate": 0}
    assert tables["golden_rules"][1][0] == ("name", "source", "earliest", None, "source > earliest")
    assert tables["golden_rules"][1][1] == ("phone", "latest", None, None, "latest")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("golden_record.yml", "attributes: [name]", "attributes must map"),
        ("golden_record.yml", "attributes: {shoe: {}}", "attributes must map"),
        ("golden_record.yml", "attributes: {name: {by: [loudest]}}", "name.by"),
        ("golden_record.yml", "attributes: {name: {by: [latest, earliest]}}", "not both"),
        ("golden_record.yml", "attributes: {name: {by: []}}", "name.by"),
        ("golden_record.yml", "sources: [moon]\nattributes: {}", "list channels"),
        ("golden_record.yml", "sauces: []", "may hold only"),
        ("golden_record.yml", "- 1", "mapping"),
        ("consent.yml", "consent: {rule: loudest}", "stricter, latest"),
        ("consent.yml", "consent: stricter", "must hold"),
        ("consent.yml", "rule: stricter", "must hold"),
        ("consent.yml", "{", "not readable YAML"),
    ],
)
def test_a_wrong_rule_is_named_with_the_remedy(settings: Settings, name: str, text: str, words: str) -> None:
    _write(settings, name, text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        survivorship_tables(settings, CHANNELS)
    assert name in str(caught.value)
