"""`omnilake evaluate demand`: figures out, wrong usage in words."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.cli import cli
from pipelines.errors import ConfigurationError
from pipelines.evaluation.demand import evaluate_demand
from tests.support.demand_sets import weekly


def long(units: np.ndarray, first: date = date(2026, 1, 5), step: int = 1) -> pl.DataFrame:
    n, periods = units.shape
    days = [first + timedelta(days=step * place) for place in range(periods)]
    return pl.DataFrame(
        {
            "sku": np.repeat([f"s{row}" for row in range(n)], periods),
            "day": days * n,
            "units": units.ravel().astype(int),
        }
    )


def write(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def test_csv_and_parquet_give_the_same_figures_beside_both_simple_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = long(weekly(2, 63)).sample(fraction=1, shuffle=True, seed=1)
    rows = []
    for name in ("a.csv", "a.parquet"):
        path = write(frame, tmp_path / name)
        arguments = ["evaluate", "demand", "--data", str(path), "--horizon", "7", "--map", "series=sku,period=day"]
        cli.main([*arguments, "--json"], standalone_mode=False)
        (row,) = json.loads(capsys.readouterr().out)
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    assert rows[0] == rows[1]
    row = rows[0]
    assert (row["series"], row["periods"], row["period"], row["season"], row["origins"]) == (2, 63, "day", 7, 3)
    assert row["scored"] == 3 * 2 * 7
    assert row["wape"] < row["seasonal_naive_wape"] < row["naive_wape"]
    assert 0.7 <= row["interval_coverage"] <= 1


@pytest.mark.parametrize(
    ("texts", "unit", "periods"),
    [
        (["2026-01", "2026-02", "2026-04"], "month", 4),
        (["2026-01-31", "2026-02-28", "2026-03-31"], "month", 3),
        (["2026-01-05", "2026-01-12", "2026-01-26"], "week", 4),
        (["2025-W52", "2026-W01", "2026-W02"], "week", 3),
        (["2025Q3", "2025Q4", "2026Q1"], "quarter", 3),
        (["2026/1/5", "2026/1/6", "2026/1/8"], "day", 4),
        (["20260105", "20260106", "20260107"], "day", 3),
        (["2026-01-05 00:00:00", "2026-01-06 00:00:00", "2026-01-07 00:00:00"], "day", 3),
        (["10", "20", "40"], "step", 4),
        (["2024", "2025", "2026"], "step", 3),
    ],
)
def test_periods_are_read_in_their_usual_forms(tmp_path: Path, texts: list[str], unit: str, periods: int) -> None:
    path = write(pl.DataFrame({"period": texts, "units": [3, 4, 6]}), tmp_path / "a.csv")
    found = evaluate_demand(path, 1, None)
    assert (found.history.unit, found.history.n_periods) == (unit, periods)
    assert (found.ours.periods, found.ours.units) == (1, 6)


def test_a_missing_row_is_unknown_and_an_empty_cell_too(tmp_path: Path) -> None:
    frame = long(weekly(1, 84)).tail(49)
    gaps = frame.filter(~pl.col("day").is_in([date(2026, 3, 24), date(2026, 2, 26)]))
    empty = frame.with_columns(
        pl.when(pl.col("day").is_in([date(2026, 3, 24), date(2026, 2, 26)]))
        .then(None)
        .otherwise(pl.col("units"))
        .alias("units")
    )
    without, blank = (
        evaluate_demand(write(given, tmp_path / f"{name}.csv"), 7, "series=sku,period=day")
        for name, given in (("gaps", gaps), ("empty", empty))
    )
    assert without.ours == blank.ours
    assert without.ours.periods == 3 * 7 - 1


def test_a_promotion_may_be_a_number_a_word_or_nothing(tmp_path: Path) -> None:
    frame = long(weekly(2, 60)).with_columns(pl.Series("promotion", ["", "no", "0", "BOGO", "true", "0.3"] * 20))
    history = evaluate_demand(write(frame, tmp_path / "a.csv"), 7, "series=sku,period=day").history
    assert history.promotion is not None
    assert history.promotion[:6].tolist() == [0, 0, 0, 1, 1, 0.3]


def test_nothing_sold_has_no_percentage(tmp_path: Path) -> None:
    row = evaluate_demand(write(long(np.zeros((2, 40))), tmp_path / "a.csv"), 7, "series=sku,period=day").row()
    assert (row["wape"], row["mape"], row["gain_on_best_simple_rule"], row["interval_coverage"]) == (
        None,
        None,
        None,
        1,
    )


GOOD = {"period": ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"], "units": ["1", "2", "3", "4"]}


@pytest.mark.parametrize(
    ("changes", "horizon", "mapping", "words"),
    [
        ({}, 4, None, "give at most 3"),
        ({}, 0, None, "--horizon is 0"),
        ({}, 1, "units=sold", "no column 'sold'"),
        ({}, 1, "amount=units", "no field 'amount'"),
        ({"units": ["1", "two", "3", "4"]}, 1, None, "row 2: units is no number"),
        ({"units": ["1", "2", "inf", "4"]}, 1, None, "row 3: units is no number"),
        ({"units": ["", "", "", ""]}, 1, None, "nothing to measure"),
        ({"price": ["1", "2", "3", "cheap"]}, 1, None, "row 4: price is no number"),
        ({"period": ["2026-01-05", "2026-02-30", "2026-03-01", "2026-03-02"]}, 1, None, "row 2: period is no date"),
        ({"period": ["2026-01-05", "", "2026-03-01", "2026-03-02"]}, 1, None, "row 2: period is empty"),
        ({"period": ["Monday", "Tuesday", "2026-03-01", "1"]}, 1, None, "must be a date"),
        (
            {"period": ["2026-01-05 13:00", "2026-01-05 14:00", "2026-01-05 15:00", "2026-01-05 16:00"]},
            1,
            None,
            "time of day",
        ),
        ({"period": ["2026-01-05"] * 4}, 1, None, "one period alone"),
        ({"period": ["2026-01-05", "2026-01-06", "2026-01-06", "2026-01-07"]}, 1, None, "rows 2 and 3"),
        ({"period": ["0026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"]}, 1, None, "mistyped"),
    ],
)
def test_wrong_usage_is_told_in_words(
    tmp_path: Path, changes: dict[str, list[str]], horizon: int, mapping: str | None, words: str
) -> None:
    path = write(pl.DataFrame(GOOD | changes), tmp_path / "a.csv")
    with pytest.raises(ConfigurationError, match=words):
        evaluate_demand(path, horizon, mapping)


def test_a_file_without_rows_or_units_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="units=COLUMN"):
        evaluate_demand(write(pl.DataFrame({"period": ["1"]}), tmp_path / "a.csv"), 1, None)
    empty = pl.DataFrame({"period": [], "units": []}, schema={"period": pl.String, "units": pl.String})
    with pytest.raises(ConfigurationError, match="no rows"):
        evaluate_demand(write(empty, tmp_path / "b.csv"), 1, None)
