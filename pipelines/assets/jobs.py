"""Jobs, their schedules, the sensor for new files, and the record of a failed run."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.assets.connectors import PULLED
from pipelines.assets.platform import Platform
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.landing import FORMATS
from pipelines.runs import fail_run

INTRADAY_FEEDS = ("orders", "order_lines", "refunds", "events")
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
BACKFILL_START = "2020-01-01"


@dg.failure_hook(required_resource_keys={"platform"})
def record_failure(context: dg.HookContext) -> None:
    """The run's row says that it failed and where."""
    fail_run(context.resources.platform.engine, context.run_id, f"step {context.op.name} failed")


def run_options(*, as_of: str = "", full_refresh: bool = False, activate: bool = True) -> dict:
    """Run configuration of every job here."""
    options = {"as_of": as_of, "full_refresh": full_refresh, "activate": activate}
    return {"resources": {"options": {"config": options}}, "loggers": {"file": {}}}


@dg.daily_partitioned_config(start_date=BACKFILL_START)
def business_date(start: object, _end: object) -> dict:
    """A partition of the backfill is a business date: its marts as of that day, nothing pushed."""
    return run_options(as_of=f"{start:%Y-%m-%d}", activate=False)


def build_jobs() -> list[Any]:
    """nightly: everything. intraday: orders and events to the marts, nothing pushed. backfill: history by date."""
    everything = dg.AssetSelection.all()
    pushing = dg.AssetSelection.assets(
        ["activation", "deliveries"], ["snapshots", "current"], ["activation", "exports"]
    )
    publishing = dg.AssetSelection.assets(["snapshots", "marts"]) | pushing
    pulled = dg.AssetSelection.assets(PULLED)
    raw = dg.AssetSelection.assets(*(["raw", name] for name in FEEDS))
    other_feeds = dg.AssetSelection.assets(*(["raw", name] for name in FEEDS if name not in INTRADAY_FEEDS))
    hooks = {record_failure}
    executor = dg.in_process_executor
    return [
        dg.define_asset_job(
            "nightly", everything, config=run_options(), hooks=hooks, executor_def=executor,
            description="Feeds of every channel to published marts, then the push.",
        ),
        dg.define_asset_job(
            "intraday", everything - other_feeds, config=run_options(activate=False), hooks=hooks,
            executor_def=executor, description="Orders, refunds and events only, published without a push.",
        ),
        dg.define_asset_job(
            "backfill", everything - pulled - raw - publishing, config=business_date, hooks=hooks,
            executor_def=executor,
            description="Marts as of past business dates, for their history; publishes and pushes nothing.",
        ),
    ]  # fmt: skip


def landing_fingerprint(landing: Path, inbox: Path | None = None) -> str:
    """Changes when a complete file appears, or a webhook in the inbox, without reading any."""
    digest = hashlib.sha256()
    for folder in filter(None, (landing, inbox)):
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # a pull has taken it meanwhile
                if path.name.endswith(tuple(FORMATS)) and path.is_file():
                    stat = path.stat()
                    digest.update(f"{path.relative_to(folder)}:{stat.st_size}:{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def build_automation(timezone: str) -> tuple[list[dg.ScheduleDefinition], list[dg.SensorDefinition]]:
    """Schedules in the retailer's time zone and the sensor; all are off until someone turns them on."""

    @dg.sensor(name="new_landing_files", job_name="intraday", minimum_interval_seconds=60)
    def new_landing_files(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """One intraday run for each change of the landing folder or of what webhooks said."""
        landing, inbox = platform.settings.landing, platform.settings.home / "inbox"
        if not landing.is_dir() and not inbox.is_dir():
            yield dg.SkipReason(f"{landing} does not exist yet.")
            return
        # Webhooks come all day: what arrives during a run makes one run after it, not one a minute.
        if context.instance.get_runs(dg.RunsFilter(job_name="intraday", statuses=_UNDER_WAY), limit=1):
            yield dg.SkipReason("An intraday run is under way; the next look takes what came meanwhile.")
            return
        yield dg.RunRequest(run_key=landing_fingerprint(landing, inbox))

    schedules = [
        dg.ScheduleDefinition(
            name="every_night", job_name="nightly", cron_schedule="0 4 * * *", execution_timezone=timezone
        ),
        dg.ScheduleDefinition(
            name="every_half_hour", job_name="intraday", cron_schedule="*/30 8-23 * * *", execution_timezone=timezone
        ),
    ]
    return schedules, [new_landing_files]
