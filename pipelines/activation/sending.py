"""Sending: claimed batches to a destination, an outcome per record, retries by schedule, doubts read back.

Belongs here: the loop of claim, send, settle, and the recovery of what an earlier push left in doubt. Every batch is
marked `sent` before it leaves and settled after; a process that dies between leaves `sent` rows, which the next push
reads back before anything else. Does not belong here: what to send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from pipelines.activation import outbox
from pipelines.activation.outbox import Claim, Settlement
from pipelines.activation.records import UnreadablePayloadError, make_record
from pipelines.destinations.protocol import (
    CouponIssue,
    Destination,
    Found,
    Operation,
    Outcome,
    OutcomeKind,
    Recipient,
    RecommendationList,
    Record,
    TagChange,
    unknown,
)

RETRY_SECONDS = (60, 300, 1_800, 7_200, 21_600, 86_400, 86_400)
"""Wait after the first, second, … failed attempt."""

MAX_ATTEMPTS = len(RETRY_SECONDS) + 1

PATIENCE_SECONDS = 20.0
"""How long in all a push waits for short retries before it leaves them to the next push."""

_BREAKER = 3
"""A destination that fails so many calls in a row is left alone until the next push."""

_DEFAULT_BATCH = 100
_LARGEST_BATCH = 10_000  # bounds memory, and the parameters of one statement


@dataclass
class Sent:
    """What became of the deliveries to one destination in this push. stopped: why it was given up, None if not."""

    destination: str
    states: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None

    def words(self) -> str:
        """Counts in words."""
        if not self.states:
            return "nothing to send"
        return ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))


@dataclass(frozen=True)
class _Prepared:
    claim: Claim
    record: Record


class _CallFailedError(Exception):
    """The destination's call ended without outcomes."""


def recover(engine: sa.Engine, destination: Destination, now: datetime) -> Counter[str]:
    """Settle what an earlier push left in doubt by asking the destination.

    `sent`: the process died; an absent effect means that the attempt never left, so it isn't counted.
    `unknown`: no clear answer; an absent effect was a failed attempt.
    Where the destination can't tell, only operations that may be repeated blindly are planned again.
    """
    settled: Counter[str] = Counter()
    for operation in sorted(destination.capabilities().operations):
        for state in ("sent", "unknown"):
            after = ""
            size = _batch_size(destination, operation)
            while claims := outbox.unresolved(engine, destination.name, operation, state, now, after, size):
                after = claims[-1].delivery_id
                prepared, broken = _prepare(destination, claims, now)
                # A look-up that fails now says nothing about the effect: such a delivery stays in doubt.
                broken = [settlement for settlement in broken if settlement.state != "planned"]
                died = state == "sent"
                reason = "an earlier push ended before the answer" if died else "no clear answer"
                resolved = _read_back(destination, operation, prepared, now, reason, died)
                outbox.settle(engine, destination.name, broken + resolved, now)
                settled.update(settlement.state for settlement in broken + resolved)
    return settled


def deliver(
    engine: sa.Engine,
    destination: Destination,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    progress: Callable[[str], None],
) -> Sent:
    """Send everything that is due, and what becomes due within PATIENCE_SECONDS."""
    sent = Sent(destination.name)
    patience = PATIENCE_SECONDS
    while True:
        for operation in sorted(destination.capabilities().operations):
            if not _deliver_operation(engine, destination, operation, clock, sent, progress):
                return sent
        now = clock()
        due = outbox.next_due(engine, destination.name, now)
        wait = None if due is None else (due - now).total_seconds()
        if wait is None or wait > patience:
            return sent
        patience -= wait
        sleep(wait)
        recover(engine, destination, clock())


