from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.components import to_csv, to_frame


def read_back(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def test_a_download_opens_in_a_spreadsheet_with_its_characters() -> None:
    assert to_csv(pa.table({"门店": ["上海"]})).startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30", "'+49 30"),
        ("-cmd", "'-cmd"),
        ("\tx", "'\tx"),
        ("-12.50", "-12.50"),
        ("+7", "+7"),
        ("plain", "plain"),
        (None, ""),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(value: str | None, written: str) -> None:
    assert read_back(to_csv(pa.table({"cell": pa.array([value, "end"], pa.string())})))[1:] == [
        [written] if written else [""],
        ["end"],
    ]


def test_money_days_and_instants_are_written_exactly() -> None:
    table = pa.table(
        {
            "amount": pa.array([Decimal("1234567890123.45")], pa.decimal128(38, 2)),
            "day": [date(2026, 5, 31)],
            "at": [datetime(2026, 5, 31, 20, 15)],
        }
    )
    assert read_back(to_csv(table))[1] == ["1234567890123.45", "2026-05-31", "2026-05-31T20:15:00"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20), min_size=1))
def test_any_text_is_one_cell_of_one_row(texts: list[str]) -> None:
    rows = read_back(to_csv(pa.table({"a": texts, "b": ["end"] * len(texts)})))
    assert len(rows) == len(texts) + 1
    assert [row[0].removeprefix("'") for row in rows[1:]] == [text.removeprefix("'") for text in texts]


def test_charts_get_floats_where_the_data_has_decimals() -> None:
    frame = to_frame(pa.table({"amount": pa.array([Decimal("1.50"), None], pa.decimal128(38, 2))}))
    assert frame["amount"].dtype == "float64"
    assert frame["amount"].isna().tolist() == [False, True]
