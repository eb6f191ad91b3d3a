"""Asset checks: the batches add up, the feeds are fresh, the published marts keep their contract."""

from collections.abc import Iterator

import dagster as dg

from pipelines.assets.connectors import platforms_answered, pulls_are_fresh
from pipelines.assets.platform import Platform, RunOptions
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.freshness import stale_feeds
from pipelines.feeds.reconcile import reconcile_batches
from pipelines.marts_contract import missing_columns
from pipelines.reconcile import reconcile_activation_log, reconcile_marts
from pipelines.scoring import drifted


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec("received_equals_accepted_plus_quarantined", asset=["raw", name]) for name in FEEDS],
    can_subset=True,
)
def batches_reconcile(
    context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.AssetCheckResult]:
    """What the ledger says of each file is what the lake holds of it."""
    failed = [check for check in reconcile_batches(platform.settings, platform.engine) if not check.ok]
    for key in context.selected_asset_check_keys:
        mine = [check.name for check in failed if check.name.split(":")[0] == key.asset_key.path[-1]]
        yield dg.AssetCheckResult(
            passed=not mine,
            asset_key=key.asset_key,
            check_name=key.name,
            metadata={"failed": len(mine), "first": mine[:10]},
        )


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec("fresh", asset=["raw", name]) for name in ("orders", "members", "inventory")],
    can_subset=True,
)
def feeds_are_fresh(
    context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.AssetCheckResult]:
    """A channel that used to deliver a feed daily and stopped is late: a warning, for it may be closed today."""
    stale = stale_feeds(platform.engine)
    for key in context.selected_asset_check_keys:
        late = [channel for channel, feed in stale if feed == key.asset_key.path[-1]]
        yield dg.AssetCheckResult(
            passed=not late,
            asset_key=key.asset_key,
            check_name=key.name,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"late_channels": late},
        )


@dg.asset_check(asset=["snapshots", "marts"], blocking=True)
def marts_keep_their_contract(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Every table and column that readers may rely on is in the snapshot."""
    missing = missing_columns(platform.settings)
    return dg.AssetCheckResult(passed=not missing, metadata={"missing": missing})


@dg.asset_check(asset=["snapshots", "marts"], blocking=True)
def marts_equal_the_ledger(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """No mart says another sum than the order events."""
    failed = [check.name for check in reconcile_marts(platform.settings) if not check.ok]
    return dg.AssetCheckResult(passed=not failed, metadata={"failed": failed})


@dg.asset_check(asset=["snapshots", "current"])
def audience_equals_outcomes(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Every member of an audience ended in exactly one state."""
    checks = reconcile_activation_log(platform.settings, platform.engine)
    failed = [check.name for check in checks if not check.ok]
    return dg.AssetCheckResult(passed=not failed, metadata={"failed": failed})


@dg.asset_check(asset=["marts", "customer_scores"])
def inputs_have_not_drifted(platform: dg.ResourceParam[Platform], options: RunOptions) -> dg.AssetCheckResult:
    """Customers are still like those that the models in use have learned from; a warning, a refit follows by itself."""
    moved = drifted(platform.engine, "churn", platform.as_of(options.as_of))
    return dg.AssetCheckResult(
        passed=not moved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: round(psi, 3) for name, psi in moved.items()},
    )


CHECKS = [
    platforms_answered,
    pulls_are_fresh,
    batches_reconcile,
    feeds_are_fresh,
    marts_keep_their_contract,
    marts_equal_the_ledger,
    audience_equals_outcomes,
    inputs_have_not_drifted,
]
