"""`omnilake evaluate uplift`: figures or a refusal out, wrong usage in words."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from pipelines.cli import cli
from pipelines.errors import ConfigurationError
from pipelines.evaluation.uplift import evaluate_uplift
from tests.support.experiments import an_experiment


def write(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def test_csv_and_parquet_give_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = an_experiment(1_500, effect=0.1).rename({"treated": "group", "outcome": "bought"})
    frame = frame.with_columns(
        group=pl.when(pl.col("group") == 1).then(pl.lit("Treatment")).otherwise(pl.lit("control"))
    )
    rows = []
    for name in ("a.csv", "a.parquet"):
        path = write(frame.with_columns(treated=pl.lit("trap")), tmp_path / name)
        arguments = ["evaluate", "uplift", "--data", str(path), "--map", "treated=group,outcome=bought", "--json"]
        cli.main(arguments, standalone_mode=False)
        (row,) = json.loads(capsys.readouterr().out)
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    assert rows[0] == rows[1]
    row = rows[0]
    assert (row["verdict"], row["reason"], row["expected_share"]) == ("lift", None, 0.5)
    assert row["treated"] + row["control"] == row["rows"] == 1_500
    assert row["ci_low"] < 0.1 < row["ci_high"]
    assert (row["covariates"], row["columns_left_out"]) == ("spend, age, city", "treated")


def test_a_refusal_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(an_experiment(40), tmp_path / "a.csv")
    assert cli.main(["evaluate", "uplift", "--data", str(path), "--json"], standalone_mode=False) in (0, None)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["effect"], row["targeting_claimed"]) == ("refused", None, False)
    assert "too few" in row["reason"]


def test_rows_without_an_outcome_are_left_out_unless_one_group_has_more_of_them(tmp_path: Path) -> None:
    frame = an_experiment(2_000)
    lost = pl.int_range(2_000) % 10 == 0
    evenly = frame.with_columns(outcome=pl.when(lost).then(None).otherwise(pl.col("outcome")))
    found = evaluate_uplift(write(evenly, tmp_path / "a.csv"), None)
    assert (found.without_outcome, found.assessment.verdict) == (200, found.assessment.verdict)
    assert found.assessment.treated + found.assessment.control == 1_800
    unevenly = frame.with_columns(
        outcome=pl.when(lost & (pl.col("treated") == 1)).then(None).otherwise(pl.col("outcome"))
    )
    refused = evaluate_uplift(write(unevenly, tmp_path / "b.csv"), None).assessment
    assert refused.verdict == "refused"
    assert "missing" in refused.reasons[0]


def test_an_experiment_without_covariates_has_an_effect_and_no_targeting(tmp_path: Path) -> None:
    path = write(an_experiment(2_000, effect=0.1).select("treated", "outcome"), tmp_path / "a.csv")
    found = evaluate_uplift(path, None).assessment
    assert found.verdict == "lift"
    assert (found.variance_reduction, found.targeting) == (0.0, None)


@pytest.mark.parametrize(
    ("change", "mapping", "share", "words"),
    [
        ({"treated": "maybe"}, None, None, "row 1: treated must be"),
        ({"outcome": "much"}, None, None, "row 1: outcome is no number"),
        ({"outcome": None}, None, None, "nothing to measure"),
        ({}, "treated=arm", None, "no column 'arm'"),
        ({}, "outcome=treated", None, "cannot be treated too"),
        ({}, "price=spend", None, "no field 'price'"),
        ({}, None, 1.5, "--share"),
    ],
)
def test_wrong_usage_is_told_in_words(
    tmp_path: Path, change: dict[str, str | None], mapping: str | None, share: float | None, words: str
) -> None:
    frame = an_experiment(100).with_columns(**{name: pl.lit(value) for name, value in change.items()})
    with pytest.raises(ConfigurationError, match=words):
        evaluate_uplift(write(frame, tmp_path / "a.csv"), mapping, share)


def test_a_file_without_the_fields_says_which_columns_it_has(tmp_path: Path) -> None:
    path = write(pl.DataFrame({"a": [1], "b": [2]}), tmp_path / "a.csv")
    with pytest.raises(ConfigurationError, match="treated=COLUMN; it has a, b"):
        evaluate_uplift(path, None)
