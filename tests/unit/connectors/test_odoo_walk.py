"""Walking what changed in Odoo: every record of the window, whatever shares a second, and from any page onwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors.odoo_api import OdooApi, id_of, moment, record_id, stamp, text_of, walk

START = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)


class Table(OdooApi):
    """Records in memory, asked as Odoo is: stored to the microsecond, shown to the second."""

    def __init__(self, records: dict[int, datetime]) -> None:
        self.records = records
        self.after_read = lambda: None

    def search_read(self, model: str, domain: Any, fields: Any, order: str = "id", limit: int | None = None) -> Any:
        found = [
            number for number, at in self.records.items()
            if all(_holds(number if name == "id" else at, operator, wanted) for name, operator, wanted in domain)
        ]  # fmt: skip
        found.sort(key=lambda number: (self.records[number], number) if order.startswith("write_date") else number)
        shown = [{"id": number, "write_date": stamp(self.records[number])} for number in found[:limit]]
        self.after_read()
        return shown


def _holds(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(value, datetime):
        wanted = datetime.fromisoformat(wanted).replace(tzinfo=UTC)
    return bool({">=": value >= wanted, "<": value < wanted, ">": value > wanted}[operator])


moments = st.integers(min_value=0, max_value=5_000_000).map(lambda micro: START + timedelta(microseconds=micro))
tables = st.lists(st.one_of(moments, st.just(START + timedelta(seconds=2))), max_size=40).map(
    lambda listed: dict(enumerate(listed, start=1))
)


@given(tables, st.integers(min_value=1, max_value=7))
def test_every_record_of_the_window_arrives_once_and_pages_are_never_too_long(records, size):
    since, until = START + timedelta(seconds=1), START + timedelta(seconds=3)
    pages = list(walk(Table(records), "m", [], ["id"], since, until, size))
    arrived = [record["id"] for page, _ in pages for record in page]
    wanted = {number for number, at in records.items() if since <= at < until + timedelta(seconds=1)}

    assert sorted(arrived) == sorted(wanted)
    assert all(len(page) <= size for page, _ in pages)
    assert [state is None for _, state in pages] == [False] * (len(pages) - 1) + [True]


@given(tables, st.integers(min_value=1, max_value=7), st.integers(min_value=0, max_value=50))
def test_a_walk_goes_on_after_any_page(records, size, position):
    since, until = START, START + timedelta(seconds=6)
    pages = list(walk(Table(records), "m", [], ["id"], since, until, size))
    state = pages[position % len(pages)][1]
    if state is None:
        return
    rest = walk(Table(records), "m", [], ["id"], since, until, size, state)

    assert [record["id"] for page, _ in rest for record in page] == [
        record["id"] for page, _ in pages[position % len(pages) + 1 :] for record in page
    ]


@given(tables, st.integers(min_value=1, max_value=5), st.randoms(use_true_random=False))
def test_nothing_is_lost_while_records_move_on(records, size, random):
    table = Table(dict(records))
    since, until = START, START + timedelta(seconds=30)
    steps = iter(range(6, 26))

    def move() -> None:
        step = next(steps, None)
        if step is not None and table.records:
            table.records[random.choice(sorted(table.records))] = START + timedelta(seconds=step)

    table.after_read = move
    arrived = {record["id"] for page, _ in walk(table, "m", [], ["id"], since, until, size) for record in page}

    assert arrived == set(records)


def test_a_many2one_comes_in_every_shape():
    assert [id_of(value) for value in ([7, "name"], 7, {"id": 7}, False, None, [], True, "7")] == [
        7, 7, 7, None, None, None, None, None,
    ]  # fmt: skip


def test_an_address_is_an_id_of_the_database_or_none():
    assert [record_id(text) for text in ("12", "0", "-1", "²", "1e3", "", "99999999999", "c1")] == [12, *[None] * 7]


def test_what_odoo_says_for_nothing_is_nothing():
    assert [text_of(value) for value in (False, "", "  ", " a ")] == [None, None, None, "a"]
    assert [moment(value) for value in (False, None, "2026-03-31 04:00:00")] == [None, None, "2026-03-31T04:00:00Z"]
