"""Commands that read: query, segments, explain, quarantine, reconcile."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.base import (
    HomeCommand,
    HomeGroup,
    chosen_settings,
    existing_path,
    print_dicts,
    print_rows,
    say,
)

JSON = click.option("--json", "as_json", is_flag=True, help="An array of objects.")


@click.command(cls=HomeCommand)
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def query(sql: str, form: str) -> None:
    """Run read-only SQL on the current snapshot, such as "from marts.customers limit 5"."""
    from pipelines.query import stream_query

    with stream_query(chosen_settings(), sql) as (columns, rows):
        print_rows(columns, rows, form)


@click.group(cls=HomeGroup)
def segments() -> None:
    """Marketers' segments."""


@segments.command(name="list")
@JSON
def segments_list(as_json: bool) -> None:
    """Name, customers and definition of every segment."""
    from pipelines.activation.exports import list_segments
    from pipelines.segments.saved import list_saved
    from pipelines.state import state
    from pipelines.warehouse import open_snapshot

    settings = chosen_settings()
    with open_snapshot(settings) as connection, state(settings) as engine:
        listed = list_segments(connection, saved=list_saved(engine))
    print_dicts(listed, ("name", "customers", "definition"), as_json)


@segments.command(name="save")
@click.argument("name")
@click.option(
    "--definition", "file", required=True, type=existing_path(dir_okay=False), help="JSON; see docs/pages.md."
)
def segments_save(name: str, file: Path) -> None:
    """Save a segment of your own; another definition under the same name is its next version."""
    from pipelines.segments.command import save_segment

    say(save_segment(chosen_settings(), name, file.read_text(encoding="utf-8", errors="replace"), "cli"))


@segments.command(name="show")
@click.argument("name")
@JSON
def segments_show(name: str, as_json: bool) -> None:
    """Every version of a saved segment, newest first."""
    from pipelines.segments.command import show_segment

    print_dicts(show_segment(chosen_settings(), name), ("version", "definition", "saved_by", "saved_at"), as_json)


@segments.command(name="retire")
@click.argument("name")
def segments_retire(name: str) -> None:
    """Take a saved segment out of every list; its versions stay on record."""
    from pipelines.segments.saved import retire
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        retire(settings, engine, name, "cli")


@segments.command(name="export")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "xlsx"]), required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--fields", metavar="A,B,…", help="Columns, comma-separated; name, phone and email need --purpose.")
@click.option(
    "--hash",
    "hash_algorithm",
    type=click.Choice(["sha256", "sha256-google", "sha256-meta"]),
    help="Hash contacts as ad platforms match them: e-mail in lower case, phone in E.164 (google: Gmail's dots out; "
    "meta: digits alone).",
)
@click.option("--purpose", help="Why personal data is exported; it is logged.")
def segments_export(
    name: str,
    form: str,
    out: Path,
    fields: str | None,
    hash_algorithm: str | None,
    purpose: str | None,
) -> None:
    """Write the customers of a segment to a file."""
    from pipelines.activation.command import run_export

    receipt = run_export(chosen_settings(), name, form, out, fields, hash_algorithm, purpose)
    say(receipt)


@click.group(cls=HomeGroup)
def explain() -> None:
    """Why something is as it is."""


@explain.command(name="customer")
@click.argument("customer_id", metavar="ID")
def explain_customer(customer_id: str) -> None:
    """Why a customer is one person: memberships, links, what was blocked, merges."""
    from pipelines.identity.explain import explain_customer as words
    from pipelines.warehouse import open_snapshot

    with open_snapshot(chosen_settings()) as connection:
        click.echo(words(connection, customer_id))


@explain.command(name="delivery")
@click.argument("delivery_id", metavar="ID")
def explain_delivery(delivery_id: str) -> None:
    """Why a delivery happened, or did not."""
    from pipelines.activation.explain import explain_delivery as words
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        click.echo(words(engine, delivery_id))


@click.group(cls=HomeGroup)
def quarantine() -> None:
    """Rejected rows."""


@quarantine.command(name="list")
@JSON
def quarantine_list(as_json: bool) -> None:
    """Where each rejected row came from and why it was rejected; never its value."""
    from pipelines.feeds.quarantine import list_quarantine
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        table = list_quarantine(settings, engine)
    rows = (row for batch in table.to_batches() for row in zip(*(column.to_pylist() for column in batch), strict=True))
    print_rows(table.column_names, rows, "json" if as_json else "table")


@quarantine.command(name="replay")
@click.option("--landing", metavar="LANDING", help="The landing folder [default: the last run's].")
@click.option("--config", metavar="CHANNELS_YML", help="channels.yml [default: the last run's].")
def quarantine_replay(landing: str | None, config: str | None) -> None:
    """Take the rejected rows again after a fix; the next run brings them to the marts."""
    from pipelines.quarantine_replay import replay

    click.echo(replay(chosen_settings(landing, config)))


@click.command(cls=HomeCommand)
@JSON
@click.pass_context
def reconcile(context: click.Context, as_json: bool) -> None:
    """Check that everything adds up: files, marts and ledger, audience and outcomes. Exit 1 if not."""
    from pipelines.reconcile import reconcile as run_checks

    checks = run_checks(chosen_settings())
    print_dicts([vars(check) for check in checks], ("name", "expected", "actual", "ok", "detail"), as_json)
    if not all(check.ok for check in checks):
        context.exit(1)
