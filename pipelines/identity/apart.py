"""Clusters under partings: nodes tied by evidence, of which some may never be in one cluster.

Belongs here: the pure rule, on keys that mean the same in every run. Does not belong here: SQL, or where evidence comes
from (decided).

The rule (a constrained single-linkage clustering): bonds are taken from the strongest to the weakest, and each joins
the clusters of its two ends unless a parting stands between them. Bonds of equal strength go in the order of their
keys. So the result depends on the bonds and partings alone, not on the order in which anything arrived here; a parting
is never broken; and a node that two parts want goes to the one that its strongest bond names.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

Node = TypeVar("Node", bound=Hashable)


def cluster_apart(
    nodes: Iterable[Node], bonds: Iterable[tuple[Any, Node, Node]], partings: Iterable[tuple[Node, Node]]
) -> dict[Node, Node]:
    """The cluster of each node, named by one of its members.

    bonds: (strength, one end, other end); a smaller strength is taken earlier, equal strengths in any order that the
    caller has made total. partings: pairs that are never in one cluster. Ends must be among the nodes.
    """
    leader = {node: node for node in nodes}
    enemies: dict[Node, set[Node]] = {}
    for left, right in partings:
        enemies.setdefault(left, set()).add(right)
        enemies.setdefault(right, set()).add(left)

    def find(node: Node) -> Node:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for _, left, right in sorted(bonds, key=lambda bond: bond[0]):
        into, gone = find(left), find(right)
        if into == gone or gone in enemies.get(into, ()):
            continue
        leader[gone] = into
        # Enemies are kept between leaders, so that one look-up answers for two whole clusters.
        for enemy in enemies.pop(gone, ()):
            enemies[enemy].discard(gone)
            enemies[enemy].add(into)
            enemies.setdefault(into, set()).add(enemy)
    return {node: find(node) for node in leader}
