"""Raw lake to warehouse: the tables that dbt reads, and the customers that identity resolution finds."""

from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines import identity, reference
from pipelines.assets.platform import WAREHOUSE_POOL, Platform, RunOptions
from pipelines.feeds.contract import FEEDS
from pipelines.prepare import prepare_warehouse
from pipelines.warehouse import open_warehouse

OPS_TABLES = ("batches", "quarantine", "drift")
RAW_KEYS = [dg.AssetKey(["raw", name]) for name in FEEDS]
REFERENCE_KEYS = [dg.AssetKey(["reference", name]) for name in reference.TABLES]
OPS_KEYS = [
    dg.AssetKey(["ops", name])
    for name in (*OPS_TABLES, "runs", "coupons_issued", "campaign_decisions", "campaign_rules")
]
IDENTITY_KEYS = [dg.AssetKey(["identity", name]) for name in identity.PUBLISHED_TABLES]


def _specs(keys: Sequence[dg.AssetKey], group: str, deps: Sequence[dg.AssetKey]) -> list[dg.AssetSpec]:
    return [dg.AssetSpec(key, group_name=group, deps=deps, kinds={"duckdb"}) for key in keys]


@dg.multi_asset(
    name="prepare",
    specs=_specs(REFERENCE_KEYS, "reference", RAW_KEYS) + _specs(OPS_KEYS, "operations", RAW_KEYS),
    pool=WAREHOUSE_POOL,
)
def prepare(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> Iterator[dg.MaterializeResult]:
    """Views over the raw lake, configuration, and the records of what ran, came in and went out."""
    with platform.step():
        as_of = platform.as_of(options.as_of)
        prepare_warehouse(platform.settings, platform.channels, platform.engine, as_of)
    for key in (*REFERENCE_KEYS, *OPS_KEYS):
        yield dg.MaterializeResult(asset_key=key, metadata={"as_of": as_of.isoformat()})


@dg.multi_asset(
    name="resolve_identity",
    specs=_specs(IDENTITY_KEYS, "identity", [*RAW_KEYS, *REFERENCE_KEYS]),
    pool=WAREHOUSE_POOL,
)
def resolve_identity(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> Iterator[dg.MaterializeResult]:
    """Memberships and guests of all channels become customers."""
    with platform.step():
        platform.progress("identity: linking memberships and guests")
        with open_warehouse(platform.settings) as connection:
            report, linkage = identity.find_customers(connection, platform.settings, full_refresh=options.full_refresh)
        platform.progress(f"identity: {report.memberships:,} memberships are {report.customers:,} customers")
        if changes := report.changes():
            platform.progress(f"identity: {changes}; see marts.customer_merges")
        platform.progress(
            f"linkage: {linkage.scored:,} of {linkage.people:,} people compared anew, {linkage.joined:,} pairs are sure"
        )
    metadata = {"memberships": report.memberships, "customers": report.customers}
    for key in IDENTITY_KEYS:
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
