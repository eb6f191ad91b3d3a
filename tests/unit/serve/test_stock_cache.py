"""Counts by article: read once, right for every store, bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.lookup_tables import lookup_key
from pipelines.serve.stock import StockCache

NUMBERS = {"S1": 1, "S2": 2, "S3": 3}
COUNTS = {"A": [(1, 4.0), (3, 0.5)], "B": [(2, 7.0)], "C": [(1, 1.0), (2, 2.0), (3, 3.0)]}


QUERY_OF_ALL = "lookup.stock" * len(COUNTS)


class Snapshot:
    """Answers queries for counts, and keeps how many articles each asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, sql: str, keys: Sequence[int]) -> Mapping[str, np.ndarray]:
        if "count(*)" in sql:
            return {"counts": np.array([sum(len(counts) for counts in COUNTS.values())])}
        if not keys:
            return self.read(QUERY_OF_ALL, [lookup_key(sku) for sku in COUNTS])
        assert sql.count("lookup.stock") == len(keys)
        self.asked.append(len(keys))
        rows = [(lookup_key(sku), *one) for sku, counts in COUNTS.items() for one in counts if lookup_key(sku) in keys]
        return {
            "key": np.array([row[0] for row in rows], np.uint64),
            "store_no": np.array([row[1] for row in rows], np.int32),
            "available": np.array([row[2] for row in rows], np.float32),
        }


def test_counts_are_told_for_the_stores_asked_about() -> None:
    cache, snapshot = StockCache(NUMBERS), Snapshot()
    assert cache.available(snapshot.read, ["A", "B", "none"], ["S3", "S1", "unheard"]) == {
        "A": {"S1": 4.0, "S3": 0.5}, "B": {}, "none": {},
    }  # fmt: skip
    assert cache.available(snapshot.read, ["B", "A"], ["S2"]) == {"B": {"S2": 7.0}, "A": {}}
    assert cache.available(snapshot.read, ["A"], []) == {"A": {}}


def test_an_article_is_read_once_and_one_named_twice_is_read_once() -> None:
    cache, snapshot = StockCache(NUMBERS), Snapshot()
    cache.available(snapshot.read, ["A", "A", "none"], ["S1"])
    cache.available(snapshot.read, ["A", "none", "C"], ["S1"])
    assert snapshot.asked == [2, 1]


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    cache, snapshot = StockCache(NUMBERS, kept_counts=5), Snapshot()
    for sku in ("A", "C", "A", "B", "A"):
        assert cache.available(snapshot.read, [sku], ["S1", "S2", "S3"])[sku]
    assert snapshot.asked == [1, 1, 1]
    cache.available(snapshot.read, ["C"], ["S1"])
    assert snapshot.asked == [1, 1, 1, 1]


def test_what_may_be_kept_is_read_at_once_and_never_again() -> None:
    cache, snapshot = StockCache(NUMBERS), Snapshot()
    cache.load(snapshot.read)
    assert snapshot.asked == [3]
    assert cache.available(snapshot.read, ["A", "B", "C"], ["S1", "S2", "S3"]) == {
        "A": {"S1": 4.0, "S3": 0.5}, "B": {"S2": 7.0}, "C": {"S1": 1.0, "S2": 2.0, "S3": 3.0},
    }  # fmt: skip
    assert snapshot.asked == [3]


def test_more_than_may_be_kept_is_read_as_it_is_asked_for() -> None:
    cache, snapshot = StockCache(NUMBERS, kept_counts=5), Snapshot()
    cache.load(snapshot.read)
    assert snapshot.asked == []
    assert cache.available(snapshot.read, ["A"], ["S1"]) == {"A": {"S1": 4.0}}
