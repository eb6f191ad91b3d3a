"""Exports that write themselves: once a period, whatever happens in between."""

from __future__ import annotations

import os
import time
from datetime import date

import pytest

from pipelines.activation.export_log import list_exports
from pipelines.activation.scheduled_exports import ScheduledExport, load_schedule, prune, run_due
from pipelines.errors import ConfigurationError
from pipelines.settings import PACKAGED_REFERENCE


@pytest.fixture
def schedule(world):
    """Writes the home's exports.yml."""

    def write(text):
        path = world.settings.home / "reference" / "exports.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write


def run(world):
    said = []
    return run_due(world.settings, world.engine, said.append)


WEEKLY = "exports: {sleepers: {segment: hibernating, format: csv, every: week, fields: [customer_id]}}"


def test_an_export_is_written_once_a_period(world, schedule):
    world.publish([world.person("c1")])
    schedule(WEEKLY)
    assert len(run(world).written) == 1
    (row,) = list_exports(world.engine)
    assert row["file"].endswith("exports/scheduled/sleepers/sleepers-2026-W14.csv")
    assert (row["actor"], row["rows_written"]) == ("schedule", 1)
    assert run(world).written == ()
    world.publish([world.person("c1"), world.person("c2")])
    assert run(world).written == ()
    assert len(list_exports(world.engine)) == 1


def test_one_that_was_begun_and_never_ended_is_written_again(world, schedule, monkeypatch):
    world.publish([world.person("c1")])
    schedule(WEEKLY)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.activation.export_log._write", lambda _receipt: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(world)
    assert len(run(world).written) == 1
    assert run(world).written == ()


def test_one_that_fails_keeps_no_other_from_being_written(world, schedule):
    world.publish([world.person("c1")])
    schedule("exports:\n  bad: {segment: nobody, format: csv, every: day}\n"
             "  good: {segment: hibernating, format: parquet, every: day}\n")  # fmt: skip
    done = run(world)
    assert len(done.written) == 1
    assert "no segment 'nobody'" in done.failures[0]
    assert len(run(world).failures) == 1


@pytest.mark.parametrize(("every", "name"), [("day", "2026-12-31"), ("week", "2026-W53"), ("month", "2026-12")])
def test_a_period_has_a_name(every, name):
    export = ScheduledExport(segment="x", format="csv", every=every)
    assert export.period(date(2026, 12, 31)) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exports: {a: {segment: x, format: doc, every: day}}", "exports.a.format"),
        ("exports: {a: {segment: x, format: csv, every: hour}}", "exports.a.every"),
        ("exports: {a: {segment: x, format: csv, every: day, fields: [phone]}}", "say why with purpose"),
        ("exports: {a: {segment: x, format: csv, every: day, hash: md5}}", "sha256-meta"),
        ("exports: {../a: {segment: x, format: csv, every: day}}", "letters"),
        ("keep_days: 0", "keep_days"),
        ("exports: [", "YAML"),
        ("other: 1", "other"),
    ],
)
def test_a_fault_of_the_file_is_named(world, schedule, text, words):
    schedule(text)
    with pytest.raises(ConfigurationError, match=words):
        load_schedule(world.settings)


def test_the_packaged_file_schedules_nothing(world):
    assert (PACKAGED_REFERENCE / "exports.yml").is_file()
    assert load_schedule(world.settings).exports == {}
    assert run(world).written == ()


def test_files_beyond_their_time_are_deleted_and_records_stay(world, schedule):
    world.publish([world.person("c1")])
    schedule("keep_days: 7\n" + WEEKLY)
    run(world)
    folder = world.settings.exports / "scheduled" / "sleepers"
    assert len(list(folder.iterdir())) == 2
    for path in folder.iterdir():
        os.utime(path, (time.time() - 8 * 86400,) * 2)
    assert prune(world.settings, 9) == 0
    assert prune(world.settings, 7) == 2
    assert len(list_exports(world.engine)) == 1
