"""What lies where, by article: read from the snapshot once and kept in arrays, for the same articles are asked for
again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from pipelines.lookup_tables import lookup_key

KEPT_COUNTS = 4_000_000
"""Counts (an article in a store) kept at most, about 12 bytes each; the articles asked for longest ago go first."""

_Counts = tuple[np.ndarray, np.ndarray]


class StockCache:
    """The counts of one snapshot, for threads."""

    def __init__(self, kept_counts: int = KEPT_COUNTS) -> None:
        self._kept_counts = kept_counts
        self._lock = threading.Lock()
        self._codes: dict[str, int] = {}
        self._by_sku: OrderedDict[str, _Counts] = OrderedDict()
        self._held = 0

    def available(
        self, read: Callable[[str, list[int]], pa.Table], skus: Sequence[str], store_ids: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Units above 0 by sku and store. read: runs a query with its parameters, for articles not met before."""
        with self._lock:
            counts = {sku: self._by_sku[sku] for sku in skus if sku in self._by_sku}
            for sku in counts:
                self._by_sku.move_to_end(sku)
        missing = [sku for sku in skus if sku not in counts]
        if missing:
            found = read(_query(len(missing)), [lookup_key(sku) for sku in missing])
            counts |= self._keep(missing, found)
        with self._lock:
            codes = {code: store for store in store_ids if (code := self._codes.get(store)) is not None}
        return {sku: _of_stores(counts[sku], codes) for sku in skus}

    def _keep(self, skus: Sequence[str], found: pa.Table) -> dict[str, _Counts]:
        names = found.column("sku").to_numpy(zero_copy_only=False)
        available = found.column("available").to_numpy(zero_copy_only=False).astype(np.float32)
        with self._lock:
            codes = np.array(
                [self._codes.setdefault(store, len(self._codes)) for store in found.column("store_id").to_pylist()],
                np.int32,
            )
            fresh: dict[str, _Counts] = {}
            for sku in skus:
                own = names == sku
                fresh[sku] = (codes[own], available[own])
                self._held += len(fresh[sku][0]) - len(self._by_sku.get(sku, ((),))[0])
                self._by_sku[sku] = fresh[sku]
            while self._held > self._kept_counts and len(self._by_sku) > 1:
                _, (dropped, _) = self._by_sku.popitem(last=False)
                self._held -= len(dropped)
        return fresh


def _query(n_skus: int) -> str:
    one = "SELECT sku, store_id, available::FLOAT AS available FROM lookup.stock WHERE key = ?::UBIGINT"
    # One scan an article, each of a single row group; a list of keys would read them all.
    return " UNION ALL ".join([one] * n_skus)


def _of_stores(counts: _Counts, codes: dict[int, str]) -> dict[str, float]:
    own_codes, available = counts
    here = np.isin(own_codes, list(codes))
    return {codes[code]: units for code, units in zip(own_codes[here].tolist(), available[here].tolist(), strict=True)}
