"""Commands on exports: list, run."""

from __future__ import annotations

import click

from pipelines.cli.base import HomeGroup, chosen_settings, print_dicts, say
from pipelines.errors import PermanentError

COLUMNS = (
    "started_at", "actor", "segment", "definition_version", "rows_written", "fields", "format", "hash_algorithm",
    "purpose", "snapshot_id", "sha256", "file",
)  # fmt: skip


@click.group(cls=HomeGroup)
def exports() -> None:
    """Who exported what, and exports that write themselves."""


@exports.command(name="list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def exports_list(limit: int, as_json: bool) -> None:
    """The newest exports: who, which segment and columns, why, and the file's SHA-256."""
    from pipelines.activation.export_log import list_exports
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        print_dicts(list_exports(engine, limit=limit), (*COLUMNS, "export_id", "finished_at"), as_json)


@exports.command(name="run")
def exports_run() -> None:
    """Write what exports.yml says is due; what is written already is left alone."""
    from pipelines.activation.scheduled_exports import run_due
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        done = run_due(settings, engine, say)
    if done.failures:
        raise PermanentError(f"{len(done.failures)} of the exports could not be written; see above.")
    click.echo(f"{len(done.written)} written")
