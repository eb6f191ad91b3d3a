"""Sending records one call each: what a fault in the middle of a batch means for the others.

Belongs here: from the errors of pipelines.http to an outcome per record. Does not belong here: what is sent. Where one
call carries a whole batch, its errors are raised instead, and activation decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pipelines.destinations.protocol import Outcome, Record, rejected, retry_after, unknown
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError

PAUSE_SECONDS = 60.0
_DOUBTS = 2
"""After so many doubtful answers in a row the server is not well: the rest is not sent now."""

R = TypeVar("R", bound=Record)


def one_by_one(records: Sequence[R], send: Callable[[R], Outcome]) -> list[Outcome]:
    """An outcome per record. `send` may raise the errors of pipelines.http.

    A fault that says nothing about the single record (no connection, credentials) is raised if it meets the first one;
    later it leaves the rest unsent, to be tried again.
    """
    outcomes: list[Outcome] = []
    doubts = 0
    for position, record in enumerate(records):
        try:
            outcomes.append(send(record))
            doubts = 0
            continue
        except BusyError as error:
            return outcomes + _later(records[position:], max(error.seconds, 1.0), "asked to wait")
        except (UnreachableError, CredentialsError) as error:
            if not outcomes:
                raise
            return outcomes + _later(records[position:], PAUSE_SECONDS, str(error))
        except RefusedError as error:
            outcomes.append(rejected(record.key, str(error)))
            doubts = 0
        except DoubtfulError as error:
            outcomes.append(unknown(record.key, str(error)))
            doubts += 1
            if doubts == _DOUBTS:
                words = "the calls before it got no clear answer"
                return outcomes + _later(records[position + 1 :], PAUSE_SECONDS, words)
    return outcomes


def _later(records: Sequence[Record], seconds: float, reason: str) -> list[Outcome]:
    return [retry_after(record.key, seconds, reason) for record in records]