def _deliver_operation(
    engine: sa.Engine,
    destination: Destination,
    operation: Operation,
    clock: Callable[[], datetime],
    sent: Sent,
    progress: Callable[[str], None],
) -> bool:
    """False if the destination is given up."""
    failures = refusals = done = 0
    while claims := outbox.claim_due(engine, destination.name, operation, clock(), _batch_size(destination, operation)):
        prepared, broken = _prepare(destination, claims, clock())
        outbox.settle(engine, destination.name, broken, clock())
        settlements, fault = _send(engine, destination, operation, prepared, clock)
        sent.states.update(settlement.state for settlement in broken + settlements)
        failures = 0 if fault is None else failures + 1
        if failures >= _BREAKER:
            sent.stopped = f"{failures} calls in a row failed ({fault}); the rest waits for the next push"
            return False
        refusals = refusals + 1 if settlements and all(one.state == "planned" for one in settlements) else 0
        if refusals >= _BREAKER:
            return True  # a rate limit, which every further call would only run into; `deliver` waits it out
        done += len(claims)
        progress(f"{destination.name} {operation}: {done} sent")
    return True


def _prepare(
    destination: Destination, claims: Sequence[Claim], now: datetime
) -> tuple[list[_Prepared], list[Settlement]]:
    """Records of the claims, and settlements of those that can't become one (yet)."""

    def resolve(recipient: Recipient) -> str | None:
        try:
            return destination.resolve_customer(recipient)
        except Exception as error:
            raise _CallFailedError from error

    prepared, broken = [], []
    for claim in claims:
        try:
            record = make_record(claim, resolve)
        except _CallFailedError as error:
            words = f"looking up the customer failed ({type(error.__cause__).__name__})"
            broken.append(_again(claim, words, now))
            continue
        except UnreadablePayloadError as error:
            broken.append(Settlement(claim, "quarantined", str(error)))
            continue
        if record is None:
            broken.append(Settlement(claim, "rejected", f"{destination.name} knows nobody of that address"))
        else:
            prepared.append(_Prepared(claim, record))
    return prepared, broken


def _send(
    engine: sa.Engine,
    destination: Destination,
    operation: Operation,
    prepared: list[_Prepared],
    clock: Callable[[], datetime],
) -> tuple[list[Settlement], str | None]:
    """Send one batch and settle it. A call that raises is read back, and what isn't there is sent again in halves, so
    that one poison record can't hold up its neighbours. Returns the settlements and why the whole call failed, if so.
    """
    if not prepared:
        return [], None
    try:
        outcomes = _call(destination, operation, [one.record for one in prepared])
    except _CallFailedError as error:
        return _after_failed_call(engine, destination, operation, prepared, clock, error)
    by_key = {outcome.key: outcome for outcome in outcomes}
    now = clock()
    settlements, doubtful = [], []
    for one in prepared:
        outcome = by_key.get(one.claim.key) or unknown(one.claim.key, "the destination didn't answer for this record")
        if outcome.kind is OutcomeKind.UNKNOWN:
            doubtful.append((one, outcome.reason or "no clear answer"))
        else:
            settlements.append(_settlement(one, outcome, now))
    for one, reason in doubtful:
        # Marked before it is asked about, so that a process that dies now leaves no doubt about the doubt.
        settlements.append(Settlement(one.claim, "unknown", reason))
    outbox.settle(engine, destination.name, settlements, now)
    if doubtful:
        reason = doubtful[0][1]
        resolved = _read_back(destination, operation, [one for one, _ in doubtful], now, reason, False)
        outbox.settle(engine, destination.name, resolved, now)
        settlements = [settlement for settlement in settlements if settlement.state != "unknown"] + resolved
    return settlements, None


def _after_failed_call(
    engine: sa.Engine,
    destination: Destination,
    operation: Operation,
    prepared: list[_Prepared],
    clock: Callable[[], datetime],
    error: _CallFailedError,
) -> tuple[list[Settlement], str | None]:
    now = clock()
    fault = error.__cause__
    words = f"{type(fault).__name__} while sending"
    # A connection that fails hits every record alike: halving would only knock more often on a closed door.
    is_down = isinstance(fault, OSError)
    if is_down or len(prepared) == 1:
        settlements = _read_back(destination, operation, prepared, now, words, False)
        if not is_down:
            settlements = [
                Settlement(settlement.claim, "quarantined", words) if settlement.state == "planned" else settlement
                for settlement in settlements
            ]
        outbox.settle(engine, destination.name, settlements, now)
        return settlements, words if is_down else None
    settlements = [
        settlement
        for settlement in _read_back(destination, operation, prepared, now, words, False)
        if settlement.state in ("applied", "unknown")
    ]
    outbox.settle(engine, destination.name, settlements, now)
    resolved = {settlement.claim.delivery_id for settlement in settlements}
    rest = [one for one in prepared if one.claim.delivery_id not in resolved]
    middle = (len(rest) + 1) // 2
    for half in (rest[:middle], rest[middle:]):
        halves, fault_of_half = _send(engine, destination, operation, half, clock)
        settlements += halves
        if fault_of_half is not None:
            return settlements, fault_of_half
    return settlements, None


