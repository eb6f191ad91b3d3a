"""The nightly job in this process: the same Dagster job as in the UI, with progress for people."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.keys import ensure_keys
from pipelines.runs import runs
from pipelines.settings import REPOSITORY, Settings, note_places
from pipelines.warehouse import single_writer

if TYPE_CHECKING:
    import dagster as dg

    from pipelines.assets.platform import Platform


_OF_A_COMMAND = {"omnilake/started_by": "command"}
"""Tag of runs that live in the process of `omnilake run`, not in Dagster's own."""


@dataclass(frozen=True)
class RunSummary:
    """What a run took in and published."""

    run_id: str
    as_of: date
    rows_received: int
    rows_accepted: int
    rows_quarantined: int
    snapshot_id: str

    def line(self) -> str:
        """One line for people."""
        return (
            f"Run {self.run_id[:8]} as of {self.as_of}: {self.rows_received:,} rows received, "
            f"{self.rows_accepted:,} accepted, {self.rows_quarantined:,} quarantined; published {self.snapshot_id}."
        )


def run_nightly(
    settings: Settings,
    as_of: date | None,
    full_refresh: bool,
    activate: bool,
    progress: Callable[[str], None],
) -> RunSummary:
    """Run the job to its end.

    Raises ConfigurationError for a wrong setting (most are found before anything starts), TransientError if another run
    holds the home, and PermanentError with the failed step and its reason.
    """
    with single_writer(settings):
        from pipelines.activation.campaigns import load_campaigns
        from pipelines.activation.scheduled_exports import load_schedule
        from pipelines.assets.platform import Platform
        from pipelines.connectors.registry import load_connectors
        from pipelines.destinations.registry import load_destinations
        from pipelines.stock_health.rules import load_stock_rules

        platform = Platform(settings, progress)
        channels = platform.channels  # a wrong channels.yml stops here, before Dagster starts
        note_places(settings)
        load_connectors(settings, channels)  # so does a wrong setting or a missing secret of a connector
        if activate:  # and what would else be found at the end of the night
            load_campaigns(settings, set(load_destinations(settings)))
            load_schedule(settings)
        load_stock_rules(settings)
        had_key_file = settings.key_file.exists()
        ensure_keys(settings)
        if settings.key_file.exists() and not had_key_file:
            progress(f"keys: made {settings.key_file} (keep a copy in a safe place; without it the vault is lost)")
        progress(f"start: {len(channels.channels)} channels of {channels.path}")
        run_id = str(uuid.uuid4())
        _execute(platform, run_id, as_of, full_refresh, activate)
        with platform.engine.connect() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().one()
        platform.engine.dispose()
    return RunSummary(
        run_id,
        row["as_of"],
        row["rows_received"],
        row["rows_accepted"],
        row["rows_quarantined"],
        row["snapshot_id"],
    )


def prepare_dagster_home(settings: Settings) -> Path:
    """HOME/dagster with the project's dagster.yaml."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REPOSITORY / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    return settings.dagster_home


def end_killed_runs(instance: dg.DagsterInstance) -> None:
    """Free the places that killed runs hold in Dagster's pools, without which a run would wait for ever.

    The caller holds the writer lock, so no step that took a place is at work. Runs of this command that Dagster still
    takes for running are ended, lest they stand in the way of queued ones.
    """
    import dagster as dg

    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    alive = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=alive, tags=_OF_A_COMMAND)):
        instance.report_run_failed(run, "The process was killed; a later run took over.")


def _execute(platform: Platform, run_id: str, as_of: date | None, full_refresh: bool, activate: bool) -> None:
    import dagster as dg

    from pipelines.assets.jobs import run_options
    from pipelines.definitions import build_defs

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    job = build_defs(platform.settings, platform).resolve_job_def("nightly")
    options = run_options(as_of=as_of.isoformat() if as_of else "", full_refresh=full_refresh, activate=activate)
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(platform.settings))) as instance:
        end_killed_runs(instance)
        result = job.execute_in_process(
            run_config=options, instance=instance, raise_on_error=False, run_id=run_id, tags=_OF_A_COMMAND
        )
    platform.progress(f"steps: {_durations(result)}")
    if not result.success:
        fault = ConfigurationError if _is_configuration(result) else PermanentError
        raise fault(_reason(result, platform.settings))


def _is_configuration(result: dg.ExecuteInProcessResult) -> bool:
    """Whether the first step that failed met a wrong setting rather than a fault of the run."""
    failures = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    if not failures or failures[0] is None:
        return False
    code = failures[0].metadata.get("exit_code")
    return code is not None and code.value == ConfigurationError.exit_code


def _durations(result: dg.ExecuteInProcessResult) -> str:
    """Seconds of every step that succeeded, in their order; those below half a second are left out."""
    return ", ".join(
        f"{event.step_key} {event.step_success_data.duration_ms / 1000:.0f} s"
        for event in result.all_events
        if event.is_step_success and event.step_success_data.duration_ms >= 500
    )


def _reason(result: dg.ExecuteInProcessResult, settings: Settings) -> str:
    from dagster import AssetCheckSeverity

    log = settings.logs / "dagster.log"
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return f"Step {event.step_key}: {failure.user_failure_data.description}"
            cause = failure.error.cause if failure.error and failure.error.cause else failure.error
            words = (cause.message if cause else "no reason given").strip().splitlines()[0]
            return f"Step {event.step_key} failed: {words} Details in {log}"
    failed = [
        f"{check.asset_key.to_user_string()}: {check.check_name}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == AssetCheckSeverity.ERROR
    ]
    return f"Checks failed: {', '.join(failed) or 'none recorded'}. Details in {log}"
