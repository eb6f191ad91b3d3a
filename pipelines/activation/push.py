"""Push: plan the differences, decide the campaigns, send what is due, and say what happened."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import sqlalchemy as sa

from pipelines.activation import outbox
from pipelines.activation.apart import inline
from pipelines.activation.audience_data import (
    prepare_addresses,
    prepare_coupon_history,
    prepare_persons,
    prepare_refusals,
)
from pipelines.activation.campaigns import Campaign, CampaignFile, load_campaigns
from pipelines.activation.contacts import contacts_of
from pipelines.activation.coupons import home_secret
from pipelines.activation.decisions import CampaignDecision, decide, find_withheld
from pipelines.activation.differences import Difference, plan_differences
from pipelines.activation.dispatch import Brake
from pipelines.activation.exchange import fetch_chunks, read_chunks
from pipelines.activation.plans import PLAN_COLUMNS, PlanHead, RecordsDigest, Sink, read_plan, write_plan
from pipelines.activation.revocation import find_misplaced, misplaced_waiting, revoke_misplaced
from pipelines.activation.sending import Sent, deliver, end_withdrawals, recover
from pipelines.activation.tables import PENDING, deliveries
from pipelines.activation.withdrawals import retry_withdrawals
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import Configured, load_destinations
from pipelines.errors import PermanentError, TransientError
from pipelines.published import Published, read_published
from pipelines.settings import Settings
from pipelines.warehouse import current_snapshot, open_snapshot

Progress = Callable[[str], None]


@dataclass
class PushReport:
    """What a push planned and what became of it.

    differences: per destination and operation. campaigns: per campaign that runs on the as-of date.
    withheld: waiting coupons that were stopped. sent: per destination. notes: what was left out, and why.
    """

    snapshot_id: str
    as_of: date
    dry_run: bool
    differences: list[Difference] = field(default_factory=list)
    campaigns: list[CampaignDecision] = field(default_factory=list)
    withheld: int = 0
    sent: list[Sent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What was stopped by a guard, and why a destination was given up; empty if all went out."""
        return [difference.stopped for difference in self.differences if difference.stopped] + [
            f"{sent.destination}: {sent.stopped}" for sent in self.sent if sent.stopped
        ]

    columns: ClassVar[tuple[str, ...]] = (
        "destination", "operation", "campaign_id", "wave", "audience", "creates", "updates", "deletes", "held_out",
        "suppressed", "capped", "samples",
    )  # fmt: skip
    """Of `rows`."""

    def rows(self) -> list[dict[str, Any]]:
        """The plan as data: one object per destination and operation, and per campaign. Coupons are creates."""
        differences: list[dict[str, Any]] = [
            {
                "destination": difference.destination,
                "operation": difference.operation.value,
                "creates": difference.creates,
                "updates": difference.updates,
                "deletes": difference.deletes,
                "samples": list(difference.samples),
            }
            for difference in self.differences
        ]
        campaigns: list[dict[str, Any]] = [
            {
                "destination": " ".join(decision.destinations),
                "operation": Operation.COUPON.value,
                "campaign_id": decision.campaign_id,
                "wave": decision.wave,
                "audience": decision.audience,
                "creates": decision.states.get("planned", 0),
                "updates": 0,
                "deletes": 0,
                **{state: decision.states.get(state, 0) for state in ("held_out", "suppressed", "capped")},
                "samples": list(decision.samples),
            }
            for decision in self.campaigns
        ]
        return differences + campaigns

    def counts(self) -> dict[str, int]:
        """The report in figures: planned per operation, and what became of everything sent."""
        counts: Counter[str] = Counter()
        for row in self.rows():
            counts[f"{row['operation']}_planned"] += row["creates"] + row["updates"] + row["deletes"]
        for sent in self.sent:
            counts.update(sent.states)
        return dict(counts)

    def lines(self) -> list[str]:
        """The report in words, a line each."""
        lines = [f"{'Plan' if self.dry_run else 'Pushed'} from {self.snapshot_id}, as of {self.as_of}"]
        for difference in self.differences:
            lines.append(
                f"{difference.destination} {difference.operation}: {difference.creates} creates, "
                f"{difference.updates} updates, {difference.deletes} deletes"
            )
            lines.extend(f"    {sample}" for sample in difference.samples)
            if difference.stopped:
                lines.append(f"    stopped: {difference.stopped}")
        for decision in self.campaigns:
            states = ", ".join(f"{count} {state}" for state, count in decision.states.items()) or "nobody new"
            lines.append(
                f"campaign {decision.campaign_id}, wave {decision.wave}: audience {decision.audience}, "
                f"decided before {decision.already}, now {states}"
            )
            lines.extend(f"    {sample}" for sample in decision.samples)
        if self.withheld:
            lines.append(f"{self.withheld} waiting coupon(s) withheld")
        for sent in self.sent:
            lines.append(f"{sent.destination}: {sent.words()}")
            if sent.stopped:
                lines.append(f"    stopped: {sent.stopped}")
        lines.extend(self.notes)
        if self.dry_run:
            lines.append("Dry run: nothing was written or sent.")
        return lines


