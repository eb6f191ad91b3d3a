"""figures.yml: what it may say, and what is said about it otherwise."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from pipelines.figure_settings import load_figure_settings
from pipelines.settings import Settings


def load(home: Path, text: str | None = None) -> dict[str, object]:
    if text is not None:
        (home / "reference").mkdir(exist_ok=True)
        (home / "reference" / "figures.yml").write_text(text, encoding="utf-8")
    found = load_figure_settings(Settings(home=home))
    return {**found.values, **found.weights}


def test_the_packaged_file_is_whole_and_its_shares_sum_to_one(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found["funnel_min_persons"] == 100
    assert found["guiding"] + found["fulfilling"] + found["home"] == 1  # type: ignore[operator]


def test_a_home_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    found = load(tmp_path, "windows: {pickup_days: 3}\nattribution: {home: 1}\n")
    assert (found["windows_pickup_days"], found["windows_flow_days"]) == (3, 90)
    assert (found["guiding"], found["fulfilling"], found["home"]) == (0, 0, Decimal(1))
    assert load(tmp_path, "") == load_defaults(tmp_path)


def load_defaults(home: Path) -> dict[str, object]:
    (home / "reference" / "figures.yml").unlink()
    return load(home)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("attribution: {guiding: 0.5, fulfilling: 0.4, home: 0.2}", "sum to 1.1"),
        ("attribution: {guiding: 0.5}", "must sum to 1"),
        ("attribution: {guiding: -1, fulfilling: 1, home: 1}", "attribution.guiding"),
        ("attribution: {guiding: .nan, fulfilling: 1, home: 0}", "attribution.guiding"),
        ("windows: {flow_days: 0}", "windows.flow_days"),
        ("windows: {flow_days: true}", "windows.flow_days"),
        ("windows: {flow_days: '9'}", "windows.flow_days"),
        ("windows: 9", "windows must hold settings"),
        ("windows: {flow_dayz: 9}", "no such setting windows.flow_dayz"),
        ("store_tiers: {S: 0.4}", "must fall from S over A to B"),
        ("prices: {gap: 0.00001}", "prices.gap"),
        ("prices: {gap: one}", "prices.gap"),
        ("- funnel", "groups of settings"),
        ("funnel: {", "not readable YAML"),
    ],
)
def test_what_cannot_be_is_named_with_its_remedy(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load(tmp_path, text)
