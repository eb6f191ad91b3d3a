"""Take what lies in landing: new files become raw rows, quarantined rows, vault entries and one ledger entry each.

Belongs here: which files form a load, their order, and the steps that make a load atomic. Does not belong here: what a
row must look like. A load is one transaction: parts are written and synced, the vault is filled (repeatable), then the
ledger names the parts and counts their rows, then they are renamed. A kill between any two steps leaves nothing that
the next start does not finish or remove.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import sqlalchemy as sa

from pipelines.channels import Channels
from pipelines.feeds import ledger
from pipelines.feeds.chunks import GROUP_BYTES, SMALL_FILE_BYTES, Chunk, merge, read_ahead, read_chunks, unpacked_size
from pipelines.feeds.contract import FEEDS, SHARED
from pipelines.feeds.faults import FileFault
from pipelines.feeds.hooks import seal_hooks
from pipelines.feeds.intake import Intake, open_intake
from pipelines.feeds.landing import LandingFile, list_landing
from pipelines.feeds.ledger import Batch, Drift, SeenFile, batch_id_of
from pipelines.feeds.parts import publish, recover
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.vault import Vault

Progress = Callable[[str, int, int], None]
"""Called with (what, files done, files in all)."""


@dataclass
class LoadReport:
    """What one ingest (or replay) did. batches: one a file taken, duplicates with 0 rows among them."""

    run_id: str
    batches: list[Batch] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)

    @property
    def rows_received(self) -> int:
        return sum(batch.rows_received for batch in self.batches)

    @property
    def rows_accepted(self) -> int:
        return sum(batch.rows_accepted for batch in self.batches)

    @property
    def rows_quarantined(self) -> int:
        return sum(batch.rows_quarantined for batch in self.batches)

    @property
    def identifiers_dropped(self) -> int:
        return sum(batch.identifiers_dropped for batch in self.batches)

    def by_feed(self) -> dict[str, dict[str, int]]:
        """Counts a feed: files, rows_received, rows_accepted, rows_quarantined."""
        counts: dict[str, dict[str, int]] = {}
        for batch in self.batches:
            entry = counts.setdefault(
                batch.feed, {"files": 0, "rows_received": 0, "rows_accepted": 0, "rows_quarantined": 0}
            )
            entry["files"] += 1
            entry["rows_received"] += batch.rows_received
            entry["rows_accepted"] += batch.rows_accepted
            entry["rows_quarantined"] += batch.rows_quarantined
        return counts


def load_landing(
    settings: Settings,
    channels: Channels,
    engine: sa.Engine,
    run_id: str,
    feeds: Collection[str] | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Take every new complete file of the landing folder (of `feeds`, if given), in the order of their paths.

    What channels have posted gets its final name first. The folder is listed once: what appears meanwhile waits for
    the next run. Hold `single_writer` around it.
    Raises ConfigurationError before anything is taken; bad rows and bad files end in quarantine and raise nothing.
    """
    seal_hooks(settings)
    listed = list_landing(settings, channels, feeds)
    keys = ensure_keys(settings)
    recover(settings, engine)
    report = LoadReport(run_id)
    new = _new_files(engine, listed, report)
    if not new:
        return report
    with open_intake(settings, keys) as connection, Vault.open(settings, keys) as vault:
        loader = _Loader(settings, channels, engine, connection, vault, report)
        done = 0
        for group in _groups(new):
            if progress:
                progress(group[0].file.file, done, len(new))
            loader.load(group)
            done += len(group)
    if progress:
        progress("landing", done, len(new))
    return report


@dataclass(frozen=True)
class _NewFile:
    file: LandingFile
    content_hash: str

    def seen(self) -> SeenFile:
        return SeenFile(self.file.file, self.file.size, self.file.mtime_ns, self.content_hash)


def _new_files(engine: sa.Engine, listed: Sequence[LandingFile], report: LoadReport) -> list[_NewFile]:
    """Files whose content was not taken yet. Known content at a new path is entered as a duplicate of 0 rows."""
    seen = ledger.seen_files(engine)
    contents: dict[tuple[str, str], set[str]] = {}
    new: list[_NewFile] = []
    duplicates: list[_NewFile] = []
    touched: list[SeenFile] = []
    for file in listed:
        last = seen.get(file.file)
        if last and (last.size, last.mtime_ns) == (file.size, file.mtime_ns):
            continue
        try:
            found = _NewFile(file, file.content_hash())
        except FileFault:
            found = _NewFile(file, file.unreadable_hash)
        place = (file.channel, file.feed)
        taken = contents.setdefault(place, ledger.taken_contents(engine, *place) if place not in contents else set())
        if found.content_hash not in taken:
            taken.add(found.content_hash)
            new.append(found)
        elif last and last.content_hash == found.content_hash:
            touched.append(found.seen())
        else:
            duplicates.append(found)
    ledger.remember_files(engine, touched)
    _enter_duplicates(engine, duplicates, report)
    return new


