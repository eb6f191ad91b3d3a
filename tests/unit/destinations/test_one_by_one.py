"""What a fault in the middle of a batch means for the records around it."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.destinations.one_by_one import one_by_one
from pipelines.destinations.protocol import Recipient, TagChange, applied
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError

RECORDS = [TagChange(str(number), Recipient("c", "a"), "a", 1, date(2026, 3, 31)) for number in range(5)]


def outcomes(faults):
    """What becomes of five records of which some meet a fault; and how many were sent."""
    sent = []

    def send(record):
        sent.append(record.key)
        if record.key in faults:
            raise faults[record.key]
        return applied(record.key)

    return [outcome.kind.value for outcome in one_by_one(RECORDS, send)], len(sent)


def test_a_poison_record_is_refused_alone():
    assert outcomes({"2": RefusedError("no")}) == (["applied", "applied", "rejected", "applied", "applied"], 5)


def test_a_doubtful_answer_is_the_doubt_of_one():
    assert outcomes({"2": DoubtfulError("?")}) == (["applied", "applied", "unknown", "applied", "applied"], 5)


def test_two_doubts_in_a_row_leave_the_rest_for_later():
    faults = {"1": DoubtfulError("?"), "2": DoubtfulError("?")}

    assert outcomes(faults) == (["applied", "unknown", "unknown", "retry_after", "retry_after"], 3)


@pytest.mark.parametrize("fault", [BusyError("slow down", 7.0), UnreachableError("gone"), CredentialsError("no")])
def test_what_concerns_all_leaves_the_rest_for_later(fault):
    assert outcomes({"3": fault}) == (["applied"] * 3 + ["retry_after"] * 2, 4)


def test_a_wait_that_was_asked_for_is_passed_on():
    def busy(_record):
        raise BusyError("slow down", 7.0)

    assert {outcome.seconds for outcome in one_by_one(RECORDS, busy)} == {7.0}


@pytest.mark.parametrize("fault", [UnreachableError("gone"), CredentialsError("no")])
def test_what_says_nothing_of_any_record_is_raised_before_the_first(fault):
    with pytest.raises(type(fault)):
        outcomes({"0": fault})


def test_no_record_is_no_call():
    assert one_by_one([], lambda _record: pytest.fail("called")) == []
