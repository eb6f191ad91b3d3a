"""One batch to one destination: the call, what its answer or its fault means, and reading back what is in doubt.

Belongs here: turning claims into settlements; it runs in threads and touches no database. Does not belong here:
claiming and settling (sending), and how a platform is spoken to (destinations).

What a fault means:
    CredentialsError, ConfigurationError   nothing left; the destination is given up until somebody mends it
    UnreachableError                       nothing left; counts for the breaker, not as an attempt
    BusyError                              nothing happened; again after its seconds
    RefusedError                           nothing happened; the batch is halved until the refused record stands alone
    DoubtfulError, any other OSError       the effect may be there: read back first; counts for the breaker
    anything else                          the record may break the client: read back, halve, set the poison aside
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipelines.activation.outbox import Claim, Settlement
from pipelines.activation.records import UnreadablePayloadError, make_record
from pipelines.activation.withdrawals import UNKNOWN_THERE
from pipelines.destinations.protocol import (
    CouponIssue,
    CouponRevocation,
    Destination,
    Found,
    Operation,
    Outcome,
    OutcomeKind,
    Recipient,
    RecommendationList,
    Record,
    RevokesCoupons,
    TagChange,
    rejected,
    unknown,
)
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError

RETRY_SECONDS = (60, 300, 1_800, 7_200, 21_600, 86_400, 86_400)
"""Wait after the first, second, … failed attempt."""

MAX_ATTEMPTS = len(RETRY_SECONDS) + 1

_BREAKER = 3
"""A destination that fails so many calls in a row is left alone until the next push."""

_SERVER_FAULT = 500
_LONGEST_REASON = 300
_PERSONAL = re.compile(r"\S*@\S*|\+?\d(?:[\s().-]?\d){6,}")


class Brake:
    """Whether a destination is still called in this push; shared by the threads that call it.

    stopped: why it was given up, None if not. is_busy: it asks everybody to wait. failures: of the last calls in a row.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.failures = 0
        self._refusals = 0
        self.stopped: str | None = None
        self.is_busy = False

    @property
    def is_on(self) -> bool:
        """No further call shall be made for now."""
        return self.stopped is not None or self.is_busy

    def answered(self) -> None:
        """A call was answered, whatever the answer."""
        with self._lock:
            self.failures = self._refusals = 0

    def failed(self, words: str) -> None:
        """A call ended without an answer."""
        with self._lock:
            self.failures += 1
            if self.failures >= _BREAKER and self.stopped is None:
                self.stopped = f"{self.failures} calls in a row failed ({words}); the rest waits for the next push"

    def refused(self) -> None:
        """A call was asked to wait: after some, every further one would only run into the same limit."""
        with self._lock:
            self.failures = 0
            self._refusals += 1
            self.is_busy = self._refusals >= _BREAKER

    def stop(self, words: str) -> None:
        """Give the destination up for this push."""
        with self._lock:
            self.stopped = self.stopped or words

    def released(self) -> None:
        """The wait that was asked for is over."""
        with self._lock:
            self._refusals, self.is_busy = 0, False


Contacts = Callable[[str, Sequence[str]], Mapping[str, str]]
"""From 'phone' or 'email' and customer ids to their contacts; who has none that can be used is left out."""


@dataclass(frozen=True)
class _Prepared:
    claim: Claim
    record: Record


class _LookUpFailedError(Exception):
    """Its cause says why."""


def dispatch(
    destination: Destination,
    operation: Operation,
    claims: Sequence[Claim],
    brake: Brake,
    clock: Callable[[], datetime],
    contacts: Contacts | None = None,
) -> list[Settlement]:
    """Send one batch; every claim gets a settlement, whatever happens. contacts: for destinations that ask for them."""
    prepared, settlements = _prepare(destination, claims, brake, clock)
    prepared, unreached = _with_contacts(destination, prepared, brake, contacts)
    settlements += unreached
    seen_before = [one for one in prepared if one.claim.is_doubted]
    if seen_before and operation not in destination.capabilities().resend_is_safe and not brake.is_on:
        # An effect may have appeared late: after the last look and before this attempt.
        looked = read_back(destination, operation, seen_before, brake, clock(), "no clear answer", never_left=True)
        settlements += [one for one in looked if one.state != "planned"]
        absent = {one.claim.delivery_id for one in looked if one.state == "planned"}
        prepared = [one for one in prepared if not one.claim.is_doubted or one.claim.delivery_id in absent]
    # Halves go to the end of the line: a good neighbour's answer comes before the breaker thinks all is lost.
    parts = deque([prepared])
    while parts:
        part = parts.popleft()
        if not part:
            continue
        if brake.is_on:
            settlements += [Settlement(one.claim, "planned", one.claim.reason, give_back=True) for one in part]
            continue
        settled, halves = _attempt(destination, operation, part, brake, clock)
        settlements += settled
        parts.extend(halves)
    return settlements


