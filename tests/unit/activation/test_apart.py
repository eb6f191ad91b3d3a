"""Work in a process of its own: its result and its errors come back, and nothing else."""

from __future__ import annotations

import os

import pytest

from pipelines.activation.apart import apart
from pipelines.errors import PermanentError


def test_planning_apart_leads_to_the_same_push(world):
    world.publish([world.person(f"c{number}", skus=["a"]) for number in range(5)])
    report = world.push(plan_in=lambda work: apart(world.engine, work))

    assert [difference.creates for difference in report.differences] == [5, 5]
    assert set(world.states().values()) == {"applied"}
    assert world.push().differences[0].creates == 0


def test_the_work_is_done_in_another_process_and_its_result_comes_back(world):
    assert apart(world.engine, os.getpid) != os.getpid()


def test_an_error_comes_back_as_it_was(world):
    def refuse() -> None:
        raise PermanentError("in words")

    with pytest.raises(PermanentError, match="in words"):
        apart(world.engine, refuse)


def test_a_killed_process_is_told_in_words(world):
    with pytest.raises(PermanentError, match="was killed"):
        apart(world.engine, lambda: os.kill(os.getpid(), 9))
