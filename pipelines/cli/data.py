"""Commands that bring data in: demo, simulate, import, run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from pipelines.cli.base import HomeCommand, business_date, chosen_settings, existing_path, progress, say

POSITIVE = click.IntRange(min=1)


@click.command(cls=HomeCommand)
@click.option("--customers", type=POSITIVE, default=5000, show_default=True, help="Persons to simulate.")
@click.option("--days", type=POSITIVE, default=180, show_default=True, help="Days of history.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--no-serve", is_flag=True, help="Leave the dashboards closed.")
def demo(customers: int, days: int, seed: int, no_serve: bool) -> None:
    """Simulate a retailer, run the nightly job on it, show what it found, open the dashboards."""
    from pipelines.demo import run_demo

    settings = chosen_settings(own_places=True)
    run_demo(settings, customers, days, seed, progress=say)
    if not no_serve:
        from dashboards.launch import launch

        launch(settings, open_browser=True)


@click.command(cls=HomeCommand)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The landing folder to write.")
@click.option("--truth", type=click.Path(path_type=Path), help="Where to write what is true.")
@click.option("--customers", type=POSITIVE, help="Persons to simulate  [default: 5000, or a tenth of --orders].")
@click.option("--days", type=POSITIVE, default=180, show_default=True, help="Days of history.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--orders", type=POSITIVE, help="Orders to write, instead of what the customers would place.")
@click.option("--end", callback=business_date, metavar="DATE", help="Last business date  [default: 2026-06-30]")
def simulate(
    out: Path,
    truth: Path | None,
    customers: int | None,
    days: int,
    seed: int,
    orders: int | None,
    end: date | None,
) -> None:
    """Write the feeds of a simulated retailer; the same arguments give the same bytes."""
    from pipelines.simulation import DEFAULT_END
    from pipelines.simulation import simulate as write_feeds

    report = write_feeds(out, truth, customers, days, seed, orders, end or DEFAULT_END, progress())
    click.echo(
        f"{out}: {report.orders:,} orders of {report.persons:,} persons in {report.files:,} files, "
        f"{sum(report.rows.values()):,} rows, {report.bad_rows:,} of them bad on purpose. "
        f"Next: omnilake run --landing {out} --as-of {end or DEFAULT_END}"
    )


@click.command(name="import", cls=HomeCommand)
@click.argument("dataset", type=click.Choice(["complete-journey", "online-retail"]))
@click.option("--source", type=existing_path(file_okay=False), help="Folder of the data set's Parquet files.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The landing folder to write.")
def import_command(dataset: str, source: Path | None, out: Path) -> None:
    """Turn a public data set into feeds."""
    from pipelines.imports import import_dataset

    report = import_dataset(dataset, source, out, progress())
    for feed, rows in report.rows.items():
        click.echo(f"{feed}: {rows:,} rows")
    for label, amount in report.bridge:
        click.echo(f"{amount:>16}  {label}")


@click.command(cls=HomeCommand)
@click.option("--landing", metavar="LANDING", help="The landing folder [default: HOME/landing].")
@click.option("--config", metavar="CHANNELS_YML", help="channels.yml [default: HOME/reference/channels.yml].")
@click.option("--as-of", callback=business_date, metavar="DATE", help="Last business date [default: yesterday].")
@click.option("--full-refresh", is_flag=True, help="Rebuild what is otherwise kept up incrementally.")
@click.option("--no-activate", is_flag=True, help="Publish, but push nothing.")
def run(
    landing: str | None,
    config: str | None,
    as_of: date | None,
    full_refresh: bool,
    no_activate: bool,
) -> None:
    """Run the nightly job once, in this process, through Dagster."""
    from pipelines.nightly import run_nightly

    settings = chosen_settings(landing, config, own_places=True)
    summary = run_nightly(settings, as_of, full_refresh, not no_activate, progress=say)
    click.echo(summary.line())