def look_back(
    destination: Destination,
    operation: Operation,
    claims: Sequence[Claim],
    brake: Brake,
    clock: Callable[[], datetime],
    *,
    never_left: bool,
) -> list[Settlement]:
    """Settle claims of an earlier push by asking the destination; what can't be looked up now stays as it is.

    never_left: the process died, so that an absent effect was no attempt at all.
    """
    prepared, broken = _prepare(destination, claims, brake, clock)
    # A look-up that fails now says nothing about the effect: such a delivery stays in doubt.
    settlements = [settlement for settlement in broken if settlement.state != "planned"]
    reason = "an earlier push ended before the answer" if never_left else "no clear answer"
    failures = brake.failures
    settlements += read_back(destination, operation, prepared, brake, clock(), reason, never_left=never_left)
    if brake.failures == failures:
        brake.answered()
    return settlements


def _prepare(
    destination: Destination, claims: Sequence[Claim], brake: Brake, clock: Callable[[], datetime]
) -> tuple[list[_Prepared], list[Settlement]]:
    """Records of the claims, and settlements of those that can't become one (yet)."""

    def resolve(recipient: Recipient) -> str | None:
        try:
            return destination.resolve_customer(recipient)
        except Exception as error:
            raise _LookUpFailedError from error

    prepared: list[_Prepared] = []
    settlements: list[Settlement] = []
    for claim in claims:
        if brake.is_on:
            settlements.append(Settlement(claim, "planned", claim.reason, give_back=True))
            continue
        try:
            record = make_record(claim, resolve)
        except UnreadablePayloadError as error:
            settlements.append(Settlement(claim, "quarantined", str(error)))
        except _LookUpFailedError as error:
            settlements.append(_after_failed_look_up(claim, error.__cause__, brake, clock()))
        else:
            if record is None:
                settlements.append(Settlement(claim, "rejected", f"{destination.name} {UNKNOWN_THERE}"))
            else:
                prepared.append(_Prepared(claim, record))
    return prepared, settlements


def _with_contacts(
    destination: Destination, prepared: list[_Prepared], brake: Brake, contacts: Contacts | None
) -> tuple[list[_Prepared], list[Settlement]]:
    """The same with everybody's contact, if the destination asks for one; and settlements of those who have none."""
    kind = destination.capabilities().contact
    if kind is None or not prepared:
        return prepared, []
    try:
        if contacts is None:
            raise ConfigurationError(f"{destination.name} asks for a {kind}, and no vault was opened for this push.")
        found = contacts(kind, [one.claim.customer_id for one in prepared])
    except OmnilakeError as fault:
        brake.stop(_words(fault))
        return [], [Settlement(one.claim, "planned", one.claim.reason, give_back=True) for one in prepared]
    reached: list[_Prepared] = []
    unreached: list[Settlement] = []
    for one in prepared:
        contact = found.get(one.claim.customer_id)
        if contact is None and _takes_back(one.record):
            reached.append(one)
        elif contact is None:
            unreached.append(Settlement(one.claim, "rejected", f"no usable {kind} is known of this customer"))
        else:
            recipient = replace(one.record.recipient, contact=contact)
            reached.append(_Prepared(one.claim, replace(one.record, recipient=recipient)))
    return reached, unreached


def _takes_back(record: Record) -> bool:
    """Taking something back needs no contact, and of an erased person there is none."""
    match record:
        case TagChange():
            return not record.add
        case RecommendationList():
            return not record.items
        case _:
            return isinstance(record, CouponRevocation)


