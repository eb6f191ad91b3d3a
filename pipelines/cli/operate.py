"""Commands for whoever is on call: push, status, doctor, dashboard, serve, dagster, bench."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pipelines.cli.base import HomeCommand, chosen_settings, plain, print_dicts, progress, say
from pipelines.errors import TransientError

PORT = click.IntRange(1, 65535)


@click.command(cls=HomeCommand)
@click.option("--destination", metavar="NAME", help="Only this destination.")
@click.option("--dry-run", is_flag=True, help="Show creates, updates and deletes; write nothing outside.")
@click.option(
    "--plan",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --dry-run: write what would be sent into this file. Without: send exactly that, or nothing.",
)
@click.option("--allow-deletes", is_flag=True, help="Delete more than max_deletes_share of a destination allows.")
@click.option("--json", "as_json", is_flag=True)
def push(destination: str | None, dry_run: bool, plan: Path | None, allow_deletes: bool, as_json: bool) -> None:
    """Bring tags, recommendations and coupons of the current snapshot to the destinations."""
    from pipelines.activation.command import run_push

    report = run_push(chosen_settings(), destination, dry_run, progress(), plan, allow_deletes)
    if as_json:
        click.echo(json.dumps(plain(report.rows()), ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(report.lines()))
    if report.failures:
        raise TransientError(f"Not everything was sent; the next push goes on. {'; '.join(report.failures)}.")


@click.command(cls=HomeCommand)
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """Show the last runs, how fresh each channel's feeds are, how the last pulls went, what is not taken back yet."""
    from pipelines.status import feed_freshness, last_pulls, last_runs, waiting_erasures

    settings = chosen_settings()
    runs, feeds, pulls = last_runs(settings), feed_freshness(settings), last_pulls(settings)
    erasures = waiting_erasures(settings)
    if as_json:
        kinds = {"run": runs, "feed": feeds, "pull": pulls, "erasure": erasures}
        click.echo(json.dumps(plain([{"kind": kind, **row} for kind, rows in kinds.items() for row in rows])))
        return
    print_dicts(runs, ("started_at", "job", "as_of", "status", "rows_received", "rows_quarantined", "error"), False)
    print_dicts(
        feeds, ("channel", "feed", "last_taken_at", "files", "rows_received", "rows_quarantined", "late"), False
    )
    if pulls:
        print_dicts(
            pulls, ("channel", "feed", "pulled_at", "rows_received", "rows_landed", "failing_since", "error"), False
        )
    if erasures:
        click.echo("Destinations still hold something of erased persons; every push tries again:")
        print_dicts(erasures, ("destination", "operation", "withdrawals", "since", "reason"), False)


@click.command(cls=HomeCommand)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check configuration, secrets, versions and disk; say what to do about each fault."""
    from pipelines.doctor import examine

    findings = examine(chosen_settings())
    print_dicts([vars(finding) for finding in findings], ("check", "ok", "found", "remedy"), as_json)
    if not all(finding.ok for finding in findings):
        context.exit(1)


@click.command(cls=HomeCommand)
@click.option("--port", type=PORT, default=8501, show_default=True)
def dashboard(port: int) -> None:
    """Open the pages."""
    from dashboards.launch import launch

    launch(chosen_settings(), port, open_browser=True)


@click.command(cls=HomeCommand)
@click.option("--port", type=PORT, default=3000, show_default=True)
def dagster(port: int) -> None:
    """Open Dagster's own UI on this home's definitions."""
    from pipelines.dagster_ui import open_ui

    open_ui(chosen_settings(), port)


@click.command(cls=HomeCommand)
@click.option("--orders", type=click.IntRange(min=1000), default=100_000, show_default=True)
def bench(orders: int) -> None:
    """Measure this machine: ratios against a baseline in the same run, as JSON."""
    from pipelines.bench import run_bench

    click.echo(json.dumps(plain(run_bench(chosen_settings(), orders, progress=progress())), indent=2))


@click.command(cls=HomeCommand)
@click.option("--port", type=PORT, default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; TLS is the reverse proxy's.")
@click.option("--landing", metavar="LANDING", help="The landing folder [default: HOME/landing].")
@click.option("--config", metavar="CHANNELS_YML", help="channels.yml [default: HOME/reference/channels.yml].")
@click.option(
    "--max-body", type=click.IntRange(min=1000), default=2_000_000, show_default=True, help="Bytes a webhook."
)
@click.option("--rate", type=click.IntRange(min=1), default=200, show_default=True, help="Look-ups a second and key.")
def serve(port: int, host: str, landing: str | None, config: str | None, max_body: int, rate: int) -> None:
    """Take webhooks and answer look-ups, until it is stopped."""
    from pipelines.serve.server import Options
    from pipelines.serve.server import serve as run_server

    run_server(chosen_settings(landing, config), Options(host, port, max_body, rate), say)
