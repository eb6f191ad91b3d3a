"""A recommendation list as the JSON text that platforms keep beside a customer.

Belongs here: what a shop's theme or plug-in reads, and how we recognise a list of ours again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipelines.destinations.protocol import RecommendationList


@dataclass(frozen=True)
class StoredList:
    """What a stored list says of itself; version -1 if it is none of ours."""

    key: str = ""
    version: int = -1

    def covers(self, recommended: RecommendationList) -> bool:
        """Whether this list, or a newer one of ours, is in its place: an older one must not come after it."""
        return self.key == recommended.key or self.version > recommended.version


def list_text(recommended: RecommendationList) -> str:
    """JSON with key, version, as_of (date) and items (rank, sku and, where there is one, reason and store_id)."""
    items = []
    for item in recommended.items:
        entry: dict[str, Any] = {"rank": item.rank, "sku": item.sku}
        if item.reason is not None:
            entry["reason"] = item.reason
        if item.store_id is not None:
            entry["store_id"] = item.store_id
        items.append(entry)
    content = {
        "key": recommended.key,
        "version": recommended.version,
        "as_of": recommended.decided_on.isoformat(),
        "items": items,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def stored_list(text: Any) -> StoredList:
    """What is stored now. Whatever we can't read is nothing of ours."""
    try:
        content = json.loads(text)
        return StoredList(str(content["key"]), int(content["version"]))
    except (ValueError, TypeError, KeyError):
        return StoredList()
