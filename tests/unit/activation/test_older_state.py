"""A state database that an earlier version made is still understood."""

from __future__ import annotations

import sqlite3

from pipelines.state import open_state


def test_a_column_that_came_later_is_added_and_what_was_there_stays(world):
    world.publish([world.person("c1")])
    world.push()
    before = world.log()
    world.engine.dispose()
    with sqlite3.connect(world.settings.home / "state.db") as old:
        old.execute("ALTER TABLE deliveries DROP COLUMN doubted_at")
    world.engine = open_state(world.settings)

    assert world.log() == before
    world.publish([world.person("c1"), world.person("c2")])
    world.push()
    assert world.states() == {"c1": "applied", "c2": "applied"}
