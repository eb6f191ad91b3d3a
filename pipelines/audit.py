"""The audit log: who did what to what, when; append-only and chained, so that a later change shows.

Belongs here: the one way to write an entry, to list entries and to verify all of them. Does not belong here: what is
worth an entry (its caller says), or any value of a person: a customer or an identifier stands in an entry as a keyed
pseudonym (`subject`), so that erasing somebody leaves every entry, and with it the chain, as it was.

Each entry's hash is the HMAC-SHA256, under a key derived from the home's, of its canonical JSON, which holds the hash
of the entry before. Whoever can write the database and has no key can therefore change nothing unseen. The newest hash
is kept outside the database too, signed (`HOME/audit/head.json`), so that a cut-off end shows as well. A copy of the
whole home that is put back is beyond what a home can notice about itself: for that there is `verify(expected=...)`
with a head that was noted elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa

from pipelines.durable_lines import locked, sync_folder
from pipelines.errors import ConfigurationError
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.state import metadata, state

Detail: TypeAlias = str | int | bool | None

LONGEST_TEXT = 500
LISTED = 100
_PURPOSE = "audit chain"
_GENESIS = "0" * 64
_PSEUDONYM_DIGITS = 16
_BATCH = 5_000
_ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_ADDRESS = re.compile(r"[^\s@<>,;:]+@[^\s@<>,;:]+\.\w+")
# Not inside a word, nor in the tail of an id such as that of a snapshot.
_DIGITS = re.compile(r"(?<!\w)(?<!\w-)\+?\d(?:[\s().\-]?\d){6,}(?!\w)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
_PSEUDONYM = re.compile(r"[a-z_]+:[0-9a-f]{16}")
_MOST_COMPARED = 200

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    comment="Append-only; `hash` is the HMAC-SHA256 of the other columns as canonical JSON.",
)

for _operation in ("UPDATE", "DELETE"):
    sa.event.listen(
        audit_log,
        "after_create",
        sa.DDL(
            f"CREATE TRIGGER audit_log_no_{_operation.lower()} BEFORE {_operation} ON audit_log "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )
sa.event.listen(
    audit_log,
    "after_create",
    sa.DDL(
        "CREATE OR REPLACE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'the audit log is append-only'; END$$"
    ).execute_if(dialect="postgresql"),
)
sa.event.listen(
    audit_log,
    "after_create",
    sa.DDL(
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()"
    ).execute_if(dialect="postgresql"),
)


@dataclass(frozen=True)
class Head:
    """The newest entry: its number and hash. Written down elsewhere, it proves later that nothing before is gone."""

    seq: int
    hash: str

    def words(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and with which entry; seq None: with the log as a whole."""

    seq: int | None
    kind: str
    words: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of a verification: entries read, the newest of them, and every fault."""

    entries: int
    head: Head | None
    faults: tuple[Fault, ...]


def subject(settings: Settings, kind: str, value: str) -> str:
    """How a customer or an identifier is named in an entry: `customer:3f2a…`, the same for the same value.

    Whoever has the value and the key finds its entries; nobody gets the value out of an entry.
    """
    digest = hmac.new(
        _key(settings), f"subject:{kind}:{value}".encode(errors="surrogatepass"), hashlib.sha256
    ).hexdigest()
    return f"{kind}:{digest[:_PSEUDONYM_DIGITS]}"


def record(
    settings: Settings,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
    *,
    engine: sa.Engine | None = None,
) -> Head:
    """Append an entry, durably, and return it as the new head.

    actor: the account's name, or `cli`, `nightly`. action: dotted lower case, such as `export.finish`. subject: what
    it was done to; a customer or an identifier by `subject()`. details: flat; a text that looks like an e-mail
    address or a telephone number is masked. engine: an open state database, else one is opened.

    Call it after one's own transaction (SQLite has one writer at a time), or see `record_within`.
    """
    key = _key(settings)
    with _engine(settings, engine) as opened, locked(_head_file(settings).parent):
        with opened.begin() as transaction:
            head = _append(transaction, settings, key, actor, action, subject, details)
        _anchor(settings, opened, key, head)
    return head


def record_within(
    transaction: sa.Connection,
    settings: Settings,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
) -> Head:
    """Append an entry in the caller's transaction: the change and its entry are kept together or not at all.

    The head outside the database moves on with the next `record` or `anchor`.
    """
    return _append(transaction, settings, _key(settings), actor, action, subject, details)


def anchor(settings: Settings, engine: sa.Engine, head: Head) -> None:
    """Keep a head outside the database, after the transaction that `record_within` was part of."""
    with locked(_head_file(settings).parent):
        _anchor(settings, engine, _key(settings), head)


def entries(
    engine: sa.Engine,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    limit: int | None = LISTED,
) -> list[dict[str, Any]]:
    """The newest entries first: seq, at (UTC), actor, action, subject, details (a dict), hash. limit None: all.

    action: that one and those beneath it (`export` finds `export.finish`).
    """
    query = sa.select(audit_log).order_by(audit_log.c.seq.desc())
    if actor is not None:
        query = query.where(audit_log.c.actor == actor)
    if subject is not None:
        query = query.where(audit_log.c.subject == subject)
    if action is not None:
        query = query.where(
            sa.or_(audit_log.c.action == action, audit_log.c.action.startswith(f"{action}.", autoescape=True))
        )
    with engine.connect().execution_options(read_only=True) as connection:
        rows = connection.execute(query if limit is None else query.limit(limit)).mappings()
        return [
            {name: row[name] for name in ("seq", "at", "actor", "action", "subject")}
            | {"details": _decoded(row["details"]), "hash": row["hash"]}
            for row in rows
        ]


def verify(settings: Settings, expected: Head | None = None) -> Verdict:
    """Read every entry and say what was changed, moved, removed, or cut off at the end.

    expected: a head that was noted elsewhere; the log must still hold it.
    """
    key = _key(settings)
    faults: list[Fault] = []
    suspects: dict[int, dict[str, Any]] = {}
    anchors = _anchors(settings, key, faults)
    if expected is not None:
        anchors.append(expected)
    due = {head.seq: head for head in anchors}
    count, before = 0, Head(0, _GENESIS)
    with state(settings) as engine, engine.connect().execution_options(read_only=True) as connection:
        query = sa.select(audit_log).order_by(audit_log.c.seq).execution_options(yield_per=_BATCH)
        for found in connection.execute(query).mappings():
            row = dict(found)
            count += 1
            seq, stated = int(row["seq"]), str(row["hash"])
            if seq != before.seq + 1:
                faults.append(_removed(before.seq + 1, seq - 1))
            if not _same(_hash(key, row), stated):
                suspects[seq] = row
            elif seq == before.seq + 1 and row["previous"] != before.hash and before.seq not in suspects:
                faults.append(
                    Fault(seq, "unlinked", f"Entry {seq} does not follow on entry {before.seq} as it is now.")
                )
            head = due.get(seq)
            if head is not None and head.hash != stated and seq not in suspects:
                faults.append(Fault(seq, "replaced", f"Entry {seq} is not the one that was written then."))
            before = Head(seq, stated)
    faults += [_changed(key, row, suspects) for row in suspects.values()]
    last = max((head.seq for head in anchors), default=0)
    if last > before.seq:
        faults.append(_removed(before.seq + 1, last))
    if count and not _head_file(settings).exists():
        faults.append(Fault(None, "unanchored", f"{_head_file(settings)} is gone: a cut-off end would not show."))
    faults.sort(key=lambda fault: (fault.seq is None, fault.seq))
    return Verdict(count, before if count else None, tuple(faults))


def parse_head(text: str) -> Head:
    """A head as `Head.words` writes it. Raises ConfigurationError if it is none."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
    if found is None:
        raise ConfigurationError(f"{text!r} is no head of an audit log; it looks like 17:<64 hex digits>.")
    return Head(int(found[1]), found[2])


