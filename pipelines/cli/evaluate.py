"""Commands that measure our models on data of the user's own."""

from __future__ import annotations

from pathlib import Path

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

    row = measure(data, map_text).row()
    if as_json:
        print_dicts([row], tuple(row), as_json=True)
    else:
        print_dicts(
            [{"figure": name, "value": value} for name, value in row.items()], ("figure", "value"), as_json=False
        )
