from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from dashboards.formats import NOTHING, Formats

ZH, EN = Formats("zh", "CNY", "Asia/Shanghai"), Formats("en", "CNY", "Asia/Shanghai")


@pytest.mark.parametrize(
    ("amount", "chinese", "english"),
    [
        (Decimal("0"), "¥0.00", "CN¥0.00"),
        (Decimal("501.5"), "¥501.50", "CN¥501.50"),
        (Decimal("-501.5"), "-¥501.50", "-CN¥501.50"),
        (Decimal("9876.54"), "¥9,877", "CN¥9,877"),
        (Decimal("12345"), "¥1.23万", "CN¥12,345"),
        (Decimal("1234567.89"), "¥123.46万", "CN¥1.23M"),
        (Decimal("-250000"), "-¥25.00万", "-CN¥250.0K"),
        (Decimal("123456789012"), "¥1,234.57亿", "CN¥123.46B"),
        (None, NOTHING, NOTHING),
    ],
)
def test_money_reads_in_the_units_of_the_language(amount: Decimal | None, chinese: str, english: str) -> None:
    assert (ZH.money(amount), EN.money(amount)) == (chinese, english)


def test_an_amount_that_rounds_to_zero_has_no_minus() -> None:
    assert ZH.money(Decimal("-0.001")) == "¥0.00"


def test_exact_money_keeps_the_cents_of_large_amounts() -> None:
    assert EN.exact_money(Decimal("1234567.89")) == "CN¥1,234,567.89"


@pytest.mark.parametrize(
    ("currency", "expected"), [("JPY", "¥1"), ("USD", "$1.00"), ("EUR", "€1.00"), ("SEK", "SEK 1.00")]
)
def test_currency_signs_and_decimals_follow_the_currency(currency: str, expected: str) -> None:
    assert Formats("en", currency).money(1) == expected


@pytest.mark.parametrize(
    ("number", "chinese", "english"),
    [(12345, "12,345", "12,345"), (123456, "12.35万", "123,456"), (1234567, "123.46万", "1.23M"), (0, "0", "0")],
)
def test_counts_read_in_the_units_of_the_language(number: int, chinese: str, english: str) -> None:
    assert (ZH.count(number), EN.count(number)) == (chinese, english)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (110, 100, "+10.0%"),
        (90, 100, "-10.0%"),
        (5, 0, None),
        (5, None, None),
        (None, 5, None),
        (5, -2, None),
        (10000, 10001, "0.0%"),
    ],
)
def test_a_change_needs_something_to_compare_with(now: int | None, before: int | None, expected: str | None) -> None:
    assert EN.change(now, before) == expected


def test_a_change_beyond_ten_times_reads_as_a_factor() -> None:
    assert EN.change(2500, 100) == "×25.0"


def test_shares_differ_in_percentage_points() -> None:
    assert EN.points(Decimal("0.5"), Decimal("0.45")) == "+5.0pp"
    assert EN.points(None, 1) is None


def test_days_read_in_the_language() -> None:
    day = date(2026, 5, 31)
    assert ZH.day(day) == "2026年5月31日 周日"
    assert EN.day(day) == "Sun 31 May 2026"
    assert EN.day(day, with_weekday=False) == "31 May 2026"


def test_instants_are_shown_in_the_retailers_zone() -> None:
    assert ZH.instant(datetime(2026, 5, 31, 20, 15)) == "2026-06-01 04:15"
    assert ZH.instant(None) == NOTHING


def test_an_unknown_zone_is_read_as_utc() -> None:
    assert Formats("en", timezone="Nowhere/Land").instant(datetime(2026, 5, 31, 20, 15)) == "2026-05-31 20:15"


@pytest.mark.parametrize(("hours", "expected"), [(0.5, "30 min"), (-1.0, "0 min"), (26.0, "26.0 h"), (60.0, "2.5 d")])
def test_spans_read_in_the_largest_sensible_unit(hours: float, expected: str) -> None:
    assert EN.hours(hours) == expected