def _after_failed_look_up(claim: Claim, fault: BaseException | None, brake: Brake, now: datetime) -> Settlement:
    words = f"looking up the customer failed ({_words(fault)})"
    if isinstance(fault, CredentialsError | ConfigurationError):
        brake.stop(_words(fault))
        return Settlement(claim, "planned", words, give_back=True)
    if isinstance(fault, BusyError):
        brake.refused()
        return again(claim, words, now, fault.seconds)
    if isinstance(fault, RefusedError):
        return Settlement(claim, "rejected", words)
    if isinstance(fault, OSError | DoubtfulError):
        brake.failed(_words(fault))
        return _give_back(claim, words, now)
    return again(claim, words, now)


def _attempt(
    destination: Destination,
    operation: Operation,
    part: list[_Prepared],
    brake: Brake,
    clock: Callable[[], datetime],
) -> tuple[list[Settlement], list[list[_Prepared]]]:
    """One call: settlements, and halves that are to be sent on their own."""
    try:
        outcomes = _call(destination, operation, [one.record for one in part])
    except Exception as fault:  # noqa: BLE001 - a plug-in: what it raises concerns this batch and must not stop others
        return _after_fault(destination, operation, part, brake, clock(), fault)
    by_key = {outcome.key: outcome for outcome in outcomes}
    now = clock()
    settlements: list[Settlement] = []
    doubtful: list[_Prepared] = []
    reason = "no clear answer"
    for one in part:
        outcome = by_key.get(one.claim.key) or unknown(one.claim.key, "the destination didn't answer for this record")
        if outcome.kind is OutcomeKind.UNKNOWN:
            doubtful.append(one)
            reason = _shown(outcome.reason or reason)
        else:
            settlements.append(_settlement(one.claim, outcome, now))
    if settlements and all(settlement.state == "planned" for settlement in settlements):
        brake.refused()
    else:
        brake.answered()
    return settlements + read_back(destination, operation, doubtful, brake, now, reason), []


def _after_fault(
    destination: Destination,
    operation: Operation,
    part: list[_Prepared],
    brake: Brake,
    now: datetime,
    fault: Exception,
) -> tuple[list[Settlement], list[list[_Prepared]]]:
    words = _words(fault)
    claims = [one.claim for one in part]
    match fault:
        case CredentialsError() | ConfigurationError():
            brake.stop(words)
            return [Settlement(claim, "planned", words, give_back=True) for claim in claims], []
        case BusyError():
            brake.refused()
            return [again(claim, words, now, fault.seconds) for claim in claims], []
        case UnreachableError():
            brake.failed(words)
            return [_give_back(claim, words, now) for claim in claims], []
        case RefusedError() if len(part) == 1:
            brake.answered()
            return [Settlement(part[0].claim, "rejected", words)], []
        case RefusedError():
            brake.answered()
        case DoubtfulError() | OSError():
            brake.failed(words)
    settlements = read_back(destination, operation, part, brake, now, words)
    if settlements and all(settlement.state == "applied" for settlement in settlements):
        brake.answered()  # it does what it is asked, though it doesn't say so
    is_down = isinstance(fault, OSError) or (isinstance(fault, DoubtfulError) and not _may_be_halved(fault))
    absent = {one.claim.delivery_id for one in settlements if one.state in ("planned", "rejected")}
    if is_down or not absent:
        return settlements, []
    if len(part) == 1:
        if not isinstance(fault, DoubtfulError):
            settlements = [Settlement(part[0].claim, "quarantined", words)]
        return settlements, []
    kept = [one for one in settlements if one.claim.delivery_id not in absent]
    rest = [one for one in part if one.claim.delivery_id in absent]
    middle = (len(rest) + 1) // 2
    return kept, [rest[:middle], rest[middle:]]


def _may_be_halved(fault: DoubtfulError) -> bool:
    """Halving helps against a record that breaks the call; a broken connection would break every half alike. And only a
    server that has answered is done with the call: after a time-out, or behind a gateway, its effect may still come.
    """
    return fault.status == _SERVER_FAULT and not fault.seconds


