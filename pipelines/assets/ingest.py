"""Landing to raw lake: one asset a feed, taken together so that a run sees one listing of the landing folder."""

from collections.abc import Callable, Iterator

import dagster as dg

from pipelines.assets.connectors import PULLED
from pipelines.assets.platform import WAREHOUSE_POOL, Platform, RunOptions
from pipelines.erasure.carry_out import carry_out
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.load import load_landing
from pipelines.runs import RowCounts, record_rows, start_run


@dg.multi_asset(
    name="ingest",
    specs=[
        dg.AssetSpec(
            ["raw", feed.name],
            group_name="landing",
            deps=[PULLED],
            description=f"Accepted rows of the feed {feed.name}: every version, identifiers as keyed tokens. "
            f"One row per version of ({', '.join(('channel', *feed.key))}).",
            kinds={"parquet"},
            skippable=True,
        )
        for feed in FEEDS.values()
    ],
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def ingest(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> Iterator[dg.MaterializeResult]:
    """Take every new landing file of the selected feeds."""
    feeds = [key.path[-1] for key in context.selected_asset_keys]
    with platform.step():
        as_of = platform.as_of(options.as_of)
        start_run(platform.engine, context.run_id, context.job_name, as_of)
        carry_out(platform.settings, platform.engine, platform.progress)  # an erasure that was cut off
        report = load_landing(
            platform.settings, platform.channels, platform.engine, context.run_id, feeds, _tenths(platform.progress)
        )
        carry_out(platform.settings, platform.engine, platform.progress)  # erased persons who came by another way
        record_rows(
            platform.engine,
            context.run_id,
            RowCounts(report.rows_received, report.rows_accepted, report.rows_quarantined),
        )
        platform.progress(
            f"ingest: {report.rows_received:,} rows received, {report.rows_accepted:,} accepted, "
            f"{report.rows_quarantined:,} quarantined"
        )
    counts = report.by_feed()
    for feed in sorted(feeds):
        yield dg.MaterializeResult(asset_key=["raw", feed], metadata=counts.get(feed, {"files": 0}))


def _tenths(progress: Callable[[str], None]) -> Callable[[str, int, int], None]:
    """A line for every tenth of the files."""
    told = -1

    def tell(_file: str, done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total else 10
        if tenth > told:
            told = tenth
            progress(f"ingest: {done:,} of {total:,} files")

    return tell
