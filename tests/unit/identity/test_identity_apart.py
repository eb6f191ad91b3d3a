"""What people decided beats every link: joins, partings and blocks, in increments as in rebuilds."""

from __future__ import annotations

import random
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.identity.apart import cluster_apart

NODES = range(8)
PAIRS = list(combinations(NODES, 2))


def clusters(found):
    return {frozenset(node for node in found if found[node] == leader) for leader in found.values()}


@given(
    bonds=st.lists(st.sampled_from(PAIRS), unique=True),
    partings=st.lists(st.sampled_from(PAIRS), unique=True, max_size=6),
    seed=st.integers(0, 100),
)
def test_partings_are_never_broken_whatever_the_order_of_rows(bonds, partings, seed):
    strong = [(strength, left, right) for strength, (left, right) in enumerate(bonds)]
    found = clusters(cluster_apart(NODES, strong, partings))
    for left, right in partings:
        assert not any({left, right} <= cluster for cluster in found)
    shuffled, turned = strong[:], [(right, left) for left, right in partings]
    random.Random(seed).shuffle(shuffled)
    flipped = [(strength, right, left) for strength, left, right in shuffled]
    assert clusters(cluster_apart(reversed(NODES), flipped, turned)) == found


def test_a_node_that_two_parts_want_goes_where_its_strongest_bond_leads():
    found = clusters(cluster_apart("abx", [(2, "a", "x"), (1, "b", "x"), (0, "a", "b")], [("a", "b")]))
    assert found == {frozenset("a"), frozenset("bx")}


def test_an_enemy_of_one_is_an_enemy_of_all_who_join_him():
    bonds = [(0, "a", "b"), (1, "c", "d"), (2, "b", "c"), (3, "d", "a")]
    assert clusters(cluster_apart("abcd", bonds, [("a", "d")])) == {frozenset("ab"), frozenset("cd")}
