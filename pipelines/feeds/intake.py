"""One load on its way: chunks are validated, accepted rows become Parquet parts, the vault gets the originals.

Belongs here: the connection, the statements over validated rows, and the `.part` files. Does not belong here: which
files make a load, and the ledger (load.py); SQL that validates (validate.py). Plain values exist in memory only: this
connection has no place to spill to, chunks are small enough not to need one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import warehouse
from pipelines.channels import Channels
from pipelines.feeds import identifiers, parse, plain, validate, values
from pipelines.feeds.chunks import Chunk, merge, unreadable_chunk
from pipelines.feeds.contract import Feed
from pipelines.feeds.erasing import Gate
from pipelines.feeds.erasing_rejected import Tombstones, emptied
from pipelines.feeds.erasure_order import order_found
from pipelines.feeds.faults import FileFault
from pipelines.feeds.ladder import Fault
from pipelines.feeds.ledger import Batch, Drift, Load
from pipelines.feeds.quarantine import QuarantineWriter
from pipelines.feeds.raw import RawWriter, raw_schema
from pipelines.feeds.sealing import Sealer
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault

BATCH_ROWS = 8_192
MAX_DRIFT_NAMES = 200
OTHER_COLUMNS = "(others)"
MAX_UNTAKABLE_ROWS = 100
"""Beyond so many rows of a load that DuckDB can't take, it is the file that can't be read."""
LADDER_ROWS = 20_000
"""So many lines that are not plain are judged together: planning the ladder costs as much as judging some thousands."""

_UNTAKABLE = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.NotImplementedException,
    duckdb.OutOfRangeException,
)
_SAFE_NAME = r"(?:[a-z]+\[\]\.)?[\p{L}_][\p{L}\p{N} _.:-]{0,63}"
_DIGIT_RUN = r"[0-9]{6}"


@contextmanager
def open_intake(settings: Settings, keys: Keys) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory with the macros of parsing, validation and identifiers."""
    connection = warehouse.connect(settings)
    try:
        connection.execute("SET temp_directory = ''")
        # Every row carries its line; keeping them in order besides costs a quarter of the time.
        connection.execute("SET preserve_insertion_order = false")
        identifiers.install(connection, keys)
        for statement in (*parse.macros(), *values.macros()):
            connection.execute(statement)
        yield connection
    finally:
        connection.close()


@dataclass
class _Counts:
    accepted: int = 0
    quarantined: int = 0
    identifiers_dropped: int = 0


@dataclass(frozen=True)
class Judged:
    """Rows of a chunk, typed and judged; faults: what the `_fault` codes of the rejected mean."""

    chunk: Chunk
    accepted: pa.Table
    rejected: pa.Table
    faults: Sequence[Fault]


_NONE = pa.table({"_position": pa.array([], pa.int32())})


