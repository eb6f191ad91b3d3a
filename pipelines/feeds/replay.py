"""Quarantined rows tried again: after a fix of the configuration, of the contract, or of a file that was unreadable.

Belongs here: what is tried again and how it is counted. Does not belong here: validation (intake.py).
What passes is accepted in a new batch of kind `replay` and leaves the quarantine, so that batch counts 0 received,
n accepted and -n quarantined; a file that has become readable was one row received and one quarantined before, which
its replay takes back. Received = accepted + quarantined holds for every batch, every file and in total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import sqlalchemy as sa

from pipelines.channels import Channels
from pipelines.feeds import ledger
from pipelines.feeds.chunks import read_chunks, rejected_chunk
from pipelines.feeds.contract import FEEDS, SHARED
from pipelines.feeds.faults import FileFault
from pipelines.feeds.intake import Intake, open_intake
from pipelines.feeds.landing import landing_file
from pipelines.feeds.ledger import Batch, batch_id_of
from pipelines.feeds.load import LoadReport
from pipelines.feeds.parts import publish, recover
from pipelines.feeds.quarantine import RejectedRow, open_rejected, quarantine_files
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.vault import Vault


def replay_quarantine(settings: Settings, channels: Channels, engine: sa.Engine, run_id: str) -> LoadReport:
    """Try every quarantined row again; the report holds a batch for each file of which something passed.

    Hold `single_writer` around it. Killed half-way, it goes on where it stopped. Raises ConfigurationError for keys.
    """
    keys = ensure_keys(settings)
    recover(settings, engine)
    report = LoadReport(run_id)
    with open_intake(settings, keys) as connection, Vault.open(settings, keys) as vault:
        replayer = _Replayer(settings, channels, engine, connection, vault, report)
        for path in quarantine_files(settings):
            replayer.replay(path)
    return report


@dataclass
class _Replayer:
    settings: Settings
    channels: Channels
    engine: sa.Engine
    connection: duckdb.DuckDBPyConnection
    vault: Vault
    report: LoadReport

    def __post_init__(self) -> None:
        self._replayed = set(ledger.all_replays(self.engine))
        self._originals = {batch.batch_id: batch for batch in ledger.all_batches(self.engine)}

    def replay(self, path: Path) -> None:
        """Try the rows of one quarantine file: those of lines as one load, each unreadable file as one of its own."""
        files: list[RejectedRow] = []
        batch_ids: list[str] = []
        for block in self._waiting(path):
            files += [row for row in block if row.format == "file"]
            batch_ids += [row.batch_id for row in block if row.format != "file"]
        if batch_ids:
            self._replay_rows(path, list(dict.fromkeys(batch_ids)))
        for row in files:
            self._replay_file(row)

    def _waiting(self, path: Path) -> Iterator[list[RejectedRow]]:
        for block in open_rejected(path, self.vault):
            waiting = [row for row in block if row.quarantine_id not in self._replayed]
            if waiting:
                yield waiting

    def _replay_rows(self, path: Path, batch_ids: Sequence[str]) -> None:
        sequence = ledger.next_sequence(self.engine)
        batches = [self._batch(batch_id, sequence + position) for position, batch_id in enumerate(batch_ids)]
        file_nos = {batch_id: position for position, batch_id in enumerate(batch_ids)}
        intake = self._intake(batches)
        passed: list[tuple[str, str]] = []
        try:
            for block in self._waiting(path):
                rows = [row for row in block if row.raw is not None and row.line is not None]
                for file_format, header in dict.fromkeys((row.format, row.header_text) for row in rows):
                    alike = [row for row in rows if (row.format, row.header_text) == (file_format, header)]
                    ids = {(file_nos[row.batch_id], row.line): row.quarantine_id for row in alike}
                    chunk = rejected_chunk(
                        file_format,
                        header,
                        [file_nos[row.batch_id] for row in alike],
                        [row.line or 0 for row in alike],
                        [row.raw or "" for row in alike],
                    )
                    passed += [(ids[key], batches[key[0]].batch_id) for key in intake.retake(chunk)]
        except BaseException:
            intake.discard()
            raise
        if passed:
            self._enter(intake, passed)

    def _replay_file(self, row: RejectedRow) -> None:
        file = landing_file(self.settings, row.file, row.channel, row.feed)
        known = row.channel == SHARED or row.channel in self.channels.channels
        if file is None or not known:
            return
        original = self._originals[row.batch_id]
        try:
            content_hash = file.content_hash()
        except FileFault:
            return
        # Other content at that path is another file: the next load takes it, and this row stays as it is.
        if original.content_hash not in (content_hash, file.unreadable_hash):
            return
        batch = self._batch(row.batch_id, ledger.next_sequence(self.engine))
        intake = self._intake([batch])
        encoding = "utf-8" if row.channel == SHARED else self.channels.channels[row.channel].encoding
        try:
            for chunk in read_chunks(intake.feed, file, encoding, 0):
                intake.take(chunk)
            intake.settle()
        except FileFault:
            intake.discard()
            return
        except BaseException:
            intake.discard()
            raise
        self._enter(intake, [(row.quarantine_id, batch.batch_id)], is_whole_file=True)

    def _batch(self, original_id: str, sequence: int) -> Batch:
        original = self._originals[original_id]
        return replace(
            original,
            batch_id=batch_id_of(original.channel, original.feed, original.file, f"{original_id}@{sequence}", "replay"),
            batch_seq=sequence,
            run_id=self.report.run_id,
            taken_at=ledger.utc_now(),
            kind="replay",
            load_id=None,
            rows_received=0,
            rows_accepted=0,
            rows_quarantined=0,
            identifiers_dropped=0,
        )

    def _intake(self, batches: Sequence[Batch]) -> Intake:
        load_id = f"{batches[0].batch_seq:010d}-{batches[0].batch_id}"
        feed = FEEDS[batches[0].feed]
        return Intake(self.connection, self.settings, self.channels, self.vault, feed, load_id, batches)

    def _enter(self, intake: Intake, passed: Sequence[tuple[str, str]], *, is_whole_file: bool = False) -> None:
        load, counted, drift = intake.finish()
        entered = [_counted_again(batch, 1 if is_whole_file else batch.rows_accepted) for batch in counted]
        entered = [batch for batch in entered if is_whole_file or batch.rows_accepted]
        ledger.record_load(self.engine, load, entered, drift, replayed=passed)
        publish(self.settings, self.engine, load)
        self._originals |= {batch.batch_id: batch for batch in entered}
        self._replayed |= {quarantine_id for quarantine_id, _ in passed}
        self.report.batches += entered
        self.report.drift += drift


def _counted_again(batch: Batch, rows: int) -> Batch:
    """The batch's counts without the rows that were counted as received and quarantined before."""
    return replace(batch, rows_received=batch.rows_received - rows, rows_quarantined=batch.rows_quarantined - rows)
