from __future__ import annotations

from datetime import date

from pipelines.runs import RowCounts, fail_run, finish_run, record_rows, runs_table, start_run
from pipelines.settings import Settings
from pipelines.state import state

AS_OF = date(2026, 6, 30)


def statuses(settings: Settings) -> dict[str, str]:
    with state(settings) as engine:
        return {row["run_id"]: row["status"] for row in runs_table(engine).to_pylist()}


def test_a_run_that_was_killed_is_marked_when_the_next_one_starts(settings: Settings) -> None:
    with state(settings) as engine:
        start_run(engine, "killed", "nightly", AS_OF)
        start_run(engine, "next", "nightly", AS_OF)
        finish_run(engine, "next", "snapshot-1")
    assert statuses(settings) == {"killed": "interrupted", "next": "success"}


def test_a_retried_step_does_not_start_the_run_twice(settings: Settings) -> None:
    with state(settings) as engine:
        start_run(engine, "run", "nightly", AS_OF)
        start_run(engine, "run", "nightly", AS_OF)
        record_rows(engine, "run", RowCounts(5, 4, 1))
        fail_run(engine, "run", "step dbt failed")
        (row,) = runs_table(engine).to_pylist()
    assert (row["rows_received"], row["rows_accepted"], row["rows_quarantined"]) == (5, 4, 1)
    assert (row["status"], row["error"]) == ("failed", "step dbt failed")


def test_the_table_shows_the_run_that_publishes_it_as_the_success_it_then_is(settings: Settings) -> None:
    with state(settings) as engine:
        start_run(engine, "run", "nightly", AS_OF)
        (row,) = runs_table(engine, ending="run", snapshot_id="snapshot-9").to_pylist()
    assert (row["status"], row["snapshot_id"]) == ("success", "snapshot-9")
    assert statuses(settings) == {"run": "running"}