def _key(settings: Settings) -> bytes:
    return ensure_keys(settings).derived(_PURPOSE)


@contextmanager
def _engine(settings: Settings, engine: sa.Engine | None) -> Iterator[sa.Engine]:
    if engine is not None:
        yield engine
        return
    with state(settings) as opened:
        yield opened


def _append(
    transaction: sa.Connection,
    settings: Settings,
    key: bytes,
    actor: str,
    action: str,
    about: str,
    details: Mapping[str, Detail] | None,
) -> Head:
    if not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is no action: dotted lower case.")
    if transaction.dialect.name == "postgresql":  # SQLite's transactions are writers from their beginning
        transaction.exec_driver_sql("LOCK TABLE audit_log IN EXCLUSIVE MODE")
    newest = transaction.execute(
        sa.select(audit_log.c.seq, audit_log.c.hash).order_by(audit_log.c.seq.desc()).limit(1)
    ).first()
    before = Head(0, _GENESIS) if newest is None else Head(newest.seq, newest.hash)
    if before.seq and not _head_file(settings).exists():
        # A home that joins another's database, or somebody who cut the end off and the head with it: it is on record.
        before = _insert(transaction, key, before, "platform", "audit.head_lost", "audit log", {"found": before.seq})
    return _insert(transaction, key, before, actor, action, about, details)


