"""Plan files: what a push would send, written down, and the proof that nothing has changed since.

Belongs here: the file's form and its checks. A plan is JSON lines: a head (snapshot, date, destination), one line a
record that would be sent (key, customer id, address, what it says), and a seal over all of it under a key of this home,
so that an edited plan is told from ours. It holds customer ids and keyed tokens, no personal data. Does not belong
here: planning itself (push).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import PermanentError

FORM = 1
PLAN_COLUMNS = {
    "delivery_id": "VARCHAR",
    "idempotency_key": "VARCHAR",
    "destination": "VARCHAR",
    "operation": "VARCHAR",
    "customer_id": "VARCHAR",
    "address": "VARCHAR",
    "campaign_id": "VARCHAR",
    "wave": "VARCHAR",
    "version": "BIGINT",
    "fingerprint": "VARCHAR",
    "subject": "VARCHAR",
}
"""What a plan says of a record, beside its kind."""

Sink = Callable[[Iterable[Mapping[str, Any]]], None]
"""Takes planned records, with `kind` (create, update, delete; retry: it waits from an earlier push)."""


@dataclass(frozen=True)
class PlanHead:
    """What a plan rests on. destination: None for all. allow_deletes: the guard of deletes was lifted on purpose."""

    snapshot_id: str
    as_of: str
    destination: str | None
    allow_deletes: bool
    form: int = FORM


class RecordsDigest:
    """Digest over planned records, which stands for the snapshot, the state and the configuration that led to them.

    The order of records doesn't matter: a plan may be compared with one that was made in another order.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.count = 0

    def take(self, records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            digest = hashlib.sha256(_line(record).encode()).digest()
            self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**256
            self.count += 1

    def value(self) -> str:
        """As text."""
        return f"{self.count}:{self._sum:064x}"


@contextmanager
def write_plan(path: Path, secret: bytes) -> Iterator[Callable[[PlanHead | Iterable[Mapping[str, Any]]], None]]:
    """Write a plan, head first, whole or not at all; readable by its owner alone."""
    part = path.with_name(path.name + ".part")
    seal = hmac.new(_key(secret), digestmod=hashlib.sha256)
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:

            def write(what: PlanHead | Iterable[Mapping[str, Any]]) -> None:
                lines = [json.dumps(asdict(what))] if isinstance(what, PlanHead) else map(_line, what)
                for line in lines:
                    file.write(line + "\n")
                    seal.update(line.encode() + b"\n")

            yield write
            file.write(json.dumps({"seal": seal.hexdigest()}) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise PermanentError(f"Cannot write the plan {path}: {error.strerror}; choose another file.") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


def read_plan(path: Path, secret: bytes) -> tuple[PlanHead, str]:
    """The head of a plan and the digest of its records.

    Raises PermanentError if it can't be read, is cut off, was edited or comes from another home.
    """
    seal = hmac.new(_key(secret), digestmod=hashlib.sha256)
    records = RecordsDigest()
    head: PlanHead | None = None
    last = ""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if last:
                    seal.update(last.encode())
                    if head is None:
                        head = PlanHead(**json.loads(last))
                    else:
                        records.take([json.loads(last)])
                last = line
        found = json.loads(last)["seal"] if last else ""
    except (OSError, ValueError, TypeError, KeyError):
        raise PermanentError(f"{path} is no plan, or is cut off; make one with `push --dry-run --plan FILE`.") from None
    if head is None or head.form != FORM or not hmac.compare_digest(str(found), seal.hexdigest()):
        raise PermanentError(
            f"{path} was changed after it was written, or comes from another home; nothing was sent. Make a new plan "
            "with `push --dry-run --plan FILE`."
        )
    return head, records.value()


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(
        {name: record[name] for name in ("kind", *PLAN_COLUMNS)}, ensure_ascii=False, separators=(",", ":")
    )


def _key(secret: bytes) -> bytes:
    return hmac.new(secret, b"seal of push plans", hashlib.sha256).digest()
