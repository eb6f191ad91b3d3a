"""Bad rows and bad files of every kind the landing contract names, planted beside the good ones and counted.

A bad row is a copy of a good one under an id of its own (it ends in `-bad`), so that no good row is lost to it.
Belongs here: what can be wrong with a row or a file. Does not belong here: untidy but acceptable data.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from pipelines.feeds.contract import FEEDS
from pipelines.simulation.delivery import Style

BAD_ROW_SHARE = 0.002
Record = dict[str, Any]


def _line(record: Record, **changes: object) -> Record:
    return record | {"lines": [record["lines"][0] | changes, *record["lines"][1:]]}


_ORDER_FAULTS: dict[str, Callable[[Record], Record]] = {
    "untypable value": lambda record: record | {"paid_amount": "see till"},
    "untypable nested value": lambda record: _line(record, quantity="two"),
    "too many decimals": lambda record: record | {"paid_amount": "10.00001"},
    "impossible date": lambda record: record | {"placed_at": "2026-02-30T10:00:00"},
    "unknown currency": lambda record: record | {"currency": "ZZZ"},
    "unknown status": lambda record: record | {"status": "teleported"},
    "unknown fulfilment": lambda record: record | {"fulfilment": "drone"},
    "quantity not positive": lambda record: _line(record, quantity=0),
    "no lines": lambda record: record | {"lines": []},
    "missing value": lambda record: record | {"paid_amount": None},
}
_SPLIT_ORDER_FAULTS = {
    kind: fault
    for kind, fault in _ORDER_FAULTS.items()
    if kind not in ("untypable nested value", "quantity not positive", "no lines")
}
_FAULTS: dict[str, dict[str, Callable[[Record], Record]]] = {
    "orders": _ORDER_FAULTS,
    "order_lines": {
        "untypable value": lambda record: record | {"quantity": "two"},
        "quantity not positive": lambda record: record | {"quantity": "-1"},
        "too many decimals": lambda record: record | {"unit_price": "1.23456"},
    },
    "members": {
        "missing value": lambda record: record | {"updated_at": None},
        "impossible date": lambda record: record | {"birthday": "1990-13-01"},
        "untypable value": lambda record: record | {"consent_marketing": "perhaps"},
    },
    "refunds": {
        "unknown currency": lambda record: record | {"currency": "ZZZ"},
        "untypable value": lambda record: record | {"amount": "all"},
        "missing value": lambda record: record | {"refunded_at": None},
    },
    "events": {
        "unknown type": lambda record: record | {"type": "levitate"},
        "impossible date": lambda record: record | {"occurred_at": "2026-04-31T25:00:00"},
        "missing value": lambda record: record | {"occurred_at": None},
    },
    "reviews": {
        "rating outside 1-5": lambda record: record | {"rating": 9},
        "untypable value": lambda record: record | {"rating": "great"},
    },
    "points": {
        "unknown reason": lambda record: record | {"reason": "luck"},
        "untypable value": lambda record: record | {"delta": "many"},
    },
    "coupons": {
        "unknown kind": lambda record: record | {"kind": "free_lunch"},
        "impossible date": lambda record: record | {"issued_at": "2026-06-31T00:00:00"},
    },
}
_PARQUET_FAULTS: dict[str, dict[str, tuple[str, str, object]]] = {
    "orders": {
        "unknown status": ("order_id", "status", "teleported"),
        "unknown currency": ("order_id", "currency", "ZZZ"),
    },
    "events": {"unknown type": ("event_id", "type", "levitate")},
    "reviews": {"rating outside 1-5": ("review_id", "rating", 9)},
    "refunds": {"unknown currency": ("refund_id", "currency", "ZZZ")},
    "coupons": {"unknown kind": ("coupon_code", "kind", "free_lunch")},
}


class FaultPlanter:
    """Plants the rarest fault first, so that every kind comes up; `planted` holds (channel, feed, file, kind, rows)."""

    def __init__(self) -> None:
        self.planted: list[tuple[str, str, str, str, int]] = []
        self._begun: set[tuple[str, str]] = set()
        self._used: Counter[tuple[str, str]] = Counter()

    def plant_text(
        self, channel: str, feed: str, file: str, header: str | None, lines: list[str], rng: np.random.Generator
    ) -> list[str]:
        """The lines with bad ones among them: about BAD_ROW_SHARE of the rows, one at least in a first file."""
        if feed not in _FAULTS or not lines:
            return lines
        count = int(rng.binomial(len(lines), BAD_ROW_SHARE)) + ((channel, feed) not in self._begun)
        models = rng.integers(0, len(lines), count)
        places = np.sort(rng.integers(0, len(lines) + 1, count))[::-1]
        result = list(lines)
        for model, place in zip(models, places, strict=True):
            kind, bad = self._bad_line(channel, feed, header, lines[int(model)])
            result.insert(int(place), bad)
            self._count(channel, feed, file, kind)
        return result

    def plant_parquet(
        self, channel: str, feed: str, file: str, rows: pl.DataFrame, rng: np.random.Generator
    ) -> pl.DataFrame:
        """The rows with bad ones after them; Parquet's types rule out most kinds."""
        faults = _PARQUET_FAULTS.get(feed)
        count = int(rng.binomial(len(rows), BAD_ROW_SHARE)) + ((channel, feed) not in self._begun) if faults else 0
        if not faults or not count:
            return rows
        bad = []
        for model in rng.integers(0, len(rows), count):
            kind = self._next(channel, feed, list(faults))
            key, column, value = faults[kind]
            bad.append(
                rows[int(model)].with_columns(
                    (pl.col(key) + f"-bad{len(self.planted)}").alias(key),
                    pl.lit(value, dtype=rows.schema[column]).alias(column),
                )
            )
            self._count(channel, feed, file, kind)
        return pl.concat([rows, *bad])

    def _bad_line(self, channel: str, feed: str, header: str | None, line: str) -> tuple[str, str]:
        faults = dict(_FAULTS[feed])
        if header is None:
            kind = self._next(channel, feed, [*faults, "broken JSON"])
            if kind == "broken JSON":
                return kind, line[: len(line) // 2]
            return kind, json.dumps(faults[kind](self._renamed(feed, json.loads(line))), ensure_ascii=False)
        names = header.split(",")
        cells = next(csv.reader([line]))
        record: Record = dict(zip(names, cells, strict=True))
        if feed == "orders" and "lines" in record:
            record["lines"] = json.loads(record["lines"])
        elif feed == "orders":
            faults = dict(_SPLIT_ORDER_FAULTS)
        kind = self._next(channel, feed, [*faults, "too many cells", "too few cells"])
        if kind == "too few cells":
            return kind, self._csv([*cells[:3]])
        if kind == "too many cells":
            return kind, self._csv([*cells, "one more", "and another"])
        changed = faults[kind](self._renamed(feed, record))
        if isinstance(changed.get("lines"), list):
            changed["lines"] = json.dumps(changed["lines"], ensure_ascii=False)
        return kind, self._csv(["" if changed[name] is None else str(changed[name]) for name in names])

    def _renamed(self, feed: str, record: Record) -> Record:
        key = FEEDS[feed].key[-1] if feed == "order_lines" else FEEDS[feed].key[0]
        return record | {key: f"{record[key]}-bad{len(self.planted)}"}

    @staticmethod
    def _csv(cells: list[str]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(cells)
        return buffer.getvalue()

    def _next(self, channel: str, feed: str, kinds: list[str]) -> str:
        """The kind that was planted least often in this feed so far."""
        self._begun.add((channel, feed))
        kind = min(kinds, key=lambda name: self._used[(feed, name)])
        self._used[(feed, kind)] += 1
        return kind

    def _count(self, channel: str, feed: str, file: str, kind: str) -> None:
        self.planted.append((channel, feed, file, kind, 1))

    def count_file(self, channel: str, feed: str, file: str, kind: str) -> None:
        """A file that cannot be read counts as one bad row."""
        self._count(channel, feed, file, kind)


def bad_files(style_gz: Style) -> list[tuple[str, str, str, str, bytes]]:
    """Files that can't be read, each once: (channel, feed, name, kind, payload)."""
    whole = gzip.compress(b'{"order_id": "never", "placed_at": "' + b"x" * 400 + b'"}\n', mtime=0)
    gbk_line = '{"member_id": "L-gbk", "updated_at": "2026-03-01 10:00:00", "name": "王雨欣"}\n'
    return [
        ("app", "orders", "orders-resent.parquet", "broken Parquet", b"PAR1 this is no Parquet file PAR1"),
        (
            "h5_mall",
            "orders",
            f"orders-resent.{style_gz.format}",
            "not gzip",
            b'{"order_id": "plain text under a gz name"}\n',
        ),
        ("mini_maiya", "orders", f"orders-resent.{style_gz.format}", "truncated gzip", whole[: len(whole) // 2]),
        ("live", "members", "members-resent.jsonl", "undeclared encoding", gbk_line.encode("gbk")),
        (
            "pos_sydney",
            "orders",
            "orders-resent.csv",
            "missing header column",
            b"updated_at,status\n2026-03-01 10:00:00,paid\n",
        ),
    ]
