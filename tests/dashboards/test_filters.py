from __future__ import annotations

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.filters import NO_STORE, Choices, Filters, parse_filters

LAST = date(2026, 5, 31)
CHOICES = Choices({"mall": "Mall", "pos": "POS"}, {"S1": "One", "S2": "Two", NO_STORE: "None"}, date(2026, 1, 1), LAST)


def test_without_parameters_the_last_ninety_days_of_everything_are_shown() -> None:
    assert parse_filters({}, CHOICES) == Filters("90", LAST - timedelta(days=89), LAST)


def test_a_link_gives_the_filters_it_was_made_of() -> None:
    for filters in (
        parse_filters({"period": ["28"], "channel": ["pos", "mall"], "store": ["S2", NO_STORE]}, CHOICES),
        parse_filters({"from": ["2026-02-01"], "to": ["2026-02-14"]}, CHOICES),
    ):
        assert parse_filters(filters.query_string(), CHOICES) == filters


def test_defaults_stay_out_of_the_url() -> None:
    assert parse_filters({}, CHOICES).query_string() == {}


def test_a_stale_or_broken_link_still_opens_a_page() -> None:
    query = {"period": ["13"], "channel": ["gone", "pos", "pos"], "store": ["'; DROP"], "from": ["2026-02-30"]}
    assert parse_filters(query, CHOICES) == Filters("90", LAST - timedelta(days=89), LAST, ("pos",))


def test_days_of_ones_own_are_put_in_order_and_kept_within_the_snapshot() -> None:
    filters = parse_filters({"from": ["2031-01-01"], "to": ["2020-01-01"]}, CHOICES)
    assert (filters.start, filters.end) == (CHOICES.first_day, LAST)


@given(
    st.dictionaries(
        st.sampled_from(["period", "from", "to", "channel", "store", "lang"]),
        st.lists(st.text(max_size=12), max_size=3),
    )
)
def test_any_url_gives_filters_within_the_choices(query: dict[str, list[str]]) -> None:
    filters = parse_filters(query, CHOICES)
    assert filters.start <= filters.end <= LAST
    assert set(filters.channels) <= set(CHOICES.channels)
    assert set(filters.stores) <= set(CHOICES.stores)


@pytest.mark.parametrize(
    ("channels", "stores", "kept"),
    [
        ((), (), 4),
        (("pos",), (), 2),
        ((), ("S1",), 1),
        ((), (NO_STORE,), 2),
        ((), ("S1", NO_STORE), 3),
        (("mall",), ("S1", "S2"), 0),
    ],
)
def test_the_condition_keeps_what_was_chosen(channels: tuple[str, ...], stores: tuple[str, ...], kept: int) -> None:
    filters = Filters("90", LAST, LAST, channels, stores)
    rows = "(VALUES ('pos', 'S1'), ('pos', 'S2'), ('mall', NULL), ('h5', NULL)) AS sales(channel, store_id)"
    sql = f"SELECT count(*) FROM {rows} WHERE {filters.condition()}"
    bound = {name: value for name, value in filters.parameters.items() if f"${name}" in sql}
    assert duckdb.connect().execute(sql, bound).fetchall() == [(kept,)]