def _enter_duplicates(engine: sa.Engine, duplicates: Sequence[_NewFile], report: LoadReport) -> None:
    sequence = ledger.next_sequence(engine)
    now = ledger.utc_now()
    entered = [
        replace(
            _batch(new, sequence + position, report.run_id),
            kind="duplicate",
            # The same content may come back to a path more than once.
            batch_id=batch_id_of(
                new.file.channel, new.file.feed, new.file.file, f"{new.content_hash}@{sequence + position}", "duplicate"
            ),
            taken_at=now,
        )
        for position, new in enumerate(duplicates)
    ]
    if entered:
        ledger.record_load(engine, None, entered, seen=[new.seen() for new in duplicates])
        report.batches += entered


def _batch(new: _NewFile, sequence: int, run_id: str) -> Batch:
    file = new.file
    return Batch(
        batch_id=batch_id_of(file.channel, file.feed, file.file, new.content_hash),
        batch_seq=sequence,
        run_id=run_id,
        channel=file.channel,
        feed=file.feed,
        file=file.file,
        content_hash=new.content_hash,
        size=file.size,
        mtime_ns=file.mtime_ns,
        taken_at=ledger.utc_now(),
    )


def _groups(new: Sequence[_NewFile]) -> Iterator[list[_NewFile]]:
    """Neighbouring small files of one channel and feed together, a large file alone."""
    group: list[_NewFile] = []
    size = 0
    for entry in new:
        weight = unpacked_size(entry.file)
        fits = (
            group
            and (group[0].file.channel, group[0].file.feed) == (entry.file.channel, entry.file.feed)
            and size + weight <= GROUP_BYTES
            and weight <= SMALL_FILE_BYTES
        )
        if group and not fits:
            yield group
            group, size = [], 0
        group.append(entry)
        size += weight if weight <= SMALL_FILE_BYTES else GROUP_BYTES
    if group:
        yield group


@dataclass
class _Loader:
    settings: Settings
    channels: Channels
    engine: sa.Engine
    connection: duckdb.DuckDBPyConnection
    vault: Vault
    report: LoadReport

    def load(self, group: Sequence[_NewFile]) -> None:
        """Take one group as one load. Files that change meanwhile are left to the next run."""
        try:
            intake = self._write(group)
        except FileFault as fault:
            if len(group) > 1:
                self._load_singly(group)
                return
            intake = self._reject(group[0], fault.reason)
        if not all(new.file.is_unchanged() for new in group):
            intake.discard()
            self._load_singly([new for new in group if new.file.is_unchanged()])
            return
        load, batches, drift = intake.finish()
        ledger.record_load(self.engine, load, batches, drift, [new.seen() for new in group])
        publish(self.settings, self.engine, load)
        self.report.batches += batches
        self.report.drift += drift

    def _load_singly(self, group: Sequence[_NewFile]) -> None:
        for new in group:
            self.load([new])

    def _write(self, group: Sequence[_NewFile]) -> Intake:
        """Write the parts of a group. Raises FileFault, with nothing left behind, if a single file can't be read."""
        intake = self._intake(group)
        try:
            for chunk in self._chunks(group, intake):
                intake.take(chunk)
            intake.settle()
        except BaseException:
            intake.discard()
            raise
        return intake

    def _reject(self, new: _NewFile, reason: str) -> Intake:
        intake = self._intake([new])
        intake.reject(0, reason)
        return intake

    def _intake(self, group: Sequence[_NewFile]) -> Intake:
        sequence = ledger.next_sequence(self.engine)
        batches = [_batch(new, sequence + position, self.report.run_id) for position, new in enumerate(group)]
        load_id = f"{sequence:010d}-{batches[0].batch_id}"
        feed = FEEDS[batches[0].feed]
        return Intake(self.connection, self.settings, self.channels, self.vault, feed, load_id, batches)

    def _chunks(self, group: Sequence[_NewFile], intake: Intake) -> Iterator[Chunk]:
        encoding = self._encoding(group[0].file.channel)
        if len(group) == 1:
            yield from read_ahead(read_chunks(intake.feed, group[0].file, encoding, 0))
            return
        whole: list[Chunk] = []
        for file_no, new in enumerate(group):
            try:
                whole += list(read_chunks(intake.feed, new.file, encoding, file_no))
            except FileFault as fault:
                intake.reject(file_no, fault.reason)
        yield from merge(whole)

    def _encoding(self, channel: str) -> str:
        return "utf-8" if channel == SHARED else self.channels.channels[channel].encoding
