"""Linked in portions or at once, however people arrive, change their names, are decided on: the same customers."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import PermanentError
from pipelines.identity.linkage import pairs
from pipelines.identity.rules import ACCEPT, REJECT, NodeKey, make_rule
from pipelines.state import state
from tests.unit.identity.people import PeopleLake, fill, somebody

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("linkage")]
DOORS = ("shop", "live", "h5")
arrival = st.tuples(
    st.just("arrive"),
    st.integers(0, 7),
    st.sampled_from(DOORS),
    st.sampled_from(["as she is", "renamed", "moved", "born otherwise", "says little", "gone"]),
)
decision = st.tuples(st.just("decide"), st.integers(0, 7), st.sampled_from(DOORS), st.sampled_from([ACCEPT, REJECT]))
nights = st.lists(st.lists(st.one_of(arrival, decision), min_size=1, max_size=5), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose model was learned from 80 people."""
    folder = tmp_path_factory.mktemp("learned")
    lake = PeopleLake(folder / "home", folder / "warehouse.duckdb")
    fill(lake, 60, 20)
    lake.find()
    lake.connection.close()
    return folder


def play(lake: PeopleLake, night: list[tuple[str, int, str, str]], at: float) -> None:
    for place, (what, number, door, how) in enumerate(night):
        if what == "decide":
            sides = (NodeKey("app", f"a{number}"),), (NodeKey(door, f"{door}{number}"),)
            # A word that contradicts an earlier one is refused.
            with state(lake.settings) as engine, contextlib.suppress(PermanentError):
                make_rule(engine, how, *sides, why="", who="ann")
            continue
        said = somebody(number)
        changed = {
            "renamed": {"name": "牛改名"},
            "moved": {"address": "别处路1号", "city": "昆明"},
            "born otherwise": {"birthday": "1951-05-05"},
            "gone": {"deleted": True},
        }
        said = {"name": said["name"]} if how == "says little" else said | changed.get(how, {})
        lake.person(f"{door}{number}", at + place / 100, door, **said)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(nights=nights)
def test_increments_give_the_partition_of_a_rebuild(
    learned: Path, nights: list[list[tuple[str, int, str, str]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs, "LARGEST_BLOCK", 4)  # so that blocks become too large, and cease to be
        shutil.copytree(learned, Path(folder) / "home")
        lake = PeopleLake.reopen(Path(folder) / "home" / "home", Path(folder) / "home" / "warehouse.duckdb")
        for day, night in enumerate(nights):
            play(lake, night, 60 + day)
            _, found = lake.find()
            assert not found.learned
        in_portions = lake.partition(), lake.rows("from identity.linked_pairs order by all"), lake.reviews()
        lake.find(full=True)
        assert (lake.partition(), lake.rows("from identity.linked_pairs order by all"), lake.reviews()) == in_portions
        for left_channel, left_id, right_channel, right_id in lake.rows(
            "select left_channel, left_id, right_channel, right_id from identity.pairs where verb = 'part'"
        ):
            together = lake.rows(
                "select count(distinct customer_id) = 1 and count(*) = 2 from identity.identities "
                "where kind = 'member' and (channel, identity) in ((?, ?), (?, ?))",
                left_channel, left_id, right_channel, right_id,
            )  # fmt: skip
            assert together == [(False,)]
        lake.connection.close()
