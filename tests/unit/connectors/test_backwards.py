"""Numbered pages read from the last to the first lose nothing that moves."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors.backwards import pages_backwards


def asker(records, size, after_each=lambda: None):
    def ask(number):
        count = -(-len(records) // size)
        rows = list(records[(number - 1) * size : number * size])
        after_each()
        return rows, count

    return ask


def test_one_page_is_asked_for_once():
    asked = []

    def ask(number):
        asked.append(number)
        return ["a"], 1

    assert list(pages_backwards(ask)) == [(["a"], None)]
    assert asked == [1]


def test_nothing_is_one_empty_page():
    assert list(pages_backwards(lambda _number: ([], 0))) == [([], None)]


def test_the_first_page_comes_last_and_every_page_says_where_to_go_on():
    pages = list(pages_backwards(asker(list("abcdefg"), 3)))

    assert pages == [(["g"], 2), (["d", "e", "f"], 1), (["a", "b", "c"], None)]
    assert list(pages_backwards(asker(list("abcdefg"), 3), at_page=1)) == [(["a", "b", "c"], None)]


@given(count=st.integers(0, 60), size=st.integers(1, 10), seed=st.integers())
def test_whatever_leaves_the_window_meanwhile_the_others_are_all_read(count, size, seed):
    chance = random.Random(seed)
    records = list(range(count))
    left: set[int] = set()

    def somebody_leaves():
        if records and chance.random() < 0.5:
            left.add(records.pop(chance.randrange(len(records))))

    read = {row for rows, _ in pages_backwards(asker(records, size, somebody_leaves)) for row in rows}

    assert read | left == set(range(count))
