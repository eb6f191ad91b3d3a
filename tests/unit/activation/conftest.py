"""A small retailer's snapshot and everything a push needs, built by hand."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
import yaml

from pipelines.activation.log import log_rows
from pipelines.activation.push import PushReport, push
from pipelines.destinations import registry
from pipelines.destinations.protocol import Capabilities, Found, Operation, Outcome, OutcomeKind, Recipient
from pipelines.settings import Settings
from pipelines.state import open_state

SECRET = b"a secret of thirty-two bytes....."

_TABLES = {
    "customers": "customer_id VARCHAR, is_staff BOOLEAN, consent_marketing BOOLEAN, level VARCHAR, "
    "home_store_id VARCHAR, last_seen_at TIMESTAMP",
    "customer_identities": "customer_id VARCHAR, channel VARCHAR, kind VARCHAR, identity VARCHAR, "
    "last_seen_at TIMESTAMP, is_blocked BOOLEAN",
    "customer_merges": '"at" TIMESTAMP, kind VARCHAR, from_customer_id VARCHAR, into_customer_id VARCHAR, '
    "logged_at TIMESTAMP",
    "customer_rfm": "customer_id VARCHAR, snapshot_date DATE, recency_days INTEGER, frequency INTEGER, "
    "monetary DECIMAL(18,2), r_score INTEGER, f_score INTEGER, m_score INTEGER, segment VARCHAR, lifecycle VARCHAR",
    "customer_tags": "customer_id VARCHAR, tag VARCHAR, value VARCHAR, since DATE, source VARCHAR",
    "segment_members": "segment VARCHAR, customer_id VARCHAR, since DATE",
    "recommendations": "customer_id VARCHAR, rank INTEGER, sku VARCHAR, score DOUBLE, reason VARCHAR, "
    "strategy VARCHAR, store_id VARCHAR, as_of DATE",
}


@dataclass
class Person:
    """One customer of the made-up retailer."""

    customer_id: str
    lifecycle: str = "dormant"
    segment: str = "hibernating"
    monetary: str = "100.00"
    consent: bool | None = True
    staff: bool = False
    members: list[tuple[str, str]] = field(default_factory=list)
    skus: list[str] = field(default_factory=list)
    level: str | None = None


@dataclass
class World:
    """A home folder with a clock that the test moves."""

    settings: Settings
    engine: sa.Engine
    as_of: date = date(2026, 3, 31)
    now: datetime = datetime(2026, 4, 1, 2, 0)
    slept: list[float] = field(default_factory=list)
    _published: int = 0

    @staticmethod
    def person(customer_id: str, **changes: Any) -> Person:
        """A dormant customer with consent, but for the changes."""
        return Person(customer_id, **changes)

    def publish(
        self, persons: list[Person], merges: Sequence[tuple[str, str, str]] = (), without: tuple[str, ...] = ()
    ) -> str:
        """Write and publish a snapshot; merges are (kind, from, into). Returns its id."""
        self._published += 1
        snapshot_id = f"marts-{self._published:04d}"
        self.settings.snapshots.mkdir(parents=True, exist_ok=True)
        path = self.settings.snapshots / f"{snapshot_id}.duckdb"
        path.unlink(missing_ok=True)
        seen = datetime(2026, 3, 1)
        rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}
        for person in persons:
            name = person.customer_id
            rows["customers"].append((name, person.staff, person.consent, person.level, "s1", seen))
            for channel, member in person.members or [("mall", f"m-{name}")]:
                rows["customer_identities"].append((name, channel, "member", member, seen, False))
            scores = (200, 1, person.monetary, 1, 1, 1)
            rows["customer_rfm"].append((name, self.as_of, *scores, person.segment, person.lifecycle))
            rows["segment_members"].append((person.segment, name, self.as_of))
            for tag, value in (("segment", person.segment), ("lifecycle", person.lifecycle)):
                rows["customer_tags"].append((name, tag, value, self.as_of, "rfm"))
            for rank, sku in enumerate(person.skus, start=1):
                rows["recommendations"].append((name, rank, sku, 0.5, f"「{sku}」", "item", None, self.as_of))
        rows["customer_merges"] = [(seen, *merge, self.now) for merge in merges]
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE SCHEMA marts")
            for table, columns in _TABLES.items():
                if table in without:
                    continue
                connection.execute(f"CREATE TABLE marts.{table} ({columns})")
                if rows[table]:
                    values = list(zip(*rows[table], strict=True))
                    connection.register(
                        "new_rows", pa.table([pa.array(v) for v in values], [f"c{i}" for i in range(len(values))])
                    )
                    connection.execute(f"INSERT INTO marts.{table} SELECT * FROM new_rows")
                    connection.unregister("new_rows")
        link = self.settings.snapshots / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        return snapshot_id

    def configure(self, name: str, content: dict[str, Any]) -> None:
        """Write a reference file of this home."""
        folder = self.settings.home / "reference"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def campaign(self, caps: list[dict[str, Any]] | None = None, **changes: Any) -> None:
        """Configure one campaign `recall` for dormant customers, with changes."""
        settings = {
            "kind": "recall",
            "audience": {"lifecycle": ["dormant"]},
            "offer": {"kind": "amount_off", "value": "30.00", "threshold": "199", "currency": "CNY", "valid_days": 30},
            "holdout": {"share": 0},
            "budget": {"coupons": 1000},
            "destinations": ["files"],
            **changes,
        }
        self.configure("campaigns.yml", {"caps": caps or [], "campaigns": {"recall": settings}})

    def push(self, **options: Any) -> PushReport:
        """Push now, with the test's clock."""
        return push(self.settings, self.engine, secret=SECRET, clock=lambda: self.now, sleep=self._sleep, **options)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def log(self, operation: str | None = None) -> list[dict[str, Any]]:
        """The activation log as rows."""
        return [row for row in log_rows(self.engine) if operation in (None, row["operation"])]

    def states(self, operation: str = "coupon") -> dict[str, str]:
        """State per customer; fails if somebody has two deliveries of that operation."""
        rows = self.log(operation)
        states = {row["customer_id"]: row["state"] for row in rows}
        assert len(states) == len(rows), "somebody has two deliveries"
        return states

    def received(self, folder: str, destination: str = "files") -> list[dict[str, str]]:
        """Every row that the files destination was given, in no particular order."""
        rows: list[dict[str, str]] = []
        for path in sorted((self.settings.outbound / destination / folder).glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                rows.extend(csv.DictReader(file))
        return rows

    def files(self) -> dict[str, bytes]:
        """Every file outside, by path, with its bytes."""
        root = self.settings.outbound
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(home=tmp_path / "home", memory_limit="1GB", threads=1)
    engine = open_state(settings)
    made = World(settings, engine)
    made.campaign()
    yield made
    engine.dispose()


class FakeDestination:
    """A destination that answers as a test says, and remembers what took effect."""

    def __init__(self) -> None:
        self.name = "files"
        self.answers: dict[str, Callable[[Any], tuple[str, float] | None]] = {}
        self.applied: dict[str, list[Any]] = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.batch = 100
        self.channel: str | None = None
        self.contact: str | None = None
        self.reads_back = frozenset(Operation)
        self.resend_is_safe = frozenset({Operation.TAGS, Operation.RECOMMENDATIONS})
        self.poison: set[str] = set()
        self.strangers: set[str] = set()
        self.is_down = False
        self.applies_before_poison = False
        self.look_up_fails = False

    def capabilities(self) -> Capabilities:
        return Capabilities(
            operations=frozenset(Operation),
            batch_size=dict.fromkeys(Operation, self.batch),
            reads_back=self.reads_back,
            resend_is_safe=self.resend_is_safe,
            channel=self.channel,
            contact=self.contact,
        )

    def resolve_customer(self, recipient: Recipient) -> str | None:
        if self.look_up_fails:
            raise TimeoutError
        return None if recipient.customer_id in self.strangers else recipient.address

    def apply_tags(self, changes: Sequence[Any]) -> list[Outcome]:
        return self._take(Operation.TAGS, changes)

    def issue_coupon(self, coupons: Sequence[Any]) -> list[Outcome]:
        return self._take(Operation.COUPON, coupons)

    def put_recommendations(self, lists: Sequence[Any]) -> list[Outcome]:
        return self._take(Operation.RECOMMENDATIONS, lists)

    def revoke_coupon(self, revocations: Sequence[Any]) -> list[Outcome]:
        return self._take(Operation.REVOKE, revocations)

    def read_back(self, operation: Operation, records: Sequence[Any]) -> dict[str, Found]:
        there = {record.key for record in self.applied[operation]}
        return {record.key: Found.PRESENT if record.key in there else Found.ABSENT for record in records}

    def received(self, operation: Operation) -> int:
        return len({record.key for record in self.applied[operation]})

    def _take(self, operation: Operation, records: Sequence[Any]) -> list[Outcome]:
        self.calls[operation] += 1
        if self.is_down:
            if self.applies_before_poison:
                self.applied[operation].extend(records)
            raise ConnectionError("connection refused")
        if operation is Operation.COUPON:
            self._choke(records)
        outcomes = []
        for record in records:
            answer = self.answers.get(operation, lambda _: ("applied", 0))(record)
            if answer is None:
                continue
            kind, seconds = answer
            if kind in ("applied", "unknown_but_applied"):
                self.applied[operation].append(record)
            if kind in ("unknown", "unknown_but_applied"):
                outcomes.append(Outcome(record.key, OutcomeKind.UNKNOWN, "timed out"))
            else:
                words = {"rejected": "refused by the script", "retry_after": "asked by the script"}.get(kind)
                outcomes.append(Outcome(record.key, OutcomeKind(kind), words, seconds))
        return outcomes

    def _choke(self, records: Sequence[Any]) -> None:
        for place, record in enumerate(records):
            if record.recipient.customer_id in self.poison:
                if self.applies_before_poison:
                    self.applied[Operation.COUPON].extend(records[:place])
                raise ValueError("a value that the platform's client can't encode")


@pytest.fixture
def fake(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeDestination:
    """Stands in place of the files destination."""
    destination = FakeDestination()
    monkeypatch.setitem(registry.KINDS, "fake", lambda *_: destination)
    world.configure("destinations.yml", {"destinations": {"files": {"kind": "fake"}}})
    return destination