def _call(destination: Destination, operation: Operation, records: list[Record]) -> list[Outcome]:
    try:
        match operation:
            case Operation.TAGS:
                return destination.apply_tags([record for record in records if isinstance(record, TagChange)])
            case Operation.COUPON:
                return destination.issue_coupon([record for record in records if isinstance(record, CouponIssue)])
            case Operation.RECOMMENDATIONS:
                return destination.put_recommendations(
                    [record for record in records if isinstance(record, RecommendationList)]
                )
    except Exception as error:
        # A destination is a plug-in: whatever it raises concerns this batch alone and must not stop the others.
        raise _CallFailedError from error


def _settlement(one: _Prepared, outcome: Outcome, now: datetime) -> Settlement:
    match outcome.kind:
        case OutcomeKind.APPLIED | OutcomeKind.ALREADY:
            return Settlement(one.claim, "applied", None)
        case OutcomeKind.REJECTED:
            return Settlement(one.claim, "rejected", outcome.reason or "refused without a reason")
        case _:
            return _again(one.claim, outcome.reason or "asked to try later", now, outcome.seconds)


def _again(claim: Claim, reason: str, now: datetime, seconds: float | None = None) -> Settlement:
    """Plan the next attempt, or give up after the last."""
    if claim.attempts >= MAX_ATTEMPTS:
        return Settlement(claim, "rejected", f"given up after {claim.attempts} attempts: {reason}")
    if seconds is None:
        wait = float(RETRY_SECONDS[max(claim.attempts, 1) - 1])
    else:
        # What the destination asks for holds, but one that always asks for a second must not burn every attempt.
        wait = max(seconds, 1.0 if claim.attempts <= 2 else RETRY_SECONDS[claim.attempts - 3])
    return Settlement(claim, "planned", reason, next_attempt_at=now + timedelta(seconds=wait))


def _read_back(
    destination: Destination,
    operation: Operation,
    prepared: list[_Prepared],
    now: datetime,
    reason: str,
    never_left: bool,
) -> list[Settlement]:
    """Ask the destination which of these effects it has. never_left: an absent one was no attempt at all."""
    capabilities = destination.capabilities()
    found: dict[str, Found] = {}
    if prepared and operation in capabilities.reads_back:
        try:
            found = destination.read_back(operation, [one.record for one in prepared])
        except Exception as error:  # noqa: BLE001 - as in _call; not knowing is an answer here
            reason = f"{reason}; reading back failed ({type(error).__name__})"
    settlements = []
    for one in prepared:
        answer = found.get(one.claim.key, Found.UNKNOWN)
        if answer is Found.PRESENT:
            settlements.append(Settlement(one.claim, "applied", None))
        elif answer is Found.ABSENT and never_left:
            settlements.append(Settlement(one.claim, "planned", None, give_back=True))
        elif answer is Found.ABSENT or operation in capabilities.resend_is_safe:
            settlements.append(_again(one.claim, reason, now))
        else:
            wait = RETRY_SECONDS[min(max(one.claim.attempts, 1), len(RETRY_SECONDS)) - 1]
            settlements.append(Settlement(one.claim, "unknown", reason, next_attempt_at=now + timedelta(seconds=wait)))
    return settlements


def _batch_size(destination: Destination, operation: Operation) -> int:
    return min(destination.capabilities().batch_size.get(operation, _DEFAULT_BATCH), _LARGEST_BATCH)