def _call(destination: Destination, operation: Operation, records: list[Record]) -> list[Outcome]:
    match operation:
        case Operation.TAGS:
            return destination.apply_tags([record for record in records if isinstance(record, TagChange)])
        case Operation.COUPON:
            return destination.issue_coupon([record for record in records if isinstance(record, CouponIssue)])
        case Operation.RECOMMENDATIONS:
            return destination.put_recommendations(
                [record for record in records if isinstance(record, RecommendationList)]
            )
        case Operation.REVOKE:
            if not isinstance(destination, RevokesCoupons):
                return [rejected(record.key, "unsupported: it takes no coupon back") for record in records]
            return destination.revoke_coupon([record for record in records if isinstance(record, CouponRevocation)])


def _settlement(claim: Claim, outcome: Outcome, now: datetime) -> Settlement:
    match outcome.kind:
        case OutcomeKind.APPLIED | OutcomeKind.ALREADY:
            return Settlement(claim, "applied")
        case OutcomeKind.REJECTED:
            return Settlement(claim, "rejected", _shown(outcome.reason or "refused without a reason"))
        case _:
            return again(claim, _shown(outcome.reason or "asked to try later"), now, outcome.seconds)


def again(claim: Claim, reason: str, now: datetime, seconds: float | None = None) -> Settlement:
    """Plan the next attempt, or give up after the last. seconds: what the destination asks for."""
    if claim.attempts >= MAX_ATTEMPTS:
        return Settlement(claim, "rejected", f"given up after {claim.attempts} attempts: {reason}")
    if seconds is None:
        wait = float(RETRY_SECONDS[max(claim.attempts, 1) - 1])
    else:
        # What the destination asks for holds, but one that always asks for a second must not burn every attempt.
        wait = max(seconds, 1.0 if claim.attempts <= 2 else RETRY_SECONDS[claim.attempts - 3])
    return Settlement(claim, "planned", reason, next_attempt_at=now + timedelta(seconds=wait))


def _give_back(claim: Claim, reason: str, now: datetime) -> Settlement:
    return Settlement(
        claim, "planned", reason, next_attempt_at=now + timedelta(seconds=RETRY_SECONDS[0]), give_back=True
    )


def read_back(
    destination: Destination,
    operation: Operation,
    prepared: Sequence[_Prepared],
    brake: Brake,
    now: datetime,
    reason: str,
    *,
    never_left: bool = False,
) -> list[Settlement]:
    """Ask the destination which of these effects it has. never_left: an absent one was no attempt at all."""
    capabilities = destination.capabilities()
    found: dict[str, Found] = {}
    if prepared and operation in capabilities.reads_back:
        try:
            found = destination.read_back(operation, [one.record for one in prepared])
        except (CredentialsError, ConfigurationError) as fault:
            brake.stop(_words(fault))
        except Exception as fault:  # noqa: BLE001 - as in _attempt; not knowing is an answer here
            brake.failed(f"reading back: {_words(fault)}")
            reason = f"{reason}; reading back failed ({type(fault).__name__})"
    is_safe = operation in capabilities.resend_is_safe
    settlements = []
    for one in prepared:
        answer = found.get(one.claim.key, Found.UNKNOWN)
        if answer is Found.PRESENT:
            settlements.append(Settlement(one.claim, "applied"))
        elif answer is Found.ABSENT and never_left:
            # Where a second effect would do harm, an effect on its way is given time to appear before another look.
            late = 0.0 if is_safe else capabilities.late_effect_seconds
            due = now + timedelta(seconds=late) if late else None
            settlements.append(
                Settlement(one.claim, "planned", next_attempt_at=due, give_back=True, is_doubted=late > 0)
            )
        elif answer is Found.ABSENT or is_safe:
            settlements.append(replace(again(one.claim, reason, now), is_doubted=True))
        else:
            wait = RETRY_SECONDS[min(max(one.claim.attempts, 1), len(RETRY_SECONDS)) - 1]
            settlements.append(Settlement(one.claim, "unknown", reason, next_attempt_at=now + timedelta(seconds=wait)))
    return settlements


def _shown(reason: str) -> str:
    """A reason as it may be kept and shown: whatever a destination quotes, no number or address of anybody."""
    return _PERSONAL.sub("…", reason)[:_LONGEST_REASON]


def _words(fault: BaseException | None) -> str:
    """Our own errors speak for themselves and hold no PII; of others only the type is safe to show."""
    if isinstance(fault, OmnilakeError):
        return _shown(str(fault)).rstrip(".")
    return f"{type(fault).__name__} while sending"