def _insert(
    transaction: sa.Connection,
    key: bytes,
    before: Head,
    actor: str,
    action: str,
    about: str,
    details: Mapping[str, Detail] | None,
) -> Head:
    row: dict[str, Any] = {
        "seq": before.seq + 1,
        "at": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": actor[:LONGEST_TEXT],
        "action": action,
        "subject": about if _PSEUDONYM.fullmatch(about) else masked(about),
        "details": _canonical({name: _plain(value) for name, value in (details or {}).items()}),
        "previous": before.hash,
    }
    row["hash"] = _hash(key, row)
    transaction.execute(audit_log.insert().values(row))
    return Head(row["seq"], row["hash"])


def _plain(value: Detail) -> Detail:
    return masked(value) if isinstance(value, str) else value


def masked(text: str) -> str:
    """A text of at most 500 characters without what looks like somebody's address or number; days keep their form."""
    kept = _ADDRESS.sub("[address]", text[:LONGEST_TEXT])
    return _DIGITS.sub(lambda found: found[0] if _DAY.match(found[0]) else "[number]", kept)


def _canonical(content: Mapping[str, Any]) -> str:
    # repr: bytes that somebody put into a text column are no JSON, and are a fault to report, not one to fail on.
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)


def _decoded(details: str) -> Any:
    try:
        return json.loads(details)
    except ValueError:  # somebody changed the entry; the list still shows it
        return {"unreadable": details}


def _hash(key: bytes, row: Mapping[str, Any]) -> str:
    content = _canonical({column.name: row[column.name] for column in audit_log.c if column.name != "hash"})
    return hmac.new(key, content.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _changed(key: bytes, row: dict[str, Any], suspects: Mapping[int, Any]) -> Fault:
    seq = row["seq"]
    # Of so many something else is wrong, such as the key, and comparing each with each would take for ever.
    for other in suspects if len(suspects) <= _MOST_COMPARED else ():
        if other != seq and _same(_hash(key, row | {"seq": other}), str(row["hash"])):
            return Fault(seq, "moved", f"Entry {seq} was written as entry {other}: they were put into another order.")
    return Fault(seq, "changed", f"Entry {seq} is not as it was written: it was changed or put in.")


def _removed(first: int, last: int) -> Fault:
    which = f"Entry {first} is" if first == last else f"Entries {first} to {last} are"
    return Fault(first, "removed", f"{which} gone.")


def _head_file(settings: Settings) -> Path:
    return settings.home / "audit" / "head.json"


def _signature(key: bytes, head: Head) -> str:
    return hmac.new(key, f"head:{head.words()}".encode(), hashlib.sha256).hexdigest()


def _anchors(settings: Settings, key: bytes, faults: list[Fault]) -> list[Head]:
    path = _head_file(settings)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        head = Head(int(content["seq"]), str(content["hash"]))
        if _same(str(content["signature"]), _signature(key, head)):
            return [head]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        pass
    faults.append(Fault(None, "head", f"{path} is not as it was written: it was changed."))
    return []


def _anchor(settings: Settings, engine: sa.Engine, key: bytes, head: Head) -> None:
    """Write the head down. The caller holds the folder.

    Not over a later one (two writers may arrive in either order), and not over one that the log has lost or that is
    not ours: it is the proof that something was cut off, and `verify` names it for good.
    """
    path = _head_file(settings)
    if path.exists():
        known = _anchors(settings, key, [])
        if not known or known[0].seq >= head.seq:
            return
        with engine.connect() as connection:
            held = connection.scalar(sa.select(audit_log.c.hash).where(audit_log.c.seq == known[0].seq))
        if held != known[0].hash:
            return
    content = {"seq": head.seq, "hash": head.hash, "signature": _signature(key, head)}
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)
