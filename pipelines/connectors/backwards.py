"""Reading numbered pages of a window while its records move.

A record that changes during the pull leaves the window, and everything behind it moves up by one place: whoever reads
page 1, then page 2 never sees what moved from the one to the other. Read from the last page to the first, what moves
up goes where the reader still has to look; the worst is to read a record twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Rows = list[Any]


def pages_backwards(
    ask: Callable[[int], tuple[Rows, int]], at_page: int | None = None
) -> Iterator[tuple[Rows, int | None]]:
    """Pages from the last to the first, each with the number of the page to go on with; None after the first page.

    ask: gives the records of a page, from 1 on, and how many pages there are. at_page: where to go on.
    """
    page = at_page
    if page is None:
        rows, count = ask(1)
        if count <= 1:
            yield rows, None
            return
        page = count
    while page >= 1:
        rows, _ = ask(page)
        page -= 1
        yield rows, page or None
