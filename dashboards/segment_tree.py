"""The segment builder's working copy of a definition: a tree whose nodes have ids, so that widgets keep their places.

Belongs here: from a definition to the working copy and back, adding and removing. Does not belong here: widgets, and
what a definition means (`pipelines.segments`).
"""

from __future__ import annotations

import uuid
from typing import Any, TypeAlias

Draft: TypeAlias = dict[str, Any]
"""A group {id, type: group, join: all or any, negated, parts}, or a condition {id, type: column, tag or events, …}."""

_FIELDS = {
    "column": ("column", "op", "value"),
    "tag": ("tag", "value"),
    "events": ("events", "op", "value", "within_days", "where"),
}


def new_group(join: str = "all") -> Draft:
    """A group without conditions yet."""
    return {"id": _id(), "type": "group", "join": join, "negated": False, "parts": []}


def new_condition(kind: str) -> Draft:
    """A condition that says nothing yet; it counts once it is complete."""
    return {"id": _id(), "type": kind}


def from_tree(tree: Any) -> Draft:
    """A saved definition as a working copy whose root is a group."""
    draft = _draft(tree)
    return draft if draft["type"] == "group" else new_group() | {"parts": [draft]}


def _draft(tree: Any) -> Draft:
    if "not" in tree:
        inner = _draft(tree["not"])
        if inner["type"] == "group" and not inner["negated"]:
            return inner | {"negated": True}
        return new_group() | {"negated": True, "parts": [inner]}
    for join in ("all", "any"):
        if join in tree:
            return new_group(join) | {"parts": [_draft(part) for part in tree[join]]}
    kind = next(kind for kind in _FIELDS if kind in tree)
    return new_condition(kind) | dict(tree)


def to_tree(draft: Draft) -> Any:
    """The definition of what is complete; None where nothing is."""
    if draft["type"] != "group":
        return _condition(draft)
    parts = [tree for part in draft["parts"] if (tree := to_tree(part)) is not None]
    if not parts:
        return None
    tree = {draft["join"]: parts}
    return {"not": tree} if draft["negated"] else tree


def _condition(draft: Draft) -> Any:
    kind = draft["type"]
    tree = {name: draft[name] for name in _FIELDS[kind] if draft.get(name) not in (None, "", [], {})}
    needed = {kind} if kind == "tag" else {kind, "op"}
    if draft.get("op") not in ("is_null", "is_not_null") and kind != "tag":
        needed.add("value")
    return tree if needed <= tree.keys() else None


def remove(group: Draft, node_id: str) -> None:
    """Take a node out, wherever it is in the group."""
    group["parts"] = [part for part in group["parts"] if part["id"] != node_id]
    for part in group["parts"]:
        if part["type"] == "group":
            remove(part, node_id)


def _id() -> str:
    return uuid.uuid4().hex[:12]
