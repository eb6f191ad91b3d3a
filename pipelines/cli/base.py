"""What every command shares: the home folder, the formats of results, progress on a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import click

from pipelines.settings import Settings, load_settings, with_places_of_last_run

UNBROKEN = 100_000
"""Columns for a table that is piped: a line a row, whatever its length."""


def _keep_home(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        HomeGroup.chosen_home = value


def home_option() -> click.Option:
    """`--home`, which may stand before or after the command."""
    return click.Option(
        ["--home"],
        callback=_keep_home,
        expose_value=False,
        metavar="DIR",
        help="The home folder [default: $OMNILAKE_HOME, else data].",
    )


class HomeCommand(click.Command):
    """A command that also takes `--home`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(home_option())


class HomeGroup(click.Group):
    """A group whose commands all take `--home`. `chosen_home` is what this invocation was given."""

    command_class = HomeCommand
    chosen_home: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(home_option())


HomeGroup.group_class = HomeGroup


def chosen_settings(landing: str | None = None, config: str | None = None, *, own_places: bool = False) -> Settings:
    """The settings of the home that the command line names.

    own_places: the landing folder and channels.yml are the given ones or the home's own; else those of the last run
    are taken where none is given.
    """
    settings = load_settings(HomeGroup.chosen_home, landing, config)
    return settings if own_places else with_places_of_last_run(settings)


def business_date(_context: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    """A date argument, or a usage error that shows the form."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no date; write it as 2026-06-30.") from error


def say(message: str) -> None:
    """A line of progress, for people: on stderr, so that results can be piped."""
    click.echo(message, err=True)


def progress() -> Callable[[str], None]:
    """`say` on a terminal; silence elsewhere."""
    return say if sys.stderr.isatty() else lambda _message: None


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals as text, dates and instants (UTC) in ISO 8601, no NaN."""
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return format(value, "f")
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat() + ("Z" if value.tzinfo is None else "")
        case date() | time():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], form: str) -> None:
    """Rows as table, csv or json (an array of objects, written as they come)."""
    if form == "json":
        _print_json(columns, rows)
    elif form == "csv":
        for row in chain([columns], rows):
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow([_cell(value) for value in row])
            sys.stdout.write(line.getvalue())
    else:
        _print_table(columns, rows)


def print_dicts(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Rows given as mappings, in the order of `columns`."""
    print_rows(columns, ([row.get(column) for column in columns] for row in rows), "json" if as_json else "table")


def _cell(value: Any) -> Any:
    value = plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _print_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    separator = "[\n"
    for row in rows:
        record = {column: plain(value) for column, value in zip(columns, row, strict=True)}
        sys.stdout.write(separator + json.dumps(record, ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        count += 1
        table.add_row(*(_shown(value) for value in row))
    Console(width=None if sys.stdout.isatty() else UNBROKEN).print(table)
    if count == 0:
        click.echo("(no rows)")


def _shown(value: Any) -> str:
    """A cell of a table for people: instants to the second."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(_cell(value))


def existing_path(**options: Any) -> click.Path:
    """A path argument that must exist, as pathlib's."""
    return click.Path(exists=True, path_type=Path, **options)
