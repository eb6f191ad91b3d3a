from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal

import pytest

from pipelines.cli.base import print_rows

ROW = (1, Decimal("12.30"), date(2026, 6, 30), datetime(2026, 6, 30, 16, 5), None, float("nan"), ["a"], "中文")
COLUMNS = ("n", "money", "day", "at", "none", "nan", "list", "text")


def test_json_is_an_array_of_objects_with_decimals_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, iter([ROW]), "json")
    assert json.loads(capsys.readouterr().out) == [
        {
            "n": 1,
            "money": "12.30",
            "day": "2026-06-30",
            "at": "2026-06-30T16:05:00Z",
            "none": None,
            "nan": None,
            "list": ["a"],
            "text": "中文",
        }
    ]


def test_json_of_no_rows_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, iter([]), "json")
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_a_header_and_quotes_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a", "b"), iter([("x,y", Decimal("1.50"))]), "csv")
    assert capsys.readouterr().out == 'a,b\n"x,y",1.50\n'


def test_a_table_of_no_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a",), iter([]), "table")
    assert "(no rows)" in capsys.readouterr().out
