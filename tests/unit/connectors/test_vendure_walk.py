"""Walking a list by time: whatever shares an instant, and whatever moves meanwhile, everything arrives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors.vendure_api import api_time
from pipelines.connectors.vendure_walk import Walk
from pipelines.http import DoubtfulError

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)
TAKE = 4

Rows = dict[int, datetime]


class List:
    """A list of the API over rows with microseconds, of which the API shows milliseconds."""

    def __init__(self, rows: Rows, between_calls: Callable[[Rows, int], None] = lambda _rows, _call: None) -> None:
        self.rows = rows
        self.calls = 0
        self._between_calls = between_calls

    def __call__(self, options: dict[str, Any]) -> Sequence[dict[str, Any]]:
        if self.calls:
            self._between_calls(self.rows, self.calls)
        self.calls += 1
        window = options["filter"]["updatedAt"]["between"]
        first, last = (datetime.fromisoformat(window[edge]) for edge in ("start", "end"))
        found = sorted((at, number) for number, at in self.rows.items() if first <= at <= last)
        page = found[options["skip"] : options["skip"] + options["take"]]
        return [{"id": str(number), "updatedAt": api_time(at)} for at, number in page]


def walked(rows: List, state: dict[str, Any] | None = None, take: int = TAKE) -> list[str]:
    walk = Walk("updatedAt", START, END, take, {})
    return [row["id"] for page, _ in walk.pages(rows, state) for row in page]


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(2, 6))
def test_every_row_arrives_once_however_many_share_an_instant(offsets: list[int], take: int) -> None:
    # Four microsecond steps to a millisecond: rows share what the API shows, and some share everything.
    rows = {number: START + timedelta(microseconds=250 * offset) for number, offset in enumerate(offsets)}

    assert sorted(walked(List(dict(rows)), take=take), key=int) == [str(number) for number in sorted(rows)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_rows_that_do_not_move_arrive_while_others_leave_the_window(offsets: list[int], data: st.DataObject) -> None:
    rows = {number: START + timedelta(milliseconds=offset) for number, offset in enumerate(offsets)}
    leaving = set(data.draw(st.lists(st.sampled_from(sorted(rows)), unique=True, max_size=8)))
    queue = sorted(leaving)

    def leave(held: Rows, _call: int) -> None:
        if queue:
            held[queue.pop()] = END + timedelta(hours=1)

    arrived = set(walked(List(dict(rows), leave)))

    assert {str(number) for number in set(rows) - leaving} <= arrived


@given(st.lists(st.integers(0, 6), min_size=5, max_size=40), st.integers(0, 8))
def test_a_walk_goes_on_from_any_state_it_gave(offsets: list[int], kept_pages: int) -> None:
    rows = {number: START + timedelta(milliseconds=offset) for number, offset in enumerate(offsets)}
    walk = Walk("updatedAt", START, END, TAKE, {})
    arrived: set[str] = set()
    state: dict[str, Any] | None = None
    for number, (page, after) in enumerate(walk.pages(List(dict(rows)))):
        arrived |= {row["id"] for row in page}
        state = after
        if number == kept_pages:
            break
    if state is not None:
        arrived |= set(walked(List(dict(rows)), json.loads(json.dumps(state))))

    assert arrived == {str(number) for number in rows}


def test_an_instant_whose_rows_never_stand_still_is_a_doubt_and_no_endless_walk() -> None:
    rows = dict.fromkeys(range(200), START)

    def churn(held: Rows, _call: int) -> None:
        held[min(number for number, at in held.items() if at == START)] = END + timedelta(hours=1)

    with pytest.raises(DoubtfulError, match="keep changing"):
        walked(List(rows, churn))


def test_both_edges_of_the_window_belong_to_it() -> None:
    rows = List({1: START, 2: END, 3: END + timedelta(microseconds=900), 4: END + timedelta(milliseconds=2)})

    assert walked(rows) == ["1", "2", "3"]
