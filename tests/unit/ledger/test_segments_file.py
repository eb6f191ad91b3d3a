"""segments.yml: what is refused, in words, and what becomes of what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines.errors import ConfigurationError
from pipelines.reference import load_reference, load_segment_rules
from pipelines.settings import PACKAGED_REFERENCE, Settings
from tests.support.raw_tables import a_channel, the_channels


def write_rules(settings: Settings, change: Callable[[dict[str, Any]], object]) -> Path:
    rules = yaml.safe_load((PACKAGED_REFERENCE / "segments.yml").read_text())
    change(rules)
    path = settings.home / "reference" / "segments.yml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(rules, allow_unicode=True))
    return path


def test_the_packaged_rules_give_every_cell_one_segment(settings: Settings) -> None:
    cells = [cell for segment in load_segment_rules(settings).segments for cell in segment.cells or ()]
    assert len(cells) == len(set(cells)) == 125


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["segments"].pop(), "no segment has the cell"),
        (lambda r: r["segments"][0]["cells"].pop("m"), "it must belong to exactly one"),
        (lambda r: r["segments"][0].update(name="dormant"), "used twice"),
        (lambda r: r["segments"][0].pop("name"), "segment number 1 has no `name`"),
        (lambda r: r["segments"][0].pop("zh"), "needs a name in both languages"),
        (lambda r: r["segments"][0]["cells"].update(r=[0]), "list scores from 1 to 5"),
        (lambda r: r["segments"][0].update(cells="all"), "lists of scores"),
        (lambda r: r.update(segments={}), "needs a list `segments:`"),
        (lambda r: r["rfm"].update(method="ntile"), "choose one of fixed, quantiles"),
        (lambda r: r["rfm"].update(recency_days=[30, 14, 60, 120]), "that grow"),
        (lambda r: r["rfm"].update(frequency=[2, 3, 5]), "must list 4 whole numbers"),
        (lambda r: r["rfm"].update(frequency=[2, 3, 5, 8.5]), "must list 4 whole numbers"),
        (lambda r: r["rfm"].update(monetary=[1, 2, 3, "many"]), "rfm.monetary"),
        (lambda r: r.pop("rfm"), "rfm must be a mapping"),
        (lambda r: r["lifecycle"].update(active_days=90), "lifecycle days must grow"),
        (lambda r: r["lifecycle"].update(new_days="soon"), "lifecycle.new_days is 'soon'"),
        (lambda r: r["lifecycle"].update(method="moon"), "choose one of fixed, rhythm"),
        (lambda r: r["lifecycle"].update(active_gaps="often"), "lifecycle.active_gaps is 'often'"),
        (lambda r: r["lifecycle"].update(at_risk_gaps=7), "lifecycle gaps must grow"),
        (lambda r: r["lifecycle"].update(least_repeaters=-1), "lifecycle.least_repeaters is -1"),
        (lambda r: r["lifecycle"]["names"].pop("lost"), "lifecycle.names.lost"),
        (lambda r: r["snapshots"].update(keep_daily_days=-1), "snapshots.keep_daily_days"),
    ],
)
def test_wrong_rules_are_refused_by_name(
    settings: Settings, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    path = write_rules(settings, change)
    with pytest.raises(ConfigurationError) as refusal:
        load_segment_rules(settings)
    assert says in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_file_that_is_no_yaml_is_refused(settings: Settings) -> None:
    path = write_rules(settings, lambda rules: None)
    path.write_text("rfm: [")
    with pytest.raises(ConfigurationError, match="not readable YAML"):
        load_segment_rules(settings)


def test_definitions_say_in_words_what_the_cutoffs_mean(settings: Settings) -> None:
    definitions = {segment.name: segment for segment in load_segment_rules(settings).segments}
    assert definitions["champions"].definition_en == "last order within 30 days, at least 5 orders, net 1200 or more"
    assert definitions["cooling_occasionals"].definition_zh == "距上次购买 31 至 60 天，订单不足 3 笔"
    assert "2 orders, net below 1200" in definitions["promising"].definition_en
    assert definitions["dormant"].definition_en == "last order 3 to 6 own usual gaps ago"
    assert definitions["dormant"].definition_zh == "距上次购买为本人惯常间隔的 3 至 6 倍"


def test_a_file_that_speaks_of_days_alone_goes_by_days(settings: Settings) -> None:
    def leave_days_alone(rules: dict[str, Any]) -> None:
        for name in ("method", "active_gaps", "at_risk_gaps", "dormant_gaps", "least_repeaters"):
            rules["lifecycle"].pop(name)

    write_rules(settings, leave_days_alone)
    rules = load_segment_rules(settings)
    assert rules.lifecycle_method == "fixed"
    definitions = {segment.name: segment for segment in rules.segments}
    assert definitions["dormant"].definition_en == "last order 91 to 180 days ago"


def test_wrong_rules_leave_the_reference_tables_as_they_were(settings: Settings) -> None:
    channels = the_channels(a_channel("pos"))
    with duckdb.connect() as connection:
        load_reference(connection, settings, channels, date(2026, 6, 30))
        write_rules(settings, lambda rules: rules["segments"].pop())
        with pytest.raises(ConfigurationError):
            load_reference(connection, settings, channels, date(2026, 7, 1))
        assert connection.execute("SELECT as_of FROM reference.run_settings").fetchall() == [(date(2026, 6, 30),)]
        assert connection.execute("SELECT count(*) FROM reference.rfm_cells").fetchone() == (125,)


def test_a_time_zone_that_the_database_does_not_know_is_refused_by_name(settings: Settings) -> None:
    channels = the_channels(a_channel("till", timezone="Mars/Olympus"))
    with duckdb.connect() as connection, pytest.raises(ConfigurationError, match=r"'till' has timezone 'Mars/Olympus'"):
        load_reference(connection, settings, channels, date(2026, 6, 30))
