"""The picture of why memberships are one customer, as a graph in the DOT language.

Belongs here: turning links into DOT, bounded, with every text escaped. Does not belong here: reading, or page layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MOST_EDGES = 60
"""More cannot be read; the table beneath lists all."""
_LONGEST = 26
_HEAD = (
    'graph { graph [bgcolor="transparent" layout="neato" overlap="false" splines="true"] '
    'node [fontname="sans-serif" fontsize="11" style="filled,rounded" shape="box" color="#c9d1d9"] '
    'edge [fontname="sans-serif" fontsize="10" color="#8c959f"]'
)
_MEMBER, _VALUE, _STRANGER = "#dbeafe", "#f1f5f9", "#fee2e2"


def link_graph(
    links: Sequence[Mapping[str, Any]], channel_name: Callable[[str | None], str], kind_name: Callable[[str], str]
) -> tuple[str, int]:
    """DOT text, and how many links it leaves out.

    links: rows of `customer_links`. Memberships are boxes; a value that several of them share is a node between them;
    probable links and decisions are edges with their score or rule; what is kept apart is dashed.
    """
    shared = {
        link["identity"]
        for link in links
        if link["identity"] and sum(other["identity"] == link["identity"] for other in links) > 1
    }
    drawn = [link for link in links if link["partner_id"] or link["identity"] in shared]
    # Decisions are few and say most, so they are drawn first.
    drawn.sort(key=lambda link: link["partner_id"] is None)
    nodes: dict[str, str] = {}
    edges: list[str] = []
    for link in drawn[:MOST_EDGES]:
        here = f"m:{link['channel']}/{link['member_id']}"
        nodes[here] = _node(here, f"{channel_name(link['channel'])}\n{link['member_id']}", _MEMBER)
        if link["partner_id"]:
            there = f"m:{link['partner_channel']}/{link['partner_id']}"
            is_apart = link["relation"] == "apart"
            text = f"{channel_name(link['partner_channel'])}\n{link['partner_id']}"
            nodes.setdefault(there, _node(there, text, _STRANGER if is_apart else _MEMBER))
            words = kind_name(link["kind"]) + (f" {link['score']:.1f}" if link["score"] is not None else "")
            style = 'style="dashed" color="#dc2626"' if is_apart else 'penwidth="2"'
            edges.append(f"{_quoted(here)} -- {_quoted(there)} [label={_quoted(words)} {style}]")
        else:
            value = f"v:{link['kind']}/{link['identity']}"
            nodes[value] = _node(value, f"{kind_name(link['kind'])}\n{link['identity'][:8]}…", _VALUE)
            edges.append(f"{_quoted(here)} -- {_quoted(value)}")
    return "\n".join([_HEAD, *nodes.values(), *edges, "}"]), max(0, len(drawn) - MOST_EDGES)


def _node(key: str, text: str, colour: str) -> str:
    lines = "\n".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in text.split("\n"))
    return f"{_quoted(key)} [label={_quoted(lines)} fillcolor={_quoted(colour)}]"


def _quoted(text: str) -> str:
    """A DOT string: whatever a channel calls its members, it ends no string and starts no markup."""
    plain = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
