"""Tags of ours as contact tags of Odoo (res.partner.category) whose name begins with our prefix.

Belongs here: finding and making them, and what a contact holds of them. Odoo's names are not unique, so a tag is looked
up before it is made, and all tags of one name count as that tag.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence

from pipelines.connectors.odoo_api import OdooApi
from pipelines.destinations.labels import label
from pipelines.destinations.protocol import Tag, TagChange
from pipelines.http import BusyError, RefusedError

_MODEL = "res.partner.category"
_ADD, _REMOVE = 4, 3
"""Odoo's commands for links of a many2many: they touch that link and no other."""


class ContactTags:
    """The tags of one prefix in one database. Safe to share between threads."""

    def __init__(self, api: OdooApi, prefix: str) -> None:
        self._api = api
        self._prefix = prefix
        self._module = re.sub(r"\W+", "_", prefix, flags=re.ASCII).strip("_").lower() or "omnilake"
        self._lock = threading.Lock()
        self._ids: dict[str, list[int]] = {}

    def held(self, contacts: Sequence[int]) -> dict[int, set[int]]:
        """Ids of all tags by contact; contacts that aren't there are left out."""
        if not contacts:
            return {}
        found = self._api.search_read("res.partner", [["id", "in", list(contacts)]], ["category_id"])
        return {contact["id"]: set(contact["category_id"]) for contact in found}

    def difference(
        self, change: TagChange, held: set[int], *, make: bool = True
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids to add and to remove, so that the contact has what the change wants. make: make tags that are missing;
        else a missing one is told by the id 0."""
        wanted = [self._of(tag, make=make) for tag in change.add]
        add = [ids[0] if ids else 0 for ids in wanted if not held & set(ids)]
        unwanted = [number for tag in change.remove for number in self._of(tag, make=False)]
        kept = {number for ids in wanted for number in ids}
        return tuple(sorted(set(add))), tuple(sorted((held & set(unwanted)) - kept))

    def write(self, contacts: Sequence[int], add: Sequence[int], remove: Sequence[int]) -> None:
        """Link and unlink tags on all of these contacts, or on none. Errors are those of `pipelines.http`."""
        commands = [[_ADD, number] for number in add] + [[_REMOVE, number] for number in remove]
        try:
            self._api.effect("res.partner", "write", ids=list(contacts), vals={"category_id": commands})
        except RefusedError:
            if len(self._api.search_read(_MODEL, [["id", "in", list(add)]], ["id"])) == len(add):
                raise
            with self._lock:
                self._ids.clear()
            raise BusyError("A contact tag of ours was deleted in Odoo meanwhile; it is made again.", 1.0) from None

    def _of(self, tag: Tag, *, make: bool) -> list[int]:
        name = label(self._prefix, tag)
        with self._lock:
            if not self._ids.get(name):
                self._ids[name] = self._found(name) or (self._made(name) if make else [])
            return self._ids[name]

    def _found(self, name: str) -> list[int]:
        found = self._api.search_read(_MODEL, [["name", "=", name]], ["name"])
        return [record["id"] for record in found if record["name"] == name]

    def _made(self, name: str) -> list[int]:
        """`load` keeps an external id: a repeat after a time-out finds the tag instead of making a second one."""
        key = f"{self._module}.tag_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        answer = self._api.effect(_MODEL, "load", fields=["id", "name"], data=[[key, name]])
        if not answer["ids"]:
            raise RefusedError("Odoo refuses a contact tag of this name.")
        return [int(answer["ids"][0])]
