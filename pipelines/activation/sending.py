"""Sending: windows of claimed deliveries to a destination, several calls at a time, an outcome per record.

Belongs here: the loop of claim, send, settle, and the recovery of what an earlier push left in doubt. A window is
marked `sent` before any of it leaves and settled after; a process that dies between leaves `sent` rows, which the next
push reads back before anything else. No transaction is open while anything is sent. Does not belong here: what to send,
and what an answer means (dispatch).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from pipelines.activation import outbox
from pipelines.activation.dispatch import Brake, Contacts, dispatch, look_back
from pipelines.activation.outbox import Claim, Settlement
from pipelines.activation.withdrawals import finish_withdrawals, forget_notices
from pipelines.destinations.protocol import Destination, KeepsRecords, Operation

PATIENCE_SECONDS = 20.0
"""How long in all a push waits for short retries before it leaves them to the next push."""

WINDOW_SECONDS = 1.0
"""About how long a window takes: what is in doubt when a process dies is what was sent in that time."""

LARGEST_WINDOW = 5_000
"""Bounds memory, and the parameters of one statement."""

_DEFAULT_BATCH = 100

Send = Callable[[Sequence[Sequence[Claim]]], list[Settlement]]


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


def recover(engine: sa.Engine, destination: Destination, clock: Callable[[], datetime], brake: Brake) -> Counter[str]:
    """Settle what an earlier push left in doubt by asking the destination, until it fails too often.

    `sent`: the process died; an absent effect means that the attempt never left, so it isn't counted.
    `unknown`: no clear answer; an absent effect was a failed attempt.
    Where the destination can't tell, only operations that may be repeated blindly are planned again.
    """
    settled: Counter[str] = Counter()
    for operation in sorted(destination.capabilities().operations):
        for state in ("sent", "unknown"):
            after = ""
            size = _batch_size(destination, operation)
            while not brake.is_on and (
                claims := outbox.unresolved(engine, destination.name, operation, state, clock(), after, size)
            ):
                after = claims[-1].delivery_id
                resolved = look_back(destination, operation, claims, brake, clock, never_left=state == "sent")
                outbox.settle(engine, resolved, clock())
                settled.update(settlement.state for settlement in resolved)
    return settled


def deliver(
    engine: sa.Engine,
    destination: Destination,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    progress: Callable[[str], None],
    *,
    concurrency: int = 1,
    brake: Brake | None = None,
    contacts: Contacts | None = None,
) -> Sent:
    """Send everything that is due, and what becomes due within PATIENCE_SECONDS.

    concurrency: calls at a time, as far as the destination bears it. brake: that of an earlier `recover`, so that a
    destination that failed there isn't asked again. contacts: for a destination that asks for them.
    """
    brake = brake or Brake()
    sent = Sent(destination.name)
    patience = PATIENCE_SECONDS
    lanes = max(1, min(concurrency, destination.capabilities().concurrency))
    while True:
        for operation in sorted(destination.capabilities().operations):
            with _lanes(destination, operation, brake, clock, lanes, contacts) as send:
                _deliver_operation(engine, destination, operation, clock, sent, progress, brake, lanes, send)
            sent.stopped = brake.stopped
            if brake.stopped:
                return sent
        now = clock()
        due = outbox.next_due(engine, destination.name, now)
        wait = None if due is None else (due - now).total_seconds()
        if wait is None or wait > patience:
            return sent
        patience -= wait
        sleep(wait)
        brake.released()
        recover(engine, destination, clock, brake)


def deliver_these(
    engine: sa.Engine,
    destination: Destination,
    operation: Operation,
    delivery_ids: Sequence[str],
    clock: Callable[[], datetime],
) -> Sent:
    """Send planned deliveries by their ids, and nothing else; what fails stays for the next push."""
    brake = Brake()
    sent = Sent(destination.name)
    claims = outbox.claim_these(engine, delivery_ids)
    for in_turn in _turns(claims):
        for batch in _batches(in_turn, _batch_size(destination, operation)):
            settlements = dispatch(destination, operation, batch, brake, clock)
            outbox.settle(engine, settlements, clock())
            sent.states.update(settlement.state for settlement in settlements)
    sent.stopped = brake.stopped
    return sent


def end_withdrawals(engine: sa.Engine, destinations: Mapping[str, Destination], now: datetime) -> None:
    """Forget what confirmed withdrawals still kept; destinations that keep what they were sent blank it."""
    keepers = {name: one for name, one in destinations.items() if isinstance(one, KeepsRecords)}
    notices = {name: keeper.notice_days for name, keeper in keepers.items()}
    for name, customers in finish_withdrawals(engine, now, notices).items():
        keepers[name].blank(customers)
        forget_notices(engine, name, customers)


def _deliver_operation(
    engine: sa.Engine,
    destination: Destination,
    operation: Operation,
    clock: Callable[[], datetime],
    sent: Sent,
    progress: Callable[[str], None],
    brake: Brake,
    lanes: int,
    send: Send,
) -> None:
    batch = _batch_size(destination, operation)
    least = min(lanes * batch, LARGEST_WINDOW)
    window, done = least, 0
    while not brake.is_on and (claims := outbox.claim_due(engine, destination.name, operation, clock(), window)):
        started = time.monotonic()
        settlements: list[Settlement] = []
        for in_turn in _turns(claims):
            settlements += send(list(_batches(in_turn, batch)))
        outbox.settle(engine, settlements, clock())
        sent.states.update(settlement.state for settlement in settlements)
        done += len(claims)
        progress(f"{destination.name} {operation}: {done} sent")
        if _leaves_no_doubt(destination, operation):
            took = max(time.monotonic() - started, 1e-3)
            fitting = int(len(claims) * WINDOW_SECONDS / took) // least * least
            window = min(max(least, min(fitting, 2 * window)), max(least, LARGEST_WINDOW // least * least))


@contextmanager
def _lanes(
    destination: Destination,
    operation: Operation,
    brake: Brake,
    clock: Callable[[], datetime],
    lanes: int,
    contacts: Contacts | None,
) -> Iterator[Send]:
    """Sends batches, as many at a time as there are lanes."""

    def send_one(claims: Sequence[Claim]) -> list[Settlement]:
        return dispatch(destination, operation, claims, brake, clock, contacts)

    if lanes == 1:
        yield lambda batches: [settlement for batch in batches for settlement in send_one(batch)]
        return
    with ThreadPoolExecutor(lanes, thread_name_prefix=f"push-{destination.name}") as pool:

        def send(batches: Sequence[Sequence[Claim]]) -> list[Settlement]:
            waiting = deque(batches)

            def lane() -> list[Settlement]:
                settlements: list[Settlement] = []
                while True:
                    try:
                        batch = waiting.popleft()
                    except IndexError:
                        return settlements
                    settlements += send_one(batch)

            running = [pool.submit(lane) for _ in range(min(lanes, len(batches)))]
            return [settlement for one in running for settlement in one.result()]

        yield send


def _turns(claims: Sequence[Claim]) -> Iterator[list[Claim]]:
    """Claims of one address never travel at the same time: the second waits for the next turn."""
    while claims:
        seen: set[str] = set()
        turn: list[Claim] = []
        rest: list[Claim] = []
        for claim in claims:
            (rest if claim.address in seen else turn).append(claim)
            seen.add(claim.address)
        yield turn
        claims = rest


def _batches(claims: Sequence[Claim], size: int) -> Iterator[Sequence[Claim]]:
    """Batches of `size`; claims that failed before travel in ever smaller ones, so that they drag nobody along."""
    alike: dict[int, list[Claim]] = {}
    for claim in claims:
        failed_before = claim.attempts - 1 if claim.is_doubted else 0
        alike.setdefault(max(1, size // 4 ** max(failed_before, 0)), []).append(claim)
    for length, group in sorted(alike.items(), reverse=True):
        for start in range(0, len(group), length):
            yield group[start : start + length]


def _leaves_no_doubt(destination: Destination, operation: Operation) -> bool:
    capabilities = destination.capabilities()
    return operation in capabilities.reads_back or operation in capabilities.resend_is_safe


def _batch_size(destination: Destination, operation: Operation) -> int:
    return min(destination.capabilities().batch_size.get(operation, _DEFAULT_BATCH), LARGEST_WINDOW)
