"""What lands when: rows due in a week become files, with repeats, stragglers and faults among them.

Belongs here: buckets of rows by week, redelivery, unknown columns, bad rows and files. Does not belong here: rendering
of a format (delivery) or what rows say.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from pipelines.simulation.delivery import (
    Landing,
    channel_of,
    file_name,
    parquet_payload,
    style_of,
    text_lines,
    text_payload,
)
from pipelines.simulation.doors import DOORS, Door
from pipelines.simulation.faults import FaultPlanter, bad_files
from pipelines.simulation.orders import World

REPEATED_ROW_SHARE = 0.003
REPEATED_FILE_SHARE = 0.03
WEEKLY = ("orders", "order_lines", "events")
"""Feeds with a file a week; the others of a channel have one every four weeks."""
_EXTRA_COLUMNS = {
    ("h5_mall", "orders"): ("trace_id", 8),
    ("market", "members"): ("vip_source", 4),
    ("pos_cn", "orders"): ("till_no", 12),
}
"""Columns that the contract doesn't know, and the week from which a channel sends them."""

Bucket = dict[tuple[int, str], list[pl.DataFrame]]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for each part, so that a change of one part leaves the others' draws alone."""
    return np.random.default_rng([seed, *(int.from_bytes(str(name).encode()[:8], "big") for name in names)])


class Deliveries:
    """Collects rows by (week, door, feed) and writes a week's files at once. Door -1 stands for the shared feeds."""

    def __init__(self, landing: Landing, world: World, seed: int) -> None:
        self.landing = landing
        self.faults = FaultPlanter()
        self._world = world
        self._seed = seed
        self._due: dict[int, Bucket] = {}
        self._again: dict[int, list[tuple[str, str, str, bytes, int]]] = {}

    def add(self, door: int, feed: str, week: int, rows: pl.DataFrame) -> None:
        """Rows to be written with that week's files; nothing is due after the last week.

        Feeds that are not delivered weekly wait for the end of their four weeks.
        """
        if len(rows) and week < self._world.weeks:
            if feed not in WEEKLY and door >= 0:
                week = min(week - week % 4 + 3, self._world.weeks - 1)
            self._due.setdefault(week, {}).setdefault((door, feed), []).append(rows)

    def flush(self, week: int) -> None:
        """Write the files of that week: its rows, repeats of earlier ones, and faults."""
        for (door, feed), frames in sorted(self._due.pop(week, {}).items(), key=lambda item: item[0]):
            self._write(DOORS[door] if door >= 0 else None, door, feed, week, pl.concat(frames, how="diagonal"))
        for channel, feed, name, payload, count in self._again.pop(week, []):
            self.landing.write(channel, feed, name, payload, count)

    def finish(self) -> None:
        """The files that can't be read."""
        zipped = next(style_of(door, "orders") for door in DOORS if door.format == "jsonl.gz")
        for channel, feed, name, kind, payload in bad_files(zipped):
            file = self.landing.write(channel, feed, name, payload, 1)
            self.faults.count_file(channel, feed, file, kind)

    def _write(self, door: Door | None, position: int, feed: str, week: int, rows: pl.DataFrame) -> None:
        rng = stream(self._seed, "write", week, position + 1, feed)
        style = style_of(door, feed)
        channel = channel_of(door)
        extra = _EXTRA_COLUMNS.get((channel, feed))
        if extra and week >= extra[1]:
            rows = rows.with_columns(pl.Series(extra[0], np.arange(len(rows)) % 7).cast(pl.String))
        if door is not None and feed != "order_lines":
            repeated = np.flatnonzero(rng.random(len(rows)) < REPEATED_ROW_SHARE)
            self.add(position, feed, week + 1, rows[repeated.tolist()])
        day = self._world.first + timedelta(days=min(week * 7 + 6, self._world.days - 1))
        name = file_name(feed, day, style)
        file = f"{channel}/{feed}/{name}"
        if style.format == "parquet":
            planted = self.faults.plant_parquet(channel, feed, file, rows, rng)
            payload, count = parquet_payload(planted, style), len(planted)
        else:
            header, lines = text_lines(rows, style)
            lines = self.faults.plant_text(channel, feed, file, header, lines, rng) if door else lines
            payload, count = text_payload(header, lines, style), len(lines)
        self.landing.write(channel, feed, name, payload, count)
        if door is not None and rng.random() < REPEATED_FILE_SHARE and week + 1 < self._world.weeks:
            again = file_name(feed, day, style, "-again")
            self._again.setdefault(week + 1, []).append((channel, feed, again, payload, count))