def push(
    settings: Settings,
    engine: sa.Engine,
    *,
    secret: bytes | None = None,
    destination: str | None = None,
    dry_run: bool = False,
    plan: Path | None = None,
    allow_deletes: bool = False,
    progress: Progress | None = None,
    as_of: date | None = None,
    clock: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    plan_in: Callable[[Callable[[], PushReport]], PushReport] = inline,
) -> PushReport:
    """Bring the destinations to what the published snapshot says.

    secret: key of the coupon codes, the same for the life of a home; derived from its keys unless given.
    as_of: the snapshot's own unless given.
    destination: push to that one alone; a campaign is decided if it names it.
    dry_run: plan and write nothing, neither outside nor into the state.
    plan: with dry_run, the file to write what would be sent into; without, the plan to send, exactly as it is.
    allow_deletes: delete more than the destinations' guards allow.
    plan_in: runs the planning, perhaps in a process of its own.

    Raises ConfigurationError (unknown destination, faulty campaigns.yml), PermanentError (nothing published; the plan
    was edited, or the snapshot, the state or the configuration has changed since it was made), TransientError (another
    push is running). A destination that fails raises nothing: see `PushReport.failures`.
    """
    now = clock or _utc_now
    tell = progress or _silent
    if secret is None:
        secret = home_secret(settings)
    head, proof = None, None
    if plan and not dry_run:
        head, proof = read_plan(plan, secret)
        if destination not in (None, head.destination):
            raise PermanentError(f"{plan} is a plan for {head.destination or 'all destinations'}, not {destination}.")
        destination, allow_deletes = head.destination, head.allow_deletes
    every = load_destinations(settings)
    chosen = load_destinations(settings, only=destination)
    campaigns = load_campaigns(settings, set(every))
    brakes = {name: Brake() for name in chosen}

    def look_back() -> None:
        for name, configured in chosen.items():
            recover(engine, configured.destination, now, brakes[name])

    def make_report() -> PushReport:
        snapshot_id = current_snapshot(settings).stem
        with open_snapshot(settings) as connection:
            published = read_published(connection, snapshot_id, as_of)
            prepare_persons(connection, published)

            def make_plan(write: bool, sink: Sink | None = None) -> PushReport:
                report = PushReport(snapshot_id, published.as_of, dry_run)
                planning = _Planning(
                    connection, engine, published, report, now(), write=write, tell=tell, allow_deletes=allow_deletes,
                    sink=sink,
                )  # fmt: skip
                planning.differences(chosen)
                planning.campaigns(every, set(chosen), campaigns, secret)
                planning.waiting(set(chosen))
                return report

            if plan and dry_run:
                with write_plan(plan, secret) as write:
                    write(PlanHead(snapshot_id, published.as_of.isoformat(), destination, allow_deletes))
                    report = make_plan(write=False, sink=write)
                    if report.failures:
                        raise PermanentError(f"No plan was written: {'; '.join(report.failures)}")
            else:
                if plan and head and proof:
                    records = RecordsDigest()
                    make_plan(write=False, sink=records.take)
                    _check_unchanged(plan, head, proof, snapshot_id, records.value())
                report = make_plan(write=not dry_run)
        return report

    with one_push(settings, dry_run):
        if not dry_run and not plan:
            retry_withdrawals(engine, set(chosen))
            look_back()
        report = plan_in(make_report)
        if proof:
            look_back()
        if not dry_run:
            for name, configured in chosen.items():
                tell(f"sending to {name}")
                report.sent.append(
                    deliver(
                        engine, configured.destination, now, sleep, tell,
                        concurrency=configured.settings.concurrency, brake=brakes[name], contacts=contacts_of(settings),
                    )
                )  # fmt: skip
            end_withdrawals(engine, {name: one.destination for name, one in chosen.items()}, now())
    return report


def _check_unchanged(plan: Path, head: PlanHead, proof: str, snapshot_id: str, records: str) -> None:
    if head.snapshot_id != snapshot_id:
        what = f"rests on snapshot {head.snapshot_id}, and {snapshot_id} is published now"
    elif proof != records:
        what = "no longer fits what the destinations hold, what waits for them, or the configuration"
    else:
        return
    raise PermanentError(f"{plan} {what}; nothing was sent. Make a new plan with `push --dry-run --plan FILE`.")


