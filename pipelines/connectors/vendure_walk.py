"""Walking a Vendure list by time, so that no row is lost while rows move.

Vendure has no cursor. Skipping over a sort that moves loses rows, so each page asks for what lies at or after the last
row's time and skips nothing; rows that come twice at that edge are left out by id. Only where a whole page shares one
millisecond, the API's resolution, is skipping the way on, checked by finding the last row again. Belongs here: the
order of pages and their state. Does not belong here: what a row holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipelines.connectors.vendure_api import Node, api_time
from pipelines.http import DoubtfulError

Fetch = Callable[[dict[str, Any]], Sequence[Node]]
"""Rows of a Vendure list for its `options`."""

_MOST_RESTARTS = 20


@dataclass(frozen=True)
class Walk:
    """One pass over a list.

    moment: the time field that orders it; the rows have it, and `id`. take: rows a page. filters: further conditions.
    """

    moment: str
    since: datetime
    until: datetime
    take: int
    filters: Mapping[str, Any]

    def pages(
        self, fetch: Fetch, state: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Sequence[Node], dict[str, Any] | None]]:
        """Rows and the state after them, None after the last page. A row may come again when a walk is taken up."""
        place = dict(state or {"after": api_time(self.since), "skip": 0, "last": None})
        # The API cuts times to milliseconds, so the last one of the window is asked for whole.
        until = api_time(self.until + timedelta(milliseconds=1))
        edge: set[str] = set()
        restarts = 0
        while True:
            # One row is fetched again to see that the rows skipped are still those that were read.
            skip = max(place["skip"] - 1, 0)
            options = {
                "take": self.take,
                "skip": skip,
                "sort": {self.moment: "ASC", "id": "ASC"},
                "filter": {**self.filters, self.moment: {"between": {"start": place["after"], "end": until}}},
            }
            rows = fetch(options)
            if place["skip"] and (not rows or str(rows[0]["id"]) != place["last"]):
                restarts += 1
                if restarts > _MOST_RESTARTS:
                    raise DoubtfulError(f"Rows of one {self.moment} keep changing while they are read.")
                place = {**place, "skip": 0, "last": None}
                edge = set()
                continue
            fresh = [row for row in rows if str(row["id"]) not in edge]
            if len(rows) < self.take:
                yield fresh, None
                return
            place = self._next(place, rows, skip)
            edge = {str(row["id"]) for row in rows if row[self.moment] == place["after"]}
            yield fresh, place

    def _next(self, place: Mapping[str, Any], rows: Sequence[Node], skip: int) -> dict[str, Any]:
        last = rows[-1]
        if last[self.moment] == place["after"]:
            return {"after": place["after"], "skip": skip + len(rows), "last": str(last["id"])}
        return {"after": last[self.moment], "skip": 0, "last": None}
