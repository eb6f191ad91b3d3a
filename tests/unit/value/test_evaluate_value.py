"""`omnilake evaluate clv` and `churn`: figures of files as people have them, and words for those that bear none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import cli
from pipelines.errors import ConfigurationError, OmnilakeError, PermanentError
from pipelines.evaluation.churn import evaluate_churn
from pipelines.evaluation.clv import evaluate_clv
from pipelines.evaluation.transactions import order_days
from tests.unit.value.shop import LAST, orders

CUT = LAST - timedelta(days=90)


def write(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lines an order, times with a zone; a return, a stray line, an unreadable one and one of the far future."""
    rows: list[tuple[Any, ...]] = []
    for customer, day, cents in orders(150):
        rows += [(customer, f"{day}T23:30:00+08:00", cents / 200)] * 2
    rows += [("c0000", f"{CUT}", -5), ("", f"{CUT}", 5), ("c0001", "soon", 5), ("c0001", "2099-01-01", 5)]
    return write(tmp_path_factory.mktemp("shop") / "shop.csv", ("who", "when", "money"), rows)


MAP = "customer_id=who,date=when,amount=money"


def test_clv_of_a_file_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(shop), "--map", MAP, "--calibration-end", str(CUT), "--json"]
    cli.main(["evaluate", "clv", *arguments], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    chosen, *others = rows
    assert chosen["is_chosen"]
    assert not any(row["is_chosen"] for row in others)
    bg_nbd = next(row for row in rows if row["model"] == "bg_nbd")
    assert list(bg_nbd["parameters"]) == ["r", "alpha", "a", "b"]
    assert set(bg_nbd["value_parameters"]) == {"p", "q", "gamma"}
    later = {(customer, day) for customer, day, _ in orders(150) if day > CUT}
    earlier = {customer for customer, day, _ in orders(150) if day <= CUT}
    assert chosen["customers"] == len(earlier)
    assert chosen["actual_purchases"] == len([1 for customer, _ in later if customer in earlier])
    assert chosen["actual_value"] == pytest.approx(
        sum(cents / 100 for customer, day, cents in orders(150) if day > CUT and customer in earlier), rel=1e-5
    )
    assert chosen["predicted_low"] < chosen["predicted_purchases"] < chosen["predicted_high"]
    assert (chosen["rows_unreadable"], chosen["rows_in_the_future"], chosen["rows_returned"]) == (2, 1, 1)
    assert {"own_rate", "last_period", "recency", "frequency"} <= {row["model"] for row in rows}


def test_churn_of_a_file_says_what_would_be_shipped_and_shows_the_trap(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(shop), "--map", MAP, "--calibration-end", str(CUT)]
    cli.main(["evaluate", "churn", *arguments, "--json"], standalone_mode=False)
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert [row["is_shipped"] for row in rows.values()].count(True) == 1
    assert next(iter(rows.values()))["is_shipped"]
    assert set(rows) == {"rhythm", "recency", "frequency", "bg_nbd", "p_alive"}
    assert rows["rhythm"]["horizon_days"] == 90
    assert rows["rhythm"]["auc"] - rows["rhythm"]["auc_lead"] == pytest.approx(
        max(rows["recency"]["auc"], rows["frequency"]["auc"]), abs=1e-5
    )
    cli.main(["evaluate", "churn", *arguments], standalone_mode=False)
    assert rows["rhythm"]["verdict"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "fault", "says"),
    [
        ([("a", "2024-01-01", 5), ("b", "2024-03-01", 5)], PermanentError, "0 customers came again"),
        ([(f"c{n}", f"2024-0{1 + n % 6}-11", n) for n in range(300)], PermanentError, "0 customers c"),
        ([("a", "2024-01-01", -5), ("b", "2024-03-01", -5)], PermanentError, "is an order"),
        ([("a", "2099-01-01", 5)], PermanentError, "1 are dated after today"),
        ([("a", "yesterday", 5), ("b", "today", 5)], ConfigurationError, "no date of"),
        ([("a", "01/02/2024", 5), ("b", "03/04/2024", 5)], ConfigurationError, "day/month or month/day"),
        ([("a", "2024-03-01", 5), ("b", "2024-04-01", 5)], ConfigurationError, "give a day from 2024-03-01 on"),
        ([], ConfigurationError, "no date of"),
    ],
)
@pytest.mark.parametrize("measure", ["clv", "churn"])
def test_a_file_that_bears_no_figures_is_met_with_words(
    tmp_path: Path, rows: list[tuple[Any, ...]], fault: type[OmnilakeError], says: str, measure: str
) -> None:
    path = write(tmp_path / "few.csv", ("customer_id", "date", "amount"), rows)
    end, today = date(2024, 2, 15), date(2026, 6, 30)
    evaluate: Callable[[], object] = partial(evaluate_clv, path, None, end, today)
    if measure == "churn":
        evaluate = partial(evaluate_churn, path, None, end, None, today)
    with pytest.raises(fault, match=says if measure == "clv" or fault is ConfigurationError else None):
        evaluate()


@pytest.mark.parametrize(
    ("column", "days"),
    [
        (["2024-05-13 08:26:00", "2024-05-14"], [13, 14]),
        (["20240513", "20240514"], [13, 14]),
        (["13.05.2024", "14.05.2024 10:00"], [13, 14]),
        (["05/13/2024 8:26", "05/14/2024"], [13, 14]),
        (["2024-05-13T23:59:59Z", "2024-05-14T00:30:00-11:00"], [13, 14]),
    ],
)
def test_a_day_is_the_one_that_is_written(tmp_path: Path, column: list[str], days: list[int]) -> None:
    path = write(tmp_path / "days.csv", ("customer_id", "date"), [(f"c{n}", day) for n, day in enumerate(column)])
    with order_days(path, None, date(2026, 1, 1)) as (connection, used):
        found = connection.execute("SELECT day(day) FROM order_days ORDER BY day").fetchall()
    assert [day for (day,) in found] == days
    assert used.rows_unreadable == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--map", "customer_id=nobody,date=when"], "has no column 'nobody'"),
        (["--map", "customer_id=who"], "which column of shop.csv is the date"),
        (["--map", "who=customer_id"], "there is no field 'who'"),
        (["--map", MAP, "--horizon", "900"], "--horizon is 900"),
    ],
)
def test_wrong_usage_is_told_by_name(shop: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        cli.main(
            ["evaluate", "churn", "--data", str(shop), "--calibration-end", str(CUT), *arguments],
            standalone_mode=False,
        )
