"""Platforms to landing: one asset upstream of every raw feed, and the checks that say which platform didn't answer."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.assets.platform import WAREHOUSE_POOL, Platform, RunOptions
from pipelines.pulling import PullReport, pull_all, pull_states
from pipelines.runs import now, start_run

PULLED = dg.AssetKey(["landing", "pulled"])

STALE_AFTER = timedelta(hours=36)
"""A nightly pull that was missed once is late; one that is an hour later than yesterday's is not."""


@dg.asset(key=PULLED, group_name="connectors", kinds={"http"}, pool=WAREHOUSE_POOL)
def pulled(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> dg.MaterializeResult:
    """What changed at every platform, as landing files; nothing where no channel has a connector."""
    with platform.step():
        start_run(platform.engine, context.run_id, context.job_name, platform.as_of(options.as_of))
        report = pull_all(platform.settings, platform.channels, platform.engine, datetime.now(UTC), platform.progress)
        for failure in report.failures:
            place = f"{failure.channel}/{failure.feed}"
            context.log.warning("%s was not pulled, the run goes on: %s", place, failure.error)
    return dg.MaterializeResult(metadata=_metadata(report))


def _metadata(report: PullReport) -> dict[str, int]:
    counts = {"rows_received": report.received, "rows_landed": report.landed, "feeds_failed": len(report.failures)}
    return counts | {f"{feed.channel}/{feed.feed}": feed.landed for feed in report.feeds}


@dg.asset_check(asset=PULLED)
def platforms_answered(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """A platform that is down, or refuses us, is a warning: the other channels' night goes on."""
    failing = [pull for pull in pull_states(platform.engine) if pull["error"]]
    return dg.AssetCheckResult(
        passed=not failing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={f"{pull['channel']}/{pull['feed']}": f"{pull['error_kind']}: {pull['error']}" for pull in failing},
    )


@dg.asset_check(asset=PULLED)
def pulls_are_fresh(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Every feed of every platform was read to its end lately."""
    late = [
        f"{pull['channel']}/{pull['feed']}"
        for pull in pull_states(platform.engine)
        if (pull["pulled_at"] or pull["failing_since"]) < now() - STALE_AFTER
    ]
    return dg.AssetCheckResult(passed=not late, severity=dg.AssetCheckSeverity.WARN, metadata={"late": late})
