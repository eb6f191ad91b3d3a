"""What lies where, by article: read from the snapshot once and kept in arrays, for the same articles are asked for
again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipelines.lookup_tables import lookup_key

KEPT_COUNTS = 8_000_000
"""Counts (an article in a store) kept at most, 8 bytes each; the articles asked for longest ago go first."""

Read = Callable[[str, Sequence[int]], Mapping[str, np.ndarray]]
_Counts = tuple[np.ndarray, np.ndarray]


class StockCache:
    """The counts of one snapshot, for threads. store_numbers: of the stores that have anything, by id."""

    def __init__(self, store_numbers: Mapping[str, int], kept_counts: int = KEPT_COUNTS) -> None:
        self._store_numbers = store_numbers
        self._kept_counts = kept_counts
        self._lock = threading.Lock()
        self._by_key: OrderedDict[int, _Counts] = OrderedDict()
        self._held = 0

    def load(self, read: Read) -> None:
        """Read everything at once, if it is no more than may be kept; else articles are read as they are asked for."""
        counted = read("SELECT count(*) AS counts FROM lookup.stock", [])
        if int(counted["counts"][0]) > self._kept_counts:
            return
        found = read("SELECT key, store_no, available FROM lookup.stock", [])
        keys, stores, units = (np.asarray(found[name]) for name in ("key", "store_no", "available"))
        order = np.argsort(keys, kind="stable")
        keys, stores, units = keys[order], stores[order], units[order]
        distinct, starts = np.unique(keys, return_index=True)
        ends = np.append(starts, len(keys))[1:]
        with self._lock:
            for key, start, end in zip(distinct.tolist(), starts.tolist(), ends.tolist(), strict=True):
                self._by_key[key] = (stores[start:end], units[start:end])
            self._held = len(keys)

    def available(self, read: Read, skus: Sequence[str], store_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Units above 0 by sku and store. read: runs a query with its parameters, for articles not met before."""
        keys = {sku: lookup_key(sku) for sku in skus}
        with self._lock:
            counts = {key: self._by_key[key] for key in keys.values() if key in self._by_key}
            for key in counts:
                self._by_key.move_to_end(key)
        missing = [key for key in keys.values() if key not in counts]
        if missing:
            counts |= self._keep(missing, read(_query(len(missing)), missing))
        numbers = {number: store for store in store_ids if (number := self._store_numbers.get(store)) is not None}
        wanted = np.array(list(numbers), np.int32)
        return {sku: _of_stores(counts[key], wanted, numbers) for sku, key in keys.items()}

    def _keep(self, asked: Sequence[int], found: Mapping[str, np.ndarray]) -> dict[int, _Counts]:
        keys, stores, units = (np.asarray(found[name]) for name in ("key", "store_no", "available"))
        fresh = {key: (stores[keys == np.uint64(key)], units[keys == np.uint64(key)]) for key in asked}
        with self._lock:
            for key, counts in fresh.items():
                if key not in self._by_key:
                    self._by_key[key] = counts
                    self._held += len(counts[0])
            while self._held > self._kept_counts and len(self._by_key) > 1:
                _, (dropped, _) = self._by_key.popitem(last=False)
                self._held -= len(dropped)
        return fresh


def _query(n_skus: int) -> str:
    # One scan an article, each of a single row group; a list of keys would read them all.
    return " UNION ALL ".join(["SELECT key, store_no, available FROM lookup.stock WHERE key = ?::UBIGINT"] * n_skus)


def _of_stores(counts: _Counts, wanted: np.ndarray, numbers: Mapping[int, str]) -> dict[str, float]:
    stores, units = counts
    here = (stores[:, None] == wanted).any(axis=1)
    return {numbers[store]: unit for store, unit in zip(stores[here].tolist(), units[here].tolist(), strict=True)}