@dataclass
class Intake:
    """One load: `take` its chunks, `reject` its unreadable files, `settle`, then `finish`.

    files: the batches of the load by file_no, as yet without counts.
    """

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    channels: Channels
    vault: Vault
    feed: Feed
    load_id: str
    files: Sequence[Batch]
    _counts: dict[int, _Counts] = field(default_factory=dict)
    _drift: dict[tuple[int, str], int] = field(default_factory=dict)
    _quarantine: QuarantineWriter | None = None
    _parts: int = 0
    _untakable: int = 0
    _is_mostly_plain: bool = True
    _waiting: list[Chunk] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._raw = RawWriter(self.settings.raw / self.feed.name, self.load_id, raw_schema(self.connection, self.feed))
        channel = self.channels.channels.get(self._channel)
        zone = channel.timezone if channel else self.channels.timezone
        self._sealer = Sealer(self.connection, self.vault, self.feed, zone)
        self._gate = Gate(self.connection, self.vault, self.feed)
        self._tombstones = Tombstones.of_vault(self.vault)

    def take(self, chunk: Chunk) -> None:
        """Validate a chunk and write what comes of it; lines that are not plain may wait for `settle`.

        Raises FileFault if DuckDB can't take too many of its rows.
        """
        rest = chunk
        if chunk.format == "jsonl":
            accepted, rest = self._part_plain(chunk)
            if accepted.num_rows:
                self._keep(accepted)
        if rest.table.num_rows:
            self._waiting.append(rest)
        if chunk.format != "jsonl" or sum(waiting.table.num_rows for waiting in self._waiting) >= LADDER_ROWS:
            self.settle()

    def settle(self) -> None:
        """Judge what waits. Raises FileFault as `take` does."""
        waiting, self._waiting = merge(self._waiting), []
        for chunk in waiting:
            for judged in self._climb(chunk):
                self._keep(judged.accepted)
                self._reject_rows(judged)
                self._note_drift(judged)

    def retake(self, chunk: Chunk) -> list[tuple[int, int]]:
        """Validate rows that were rejected before; write those that pass and return their (file_no, line).

        The others stay where they are. Raises FileFault as `take` does.
        """
        passed: list[tuple[int, int]] = []
        for judged in self._climb(chunk):
            self._keep(judged.accepted)
            lines = (judged.accepted[name].to_pylist() for name in ("_file_no", "_line"))
            passed += list(zip(*lines, strict=True))
        return passed

    def reject(self, file_no: int, reason: str) -> None:
        """A file that can't be read: one row received, one quarantined."""
        self._of(file_no).quarantined += 1
        self._quarantine_writer().add_file(self.files[file_no], reason)

    def finish(self) -> tuple[Load, list[Batch], list[Drift]]:
        """Close the parts, durable on disk under their `.part` names, and say what they hold."""
        self._raw.close()
        order_found(self.vault, self._gate.found)
        quarantine_files = [self._quarantine.close()] if self._quarantine else []
        load = Load(self.load_id, self.feed.name, tuple(self._raw.names), tuple(quarantine_files))
        counted = [
            batch.counted(counts.accepted, counts.quarantined, counts.identifiers_dropped)
            for file_no, batch in enumerate(self.files)
            for counts in (self._counts.get(file_no, _Counts()),)
        ]
        return load, counted, self._all_drift()

    def discard(self) -> None:
        """Remove the parts: the load does not happen."""
        if self._quarantine:
            self._quarantine.discard()
        self._raw.discard()

    def _part_plain(self, chunk: Chunk) -> tuple[pa.Table, Chunk]:
        """The chunk's plain lines, typed and accepted, and the rest of it."""
        layout = plain.layout_of(self.feed, chunk.table["raw"]) if self._is_mostly_plain else None
        if layout is None:
            return _NONE, chunk
        positions = pa.array(np.arange(chunk.table.num_rows, dtype=np.int32))
        query = plain.plain_rows(self.feed, layout, "chunk", self._channel, self._promoted())
        with self._registered(chunk.table.append_column("position", positions)):
            self.connection.execute(f"SET disabled_optimizers = '{','.join(plain.KEPT_AS_WRITTEN)}'")
            try:
                rows = self.connection.sql(query).to_arrow_table()
            except _UNTAKABLE:
                return _NONE, chunk
            finally:
                self.connection.execute("RESET disabled_optimizers")
        # A load whose lines mostly are not has paid once to learn it.
        self._is_mostly_plain = 2 * rows.num_rows >= chunk.table.num_rows
        return self._complete(rows), chunk.without(rows["_position"])

    def _climb(self, chunk: Chunk) -> Iterator[Judged]:
        """Judge by the ladder. Where DuckDB can't take a row, halving finds it, and it alone is judged as broken."""
        try:
            yield self._validate(chunk)
        except _UNTAKABLE as error:
            rows = chunk.table.num_rows
            self._untakable += rows == 1
            if self._untakable > MAX_UNTAKABLE_ROWS:
                raise FileFault(f"holds values that can't be read ({type(error).__name__})") from None
            if rows > 1:
                yield from self._climb(chunk.rows(0, rows // 2))
                yield from self._climb(chunk.rows(rows // 2, rows))
            else:
                yield self._validate(unreadable_chunk(chunk, f"can't be read ({type(error).__name__})"))

    def _validate(self, chunk: Chunk) -> Judged:
        checked = validate.validation(
            self.feed, self._channel, promoted=self._promoted(), absent=chunk.absent(self.feed)
        )
        with self._registered(chunk.table):
            rows = self._judged_rows(chunk, checked.sql, exact=False)
            # Rare: a number longer than a double keeps. Then the chunk is read again with numbers as text.
            if pc.any(rows["_long_number"]).as_py():
                rows = self._judged_rows(chunk, checked.sql, exact=True)
        rows = self._complete(rows)
        is_faulty = pc.greater(rows["_fault"], 0)
        if not pc.any(is_faulty).as_py():
            return Judged(chunk, rows, rows.slice(0, 0), checked.faults)
        return Judged(chunk, rows.filter(pc.invert(is_faulty)), rows.filter(is_faulty), checked.faults)

    def _judged_rows(self, chunk: Chunk, validation_sql: str, *, exact: bool) -> pa.Table:
        records = chunk.parse_sql(self.feed, "chunk", exact=exact)
        return self.connection.execute(f"WITH records AS ({records}) {validation_sql}").to_arrow_table()

    @contextmanager
    def _registered(self, lines: pa.Table) -> Iterator[None]:
        # Batches are what DuckDB's threads share.
        self.connection.register("chunk", pa.Table.from_batches(lines.to_batches(max_chunksize=BATCH_ROWS)))
        try:
            yield
        finally:
            self.connection.unregister("chunk")

    @property
    def _channel(self) -> str:
        return self.files[0].channel

    def _promoted(self) -> tuple[str, ...]:
        channel = self.channels.channels.get(self._channel)
        own = channel.promote_attributes if channel else ()
        return tuple(dict.fromkeys((*self.channels.promote_attributes, *own)))

    def _complete(self, rows: pa.Table) -> pa.Table:
        """The rows with what their file says of all of them."""
        file_nos = rows["_file_no"].combine_chunks()
        sequences = np.array([batch.batch_seq for batch in self.files], np.int64)
        arrivals = sequences[file_nos.to_numpy()] * 2**32 + rows["_line"].to_numpy()
        columns = {
            "channel": pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(rows)), [self._channel]),
            "_batch_id": pa.DictionaryArray.from_arrays(file_nos, [batch.batch_id for batch in self.files]),
            "_file": pa.DictionaryArray.from_arrays(file_nos, [batch.file for batch in self.files]),
            "_arrival": pa.array(arrivals),
        }
        for name, column in columns.items():
            rows = rows.append_column(name, column)
        return rows

    def _keep(self, accepted: pa.Table) -> None:
        """Count, write and seal accepted rows."""
        if not accepted.num_rows:
            return
        self._parts += 1
        for file_no, rows in _by_file(accepted):
            self._of(file_no).accepted += rows
        dropped = accepted.filter(pc.greater(accepted["_identifiers_dropped"], 0))
        for row in dropped.group_by("_file_no").aggregate([("_identifiers_dropped", "sum")]).to_pylist():
            self._of(row["_file_no"]).identifiers_dropped += row["_identifiers_dropped_sum"]
        accepted = self._gate.clean(accepted)
        self._raw.add(accepted)
        self._sealer.seal(accepted, self._parts)

    def _reject_rows(self, judged: Judged) -> None:
        if not judged.rejected.num_rows:
            return
        for file_no, rows in _by_file(judged.rejected):
            self._of(file_no).quarantined += rows
        chunk = judged.chunk
        rejected = emptied(self._channel, judged.rejected, self._tombstones)
        self._quarantine_writer().add_rows(
            self.connection, chunk.format, chunk.header_text, self.files, rejected, judged.faults
        )

    def _of(self, file_no: int) -> _Counts:
        return self._counts.setdefault(file_no, _Counts())

    def _quarantine_writer(self) -> QuarantineWriter:
        if self._quarantine is None:
            self._quarantine = QuarantineWriter(
                self.settings.quarantine / self.feed.name, f"{self.load_id}.parquet", self.load_id, self.vault
            )
        return self._quarantine

    def _note_drift(self, judged: Judged) -> None:
        # A name that could itself be somebody's (digits, an address) is not repeated.
        unknown = pa.concat_tables(
            [rows.select(["_file_no", "_unknown", "_broken"]) for rows in (judged.accepted, judged.rejected)]
        )
        if unknown["_unknown"].null_count == len(unknown):
            return
        self.connection.register("judged", unknown)
        rows = self.connection.execute(
            f"""
            SELECT
                _file_no,
                CASE
                    WHEN regexp_full_match(name, '{_SAFE_NAME}') AND NOT regexp_matches(name, '{_DIGIT_RUN}') THEN name
                    ELSE '{OTHER_COLUMNS}'
                END AS shown,
                count(*)
            FROM (SELECT _file_no, unnest(_unknown) AS name FROM judged WHERE _unknown IS NOT NULL AND _broken IS NULL)
            GROUP BY ALL
            """
        ).fetchall()
        self.connection.unregister("judged")
        for file_no, name, count in rows:
            known = sum(1 for other, _ in self._drift if other == file_no)
            shown = name if known < MAX_DRIFT_NAMES or (file_no, name) in self._drift else OTHER_COLUMNS
            self._drift[file_no, shown] = self._drift.get((file_no, shown), 0) + count

    def _all_drift(self) -> list[Drift]:
        return [
            Drift(self.feed.name, self.files[file_no].channel, name, self.files[file_no].batch_id, rows)
            for (file_no, name), rows in sorted(self._drift.items())
        ]


def _by_file(rows: pa.Table) -> Iterator[tuple[int, int]]:
    """How many of the rows each file has."""
    counts = np.bincount(rows["_file_no"].to_numpy())
    return ((int(file_no), int(counts[file_no])) for file_no in np.flatnonzero(counts))
