"""Commands that measure our models on data of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.base import HomeCommand, HomeGroup, existing_path, print_dicts


@click.group(cls=HomeGroup)
def evaluate() -> None:
    """Our models measured on data of your own."""


@evaluate.command(name="identity", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_identity(data: Path, map_text: str | None, as_json: bool) -> None:
    """Link the records of a file by what they say of a person, and compare with the truth.

    Fields: truth (who it is), name, given_name, surname, birthday, city, postcode, gender, occupation, email, phone,
    address. A field takes the column of its own name unless --map names another; a+b joins two columns.

    \b
    Protocol: the linker sees the fields, never the truth. What each agreement
    weighs, and how many records are one person, is learned from the records
    themselves; records are one person where that is the likelier answer
    (threshold: bits of evidence). Pairwise figures count the pairs of records
    in one cluster; B-cubed ones are means over records.
    """
    from pipelines.evaluation.identity import evaluate_identity as measure

    _print(measure(data, map_text).row(), as_json)


@evaluate.command(name="demand", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("--horizon", default=14, show_default=True, type=int, metavar="N", help="Periods ahead.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_demand(data: Path, horizon: int, map_text: str | None, as_json: bool) -> None:
    """Forecast the last periods of a history of units, beside naive and seasonal naive.

    Fields: period* (a date, 2026-05, 2026-W22, 2026Q2 or a number), units*, series (left out: one series), price,
    promotion (0 or 1, its depth, or its name). One row a series and period; a field takes the column of its own name
    unless --map names another.

    \b
    Protocol: rolling origin. From up to three points, the last one N periods
    before the file's end and each N apart, the model learns from the units
    before the point alone and forecasts the N periods after it. Price and
    promotion of these periods are known to it, being what a retailer plans.
    A period without a row, or with empty units, is unknown, as when nothing was
    in stock: it is neither zero nor scored. wape = sum |error| / sum |units|;
    mape over periods with any units; bias = sum (forecast - units) / sum |units|;
    wape_of_sums compares each series' sum over the horizon; interval_coverage is
    the share of units within the interval, which is made for `interval`.
    Naive repeats the last known units, seasonal naive those of the same day of
    the week (month of the year ...). A simple rule is kept where nothing beats
    it in the past before the point.
    """
    from pipelines.evaluation.demand import evaluate_demand as measure

    _print(measure(data, horizon, map_text).row(), as_json)


def _print(row: dict[str, Any], as_json: bool) -> None:
    """One record as JSON, or as a list of figures."""
    if as_json:
        print_dicts([row], tuple(row), as_json=True)
    else:
        print_dicts(
            [{"figure": name, "value": value} for name, value in row.items()], ("figure", "value"), as_json=False
        )
