"""Forgetting a person as the command line asks for it: who, decide, carry out, take back, and words about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines import audit
from pipelines.activation.push import one_push
from pipelines.activation.sending import deliver_these, end_withdrawals
from pipelines.activation.withdrawals import retry_withdrawals, unsent_withdrawals, waiting_withdrawals
from pipelines.channels import load_channels
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import load_destinations
from pipelines.erasure.carry_out import Erased, carry_out
from pipelines.erasure.subject import ErasedError, Subject, UnknownPersonError, find_subject, keys_named
from pipelines.errors import TransientError
from pipelines.feeds import erasure_order
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.vault import Vault
from pipelines.warehouse import single_writer

Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class Forgotten:
    """What `forget` did, for people. is_known: somebody was found; problems: why something is not taken back yet."""

    lines: tuple[str, ...]
    problems: tuple[str, ...] = ()


def forget(
    settings: Settings, kind: str, value: str, confirm: Confirm, progress: Callable[[str], None]
) -> Forgotten | None:
    """Erase the person that `kind` and `value` name, and whatever erasure was cut off before; None if not confirmed.

    confirm: is told who it is, without personal data. Raises ConfigurationError, PermanentError (nobody, or more than
    one person) and TransientError (another run is writing) before anything is changed. Cut off, it is completed by the
    same command or by the next run.
    """
    with single_writer(settings), state(settings) as engine:
        load_destinations(settings)  # a wrong entry is told before anything is decided
        done = carry_out(settings, engine, progress)
        told = ["An erasure that was cut off is now complete.", *_words(done)] if done.erasures else []
        with Vault.open(settings, ensure_keys(settings)) as vault:
            try:
                subject: Subject | None = find_subject(settings, vault, kind, value)
            except ErasedError as error:
                subject = None
                told.append(str(error))
            except UnknownPersonError:
                if not done.erasures:
                    raise
                subject = None
            if subject:
                if not confirm(subject.words()):
                    return None
                for customer in subject.order.customers or ("(not published)",):
                    about = audit.subject(settings, "customer", customer)
                    audit.record(settings, "cli", "person.forget", about, {"by": kind}, engine=engine)
                erasure_order.give(vault, subject.order)
        if subject:
            done = carry_out(settings, engine, progress)
            told += [f"Erased: {subject.words()}.", *_words(done)]
        problems = take_back(settings, engine)
        told += problems
    return Forgotten(tuple(told), tuple(problems))


def take_back(settings: Settings, engine: sa.Engine) -> list[str]:
    """Send waiting withdrawals and nothing else; why any still waits. A push under way, or the next, sends them too."""
    destinations = load_destinations(settings)
    try:
        with one_push(settings, dry_run=False):
            retry_withdrawals(engine, set(destinations))
            for (name, operation), delivery_ids in unsent_withdrawals(engine).items():
                if name in destinations:
                    deliver_these(engine, destinations[name].destination, Operation(operation), delivery_ids, _now)
            end_withdrawals(engine, {name: one.destination for name, one in destinations.items()}, _now())
    except TransientError as error:
        return [f"Not taken back yet: {error}"] if waiting_withdrawals(engine) else []
    return [
        f"Not taken back yet: {one.withdrawals} {one.operation} of {one.destination}"
        + (f" ({one.reason})" if one.reason else "")
        + ("; that destination is not in destinations.yml any more" if one.destination not in destinations else "")
        + ". Every push tries again."
        for one in waiting_withdrawals(engine)
    ]


def readmit(settings: Settings, kind: str, value: str) -> str:
    """Let rows of an erased person in again, who came back; what was erased stays erased. A line about it."""
    with single_writer(settings), Vault.open(settings, ensure_keys(settings)) as vault:
        channels = list(load_channels(settings).channels)
        marks = [vault.keys.tombstone(key) for key in keys_named(vault.keys, channels, kind, value)]
        lifted = vault.lift_tombstones(marks)
    if not lifted:
        return f"Nobody of that {kind} was erased; nothing was changed."
    return f"Rows with that {kind} are taken in again from now on."


def _words(done: Erased) -> list[str]:
    lines = [
        f"{done.raw_parts} raw part(s) and {done.quarantine_files} quarantine file(s) written anew, "
        f"{done.vault_keys} key(s) of the vault destroyed, {done.withdrawals} withdrawal(s) planned. Warehouse and "
        "snapshot are without them; older snapshots are deleted."
    ]
    if done.deleted:
        lines.append(f"Deleted since they named the person: {', '.join(map(str, done.deleted))}.")
    if done.outside:
        lines.append(f"Delete these yourself, they name the person: {', '.join(map(str, done.outside))}.")
    lines += [f"What is left in the landing folder, by file and line: {note}" for note in done.notes]
    return lines


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