@dataclass
class _Planning:
    connection: duckdb.DuckDBPyConnection
    engine: sa.Engine
    published: Published
    report: PushReport
    now: datetime
    write: bool
    tell: Progress
    allow_deletes: bool = False
    sink: Sink | None = None
    ended: set[str] = field(default_factory=set)
    """Waiting deliveries that this planning ends."""

    def differences(self, destinations: dict[str, Configured]) -> None:
        for name, configured in destinations.items():
            prepare_addresses(self.connection, configured.destination.capabilities().channel)
            for operation in (Operation.TAGS, Operation.RECOMMENDATIONS):
                if not configured.wants(operation):
                    continue
                self.tell(f"comparing {operation} of {name}")
                difference = plan_differences(
                    self.connection, self.engine, self.published, name, operation, configured.settings,
                    self.now, self.write, allow_deletes=self.allow_deletes, sink=self.sink, ended=self.ended,
                )  # fmt: skip
                if difference is None:
                    self.report.notes.append(f"{name}: no {operation} in this snapshot, so what is there stays.")
                else:
                    self.report.differences.append(difference)

    def campaigns(self, every: dict[str, Configured], chosen: set[str], file: CampaignFile, secret: bytes) -> None:
        prepare_coupon_history(self.connection, self.engine, self.published)
        reachable = {name: every[name] for name in chosen}
        find_misplaced(self.connection, self.engine, self.published, reachable)
        withheld = find_withheld(self.connection, self.published.as_of, misplaced_waiting(self.connection))
        self.report.withheld = len(withheld)
        self.ended.update(row["delivery_id"] for row in withheld)
        if self.write:
            outbox.withhold(self.engine, withheld)
        self.report.differences += revoke_misplaced(
            self.connection, self.engine, self.published, reachable, self.now, write=self.write, sink=self.sink
        )
        for campaign_id, campaign in file.campaigns.items():
            able = [name for name in campaign.destinations or sorted(every) if every[name].wants(Operation.COUPON)]
            if not chosen.intersection(able):
                if not able:
                    self.report.notes.append(f"campaign {campaign_id}: no destination of it takes coupons.")
                continue
            if not campaign.runs_on(self.published.as_of):
                self.report.notes.append(f"campaign {campaign_id}: not running on {self.published.as_of}.")
                continue
            self.tell(f"deciding campaign {campaign_id}")
            self._decide(campaign_id, campaign, {name: every[name] for name in able}, file, secret, chosen)

    def waiting(self, chosen: set[str]) -> None:
        """Show what waits from earlier pushes, and will go out with this one once it is due."""
        if not self.sink:
            return
        conditions = (deliveries.c.state.in_(PENDING), deliveries.c.destination.in_(chosen))
        for chunk in read_chunks(self.engine, PLAN_COLUMNS, deliveries, *conditions):
            rows = [dict(zip(PLAN_COLUMNS, row, strict=False)) for row in chunk]
            self.sink([{**row, "kind": "retry"} for row in rows if row["delivery_id"] not in self.ended])

    def _decide(
        self,
        campaign_id: str,
        campaign: Campaign,
        destinations: dict[str, Configured],
        file: CampaignFile,
        secret: bytes,
        chosen: set[str],
    ) -> None:
        self._campaign_addresses(destinations)
        decision = decide(
            self.connection, self.published, campaign_id, campaign, sorted(destinations), file.caps, secret, self.now
        )
        self.report.campaigns.append(decision)
        if self.sink:
            for chunk in fetch_chunks(self.connection, "SELECT * FROM newly_planned WHERE state = 'planned'"):
                self.sink([{**row, "kind": "create"} for row in chunk if row["destination"] in chosen])
        if self.write:
            outbox.insert_decisions(
                self.engine,
                fetch_chunks(self.connection, "SELECT * FROM newly_planned ORDER BY delivery_id"),
                {
                    "campaign_id": campaign_id,
                    "wave": decision.wave,
                    "snapshot_id": self.published.snapshot_id,
                    "as_of": self.published.as_of,
                    "destinations": " ".join(sorted(destinations)),
                    "audience": decision.audience,
                    "decided": decision.decided,
                    "planned_at": self.now,
                },
            )

    def _campaign_addresses(self, destinations: dict[str, Configured]) -> None:
        """Where each customer can be reached: not where they said no in the destination's own channel."""
        prepare_refusals(self.connection, self.published)
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE campaign_addresses "
            "(destination VARCHAR, customer_id VARCHAR, address VARCHAR)"
        )
        self.connection.execute("CREATE OR REPLACE TEMP TABLE refused_addresses (customer_id VARCHAR)")
        for name, configured in destinations.items():
            channel = configured.destination.capabilities().channel
            prepare_addresses(self.connection, channel)
            refused = "SELECT customer_id FROM refusals WHERE channel = ?"
            # Of several accounts at one destination the coupon goes to one, always the same.
            self.connection.execute(
                "INSERT INTO campaign_addresses SELECT ?, customer_id, min(address) FROM addresses "
                f"WHERE customer_id NOT IN ({refused}) GROUP BY customer_id",
                [name, channel],
            )
            self.connection.execute(
                f"INSERT INTO refused_addresses SELECT customer_id FROM addresses WHERE customer_id IN ({refused})",
                [channel],
            )


@contextmanager
def one_push(settings: Settings, dry_run: bool) -> Iterator[None]:
    """Hold the home's push lock, released by the system even when the process is killed; a dry run needs none."""
    if dry_run:
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / ".push.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError(
                f"Another push is sending from {settings.home}; one at a time. Try again when it has ended."
            ) from error
        yield


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _silent(_text: str) -> None:
    pass
