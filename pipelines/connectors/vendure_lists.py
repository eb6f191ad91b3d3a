"""Reading a Vendure list although a record in it can't be read.

One record with a field that the server can't resolve makes it answer nothing of the whole page. Belongs here: finding
that record by halves, so that it holds up no neighbour. Does not belong here: which lists are read, and their paging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.connectors.vendure_api import FieldError, Node, VendureApi
from pipelines.connectors.vendure_documents import Listing
from pipelines.http import quick_calls

_MOST_UNREADABLE = 3
"""On one page. Where more can't be read, the fault lies with the server and not with a record."""

_SECONDS = 30.0


def read_list(api: VendureApi, listing: Listing, options: Mapping[str, Any]) -> Sequence[Node]:
    """The records for those options. One that the server can't give whole comes with its id and times alone, and
    `unreadable`.

    Raises FieldError where that befalls more than a few.
    """
    try:
        return _asked(api, listing.document, options)
    except FieldError as error:
        return _Halves(api, listing, error).read(options)


@dataclass
class _Halves:
    api: VendureApi
    listing: Listing
    error: FieldError
    unreadable: int = 0

    def read(self, options: Mapping[str, Any]) -> list[Node]:
        take, skip = options["take"], options.get("skip", 0)
        half = take // 2
        if half == 0:
            return self._one(options)
        first = self._part({**options, "take": half})
        if len(first) < half:
            return first
        return first + self._part({**options, "take": take - half, "skip": skip + half})

    def _part(self, options: Mapping[str, Any]) -> list[Node]:
        try:
            # The page was tried again and again; a part of it is tried once.
            with quick_calls(_SECONDS):
                return list(_asked(self.api, self.listing.document, options))
        except FieldError:
            return self.read(options)

    def _one(self, options: Mapping[str, Any]) -> list[Node]:
        self.unreadable += 1
        if self.unreadable > _MOST_UNREADABLE:
            raise self.error
        return [{**node, "unreadable": str(self.error)} for node in _asked(self.api, self.listing.bare, options)]


def _asked(api: VendureApi, document: str, options: Mapping[str, Any]) -> Sequence[Node]:
    (listing,) = api.query(document, options=options).values()
    nodes: Sequence[Node] = listing["items"]
    return nodes
