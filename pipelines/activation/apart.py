"""Work in a process of its own, whose memory is gone when it ends.

Belongs here: the fork, the way back of its result, and that it never outlives whoever asked. Planning and publishing
take hundreds of megabytes for seconds; the process that then sends for an hour should not keep them.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from pipelines.errors import PermanentError

Result = TypeVar("Result")
_LOOKS_EVERY_SECONDS = 0.05


def inline(work: Callable[[], Result]) -> Result:
    """No process of its own."""
    return work()


def apart(engine: sa.Engine, work: Callable[[], Result]) -> Result:
    """What `work` returns or raises, done in a forked process.

    Its result must be picklable. No thread may run here meanwhile, and the engine's connections are given up before.
    """
    engine.dispose()
    receiving, sending = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _work(sending, parent, work)
    os.close(sending)
    with os.fdopen(receiving, "rb") as answer:
        content = answer.read()
    os.waitpid(child, 0)
    if not content:
        raise PermanentError("The process that planned was killed, perhaps for want of memory; nothing is lost.")
    is_result, value = pickle.loads(content)  # noqa: S301 - written by our own child
    if is_result:
        result: Result = value
        return result
    raise value


def _work(sending: int, parent: int, work: Callable[[], Result]) -> None:
    def die_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKS_EVERY_SECONDS)
        os._exit(1)

    threading.Thread(target=die_with_parent, daemon=True).start()
    answer: tuple[bool, Result | BaseException]
    try:
        answer = (True, work())
    except BaseException as error:  # noqa: BLE001 - it is raised again by whoever asked
        answer = (False, error)
    with os.fdopen(sending, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)
