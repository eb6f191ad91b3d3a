"""Retry-After and the bucket that paces calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.http.clock import note_date, watch_clock
from pipelines.http.rate import Rate
from pipelines.http.waiting import retry_after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 15:00:30 GMT", "date": "Sun, 01 Mar 2026 15:00:00 GMT"}, 30),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers, seconds):
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_nothing(value, date):
    seconds = retry_after({"retry-after": value, "date": date}, NOW)

    assert seconds is None or seconds >= 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bucket(per_second: float, burst: float) -> tuple[Rate, Clock]:
    clock = Clock()
    return Rate(per_second, burst, clock=lambda: clock.now, sleep=clock.sleep), clock


def test_calls_beyond_the_burst_are_paced():
    rate, clock = bucket(5, 10)
    for _ in range(35):
        rate.take()

    assert clock.now == pytest.approx(5)


def test_a_dear_call_waits_for_its_cost():
    rate, clock = bucket(50, 1000)
    rate.take(1000)
    rate.take(100)

    assert clock.now == pytest.approx(2)


def test_what_an_answer_says_of_the_bucket_is_believed():
    rate, clock = bucket(50, 1000)
    rate.learn(available=0, per_second=100, burst=2000)
    rate.take(200)

    assert clock.now == pytest.approx(2)


def test_a_cost_beyond_the_bucket_is_not_waited_for_for_ever():
    rate, clock = bucket(1, 10)
    rate.take(1e9)
    rate.take(1)

    assert clock.now <= 11


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ValueError):
        Rate(0)


def test_a_clock_that_is_behind_is_measured_by_its_worst_answer_while_somebody_watches():
    with watch_clock() as watch:
        for date in ("Sun, 01 Mar 2026 11:50:00 GMT", "Sun, 01 Mar 2026 11:59:57 GMT", "Sun, 01 Mar 2026 13:00:00 GMT"):
            note_date({"date": date}, NOW)
        note_date({"date": "yesterday"}, NOW)
        note_date({}, NOW)
    note_date({"date": "Sun, 01 Mar 2026 11:00:00 GMT"}, NOW)

    assert watch.behind == timedelta(minutes=10)
