"""Marts to readers, and readers' marts to the channels."""

import dagster as dg

from pipelines.activation.log import activation_log
from pipelines.activation.push import push
from pipelines.activation.scheduled_exports import run_due
from pipelines.assets.platform import WAREHOUSE_POOL, Platform, RunOptions
from pipelines.runs import finish_run, runs_table
from pipelines.scoring import model_marts
from pipelines.segments.published import with_saved
from pipelines.segments.saved import list_saved
from pipelines.snapshots import new_snapshot_id, publish, refresh


def build_publishing_assets(marts: list[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """The snapshot of all marts, the push that acts on it, and the snapshot with what the push did."""

    @dg.asset(key=["snapshots", "marts"], group_name="publishing", deps=marts, kinds={"duckdb"}, pool=WAREHOUSE_POOL)
    def published_marts(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        """Every mart in one file that readers open; nothing is pushed that was not published."""
        with platform.step():
            platform.progress("publish: writing the snapshot")
            snapshot_id = new_snapshot_id()
            publish(
                platform.settings,
                snapshot_id,
                {
                    "activation_log": activation_log(platform.engine),
                    **model_marts(platform.engine),
                    **with_saved(list_saved(platform.engine), platform.progress),
                },
            )
        return dg.MaterializeResult(metadata={"snapshot_id": snapshot_id})

    @dg.asset(key=["activation", "deliveries"], group_name="activation", deps=[published_marts], pool=WAREHOUSE_POOL)
    def deliveries(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
    ) -> dg.MaterializeResult:
        """Tags, recommendations and coupons brought to the destinations. One row per delivery."""
        if not options.activate:
            return dg.MaterializeResult(metadata={"activated": False})
        with platform.step():
            platform.progress("activate: planning and sending")
            report = push(platform.settings, platform.engine, progress=platform.progress)
            for failure in report.failures:
                context.log.warning("Not everything was sent, the next push goes on: %s", failure)
        return dg.MaterializeResult(metadata={"activated": True, **report.counts()})

    @dg.asset(key=["snapshots", "current"], group_name="publishing", deps=[deliveries], pool=WAREHOUSE_POOL)
    def current_snapshot(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        """The published marts with the activation log and this run's end."""
        with platform.step():
            snapshot_id = new_snapshot_id()
            refresh(
                platform.settings,
                snapshot_id,
                {
                    "activation_log": activation_log(platform.engine),
                    "runs": runs_table(platform.engine, ending=context.run_id, snapshot_id=snapshot_id),
                },
            )
            finish_run(platform.engine, context.run_id, snapshot_id)
        return dg.MaterializeResult(metadata={"snapshot_id": snapshot_id})

    @dg.asset(key=["activation", "exports"], group_name="activation", deps=[current_snapshot], pool=WAREHOUSE_POOL)
    def exports(platform: dg.ResourceParam[Platform], options: RunOptions) -> dg.MaterializeResult:
        """Scheduled exports that are due. One that fails is due again tomorrow, and keeps no run from ending well."""
        if not options.activate:
            return dg.MaterializeResult(metadata={"activated": False})
        with platform.step():
            done = run_due(platform.settings, platform.engine, platform.progress)
        return dg.MaterializeResult(metadata={"written": len(done.written), "failed": len(done.failures)})

    return [published_marts, deliveries, current_snapshot, exports]
