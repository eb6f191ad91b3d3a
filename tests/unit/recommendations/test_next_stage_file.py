"""next_stage.yml: what holds, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from pipelines.recommendations import load_rules
from pipelines.settings import Settings


def written(home: Path, text: str) -> Settings:
    (home / "reference").mkdir(parents=True)
    (home / "reference" / "next_stage.yml").write_text(text, encoding="utf-8")
    return Settings(home=home)


def test_a_home_without_the_file_takes_the_packaged_one(tmp_path: Path) -> None:
    rules = load_rules(Settings(home=tmp_path))
    assert [(span.line, span.stage) for span in rules.stages][:2] == [("milk_powder", 1), ("milk_powder", 2)]


def test_an_empty_file_means_no_stages(tmp_path: Path) -> None:
    assert load_rules(written(tmp_path, "")).stages == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: {milk: {1: [0, 6], 2: [5, 12]}}", "stage 2 begins in month 5, before stage 1 ends in month 6"),
        ("stages: {milk: {1: [6, 6]}}", "lasts from month 6 to 6"),
        ("stages: {milk: {one: [0, 6]}}", "stages.milk.one"),
        ("stages: {milk: {1: 6}}", r"give \[first month"),
        ("stages: [milk]", "stages must be a mapping"),
        ("durable_categories: durables", "durable_categories must be a list"),
        ("stage: {}", "the only settings are"),
        ("stages: {", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_rules(written(tmp_path, text))
