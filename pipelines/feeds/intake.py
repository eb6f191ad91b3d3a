"""One load on its way: chunks are validated, accepted rows become Parquet parts, the vault gets the originals.

Belongs here: the connection, the statements over validated rows, and the `.part` files. Does not belong here: which
files make a load, and the ledger (load.py); SQL that validates (validate.py). Plain values exist in memory only: this
connection has no place to spill to, chunks are small enough not to need one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from pipelines import warehouse
from pipelines.channels import Channels
from pipelines.feeds import identifiers, parse, validate, values
from pipelines.feeds.chunks import Chunk, unreadable_chunk
from pipelines.feeds.contract import Feed
from pipelines.feeds.faults import FileFault
from pipelines.feeds.identifiers import kind_of
from pipelines.feeds.ladder import Fault
from pipelines.feeds.ledger import Batch, Drift, Load
from pipelines.feeds.parts import part_path, sync
from pipelines.feeds.quarantine import QuarantineWriter
from pipelines.feeds.sql import literal
from pipelines.feeds.zones import utc_of
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault

BATCH_ROWS = 8_192
MAX_DRIFT_NAMES = 200
OTHER_COLUMNS = "(others)"
MAX_UNTAKABLE_ROWS = 100
"""Beyond so many rows of a load that DuckDB can't take, it is the file that can't be read."""

_UNTAKABLE = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.NotImplementedException,
    duckdb.OutOfRangeException,
)
_SAFE_NAME = r"[\p{L}_][\p{L}\p{N} _.:-]{0,63}"
_DIGIT_RUN = r"[0-9]{6}"


@contextmanager
def open_intake(settings: Settings, keys: Keys) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory with the macros of parsing, validation and identifiers."""
    connection = warehouse.connect(settings)
    try:
        connection.execute("SET temp_directory = ''")
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


@dataclass
class Intake:
    """One load: `take` its chunks, `reject` its unreadable files, then `finish`.

    files: the batches of the load by file_no, as yet without counts.
    """

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    channels: Channels
    vault: Vault
    feed: Feed
    load_id: str
    files: Sequence[Batch]
    raw_files: list[str] = field(default_factory=list)
    _counts: dict[int, _Counts] = field(default_factory=dict)
    _drift: dict[tuple[int, str], int] = field(default_factory=dict)
    _quarantine: QuarantineWriter | None = None
    _parts: int = 0
    _untakable: int = 0

    def take(self, chunk: Chunk) -> None:
        """Validate a chunk and write what comes of it. Raises FileFault if DuckDB can't take too many of its rows."""
        for part, faults in self._judge(chunk):
            accepted, quarantined = self._count()
            if accepted:
                self._write_raw()
                self._seal()
            if quarantined:
                self._quarantine_writer().add_rows(self.connection, part.format, part.header_text, self.files, faults)
            self._note_drift()
            self.connection.execute("DROP TABLE taken")

    def retake(self, chunk: Chunk) -> list[tuple[int, int]]:
        """Validate rows that were rejected before; write those that pass and return their (file_no, line).

        The others stay where they are. Raises FileFault as `take` does.
        """
        passed: list[tuple[int, int]] = []
        for _ in self._judge(chunk):
            self.connection.execute("DELETE FROM taken WHERE _fault > 0")
            if self._count()[0]:
                self._write_raw()
                self._seal()
            passed += self.connection.execute("SELECT _file_no, _line FROM taken").fetchall()
            self.connection.execute("DROP TABLE taken")
        return passed

    def reject(self, file_no: int, reason: str) -> None:
        """A file that can't be read: one row received, one quarantined."""
        self._of(file_no).quarantined += 1
        self._quarantine_writer().add_file(self.files[file_no], reason)

    def finish(self) -> tuple[Load, list[Batch], list[Drift]]:
        """Close the parts, durable on disk under their `.part` names, and say what they hold."""
        quarantine_files = [self._quarantine.close()] if self._quarantine else []
        load = Load(self.load_id, self.feed.name, tuple(self.raw_files), tuple(quarantine_files))
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
        for name in self.raw_files:
            part_path(self.settings.raw / self.feed.name, name).unlink(missing_ok=True)

    def _judge(self, chunk: Chunk) -> Iterator[tuple[Chunk, Sequence[Fault]]]:
        """The chunk in parts, mostly one; at each of them the table `taken` holds its rows, each typed and judged.

        Where DuckDB can't take a row, halving finds it, and it alone is judged as broken.
        """
        try:
            faults = self._validate(chunk)
        except _UNTAKABLE as error:
            rows = chunk.table.num_rows
            self._untakable += rows == 1
            if self._untakable > MAX_UNTAKABLE_ROWS:
                raise FileFault(f"holds values that can't be read ({type(error).__name__})") from None
            if rows > 1:
                yield from self._judge(chunk.rows(0, rows // 2))
                yield from self._judge(chunk.rows(rows // 2, rows))
                return
            faults = self._validate(unreadable_chunk(chunk, f"can't be read ({type(error).__name__})"))
        yield chunk, faults

    def _validate(self, chunk: Chunk) -> Sequence[Fault]:
        channel = self.files[0].channel
        promoted = self.channels.promote_attributes
        if channel in self.channels.channels:
            promoted = tuple(dict.fromkeys((*promoted, *self.channels.channels[channel].promote_attributes)))
        checked = validate.validation(self.feed, promoted=promoted, absent=chunk.absent(self.feed))
        self._parts += 1
        # Batches are what DuckDB's threads share.
        self.connection.register("chunk", pa.Table.from_batches(chunk.table.to_batches(max_chunksize=BATCH_ROWS)))
        self.connection.register("files", self._files_table())
        try:
            self._make_taken(chunk, checked.sql, exact=False)
            # Rare: a number longer than a double keeps. Then the chunk is read again with numbers as text.
            if self.connection.execute("SELECT bool_or(_long_number) FROM taken").fetchone() == (True,):
                self._make_taken(chunk, checked.sql, exact=True)
        finally:
            self.connection.unregister("chunk")
            self.connection.unregister("files")
        return checked.faults

    def _make_taken(self, chunk: Chunk, validation_sql: str, *, exact: bool) -> None:
        records = chunk.parse_sql(self.feed, "chunk", exact=exact)
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE taken AS WITH records AS ({records}) {validation_sql}")

    def _of(self, file_no: int) -> _Counts:
        return self._counts.setdefault(file_no, _Counts())

    def _files_table(self) -> pa.Table:
        return pa.table(
            {
                "file_no": pa.array(range(len(self.files)), pa.int32()),
                "channel": pa.array([batch.channel for batch in self.files], pa.string()),
                "batch_id": pa.array([batch.batch_id for batch in self.files], pa.string()),
                "batch_seq": pa.array([batch.batch_seq for batch in self.files], pa.int64()),
                "file": pa.array([batch.file for batch in self.files], pa.string()),
            }
        )

    def _count(self) -> tuple[int, int]:
        """Count the chunk's rows a file; how many were accepted and quarantined in all."""
        rows = self.connection.execute(
            """
            SELECT
                _file_no,
                count(*) FILTER (_fault = 0),
                count(*) FILTER (_fault > 0),
                coalesce(sum(_identifiers_dropped) FILTER (_fault = 0), 0)
            FROM taken
            GROUP BY _file_no
            """
        ).fetchall()
        for file_no, accepted, quarantined, dropped in rows:
            counts = self._of(file_no)
            counts.accepted += accepted
            counts.quarantined += quarantined
            counts.identifiers_dropped += int(dropped)
        return sum(row[1] for row in rows), sum(row[2] for row in rows)

    def _write_raw(self) -> None:
        folder = self.settings.raw / self.feed.name
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.load_id}-{self._parts:04d}.parquet"
        part = part_path(folder, name)
        columns = ", ".join(f'"{column}"' for column in self.feed.raw_columns())
        self.connection.execute(
            f"COPY (SELECT {columns} FROM taken WHERE _fault = 0) TO {literal(str(part))} (FORMAT parquet)"
        )
        self.raw_files.append(name)
        sync(part)

    def _seal(self) -> None:
        with self.vault.transaction():
            for query in self._identity_queries():
                self.vault.seal_identities(_rows(self.connection, query))
            if self.feed.name == "members":
                self.vault.seal_profiles(_rows(self.connection, self._profile_query()))
            self.vault.seal_documents(
                self.feed.name,
                self._parts,
                _rows(
                    self.connection,
                    """
                    SELECT _person, _batch_id, '[' || string_agg(_document, ',' ORDER BY _arrival) || ']'
                    FROM taken WHERE _person IS NOT NULL GROUP BY _person, _batch_id ORDER BY _person, _batch_id
                    """,
                ),
            )

    def _identity_queries(self) -> Iterator[str]:
        for column in self.feed.columns:
            plain = f"_plain_{column.name}"
            if column.pii in ("phone", "email", "token"):
                token, kind = next(iter(column.raw_columns())), f"'{kind_of(column)}'"
            elif column.pii == "member_id":
                token, kind = column.name, f"CASE WHEN contains({plain}, '@') THEN 'email' ELSE 'phone' END"
            elif column.pii == "token_list":
                token, kind = f"unnest({next(iter(column.raw_columns()))})", f"'{kind_of(column)}'"
                plain = f"unnest({plain})"
            else:
                continue
            source = f"SELECT {token} AS token, {kind} AS kind, {plain} AS plain FROM taken WHERE _fault = 0"
            # In token order: neighbouring rows go to neighbouring pages of the vault.
            yield (
                f"SELECT token, min(kind), min(plain) FROM ({source}) "
                "WHERE plain IS NOT NULL GROUP BY token ORDER BY token"
            )

    def _profile_query(self) -> str:
        batch = self.files[0]
        channel = self.channels.channels.get(batch.channel)
        zone = channel.timezone if channel else self.channels.timezone
        instant = (
            f"CASE WHEN list_contains(_local_times, 'updated_at') THEN {utc_of('updated_at', zone)} ELSE updated_at END"
        )
        return f"""
            SELECT channel, member_id, epoch_us({instant}), _arrival, _profile
            FROM taken
            WHERE _fault = 0
            QUALIFY row_number() OVER (PARTITION BY channel, member_id ORDER BY {instant} DESC, _arrival DESC) = 1
        """

    def _quarantine_writer(self) -> QuarantineWriter:
        if self._quarantine is None:
            self._quarantine = QuarantineWriter(
                self.settings.quarantine / self.feed.name, f"{self.load_id}.parquet", self.load_id, self.vault
            )
        return self._quarantine

    def _note_drift(self) -> None:
        # A name that could itself be somebody's (digits, an address) is not repeated.
        if not self.connection.execute("SELECT 1 FROM taken WHERE _unknown IS NOT NULL LIMIT 1").fetchone():
            return
        rows = self.connection.execute(
            f"""
            SELECT
                _file_no,
                CASE
                    WHEN regexp_full_match(name, '{_SAFE_NAME}') AND NOT regexp_matches(name, '{_DIGIT_RUN}') THEN name
                    ELSE '{OTHER_COLUMNS}'
                END AS shown,
                count(*)
            FROM (SELECT _file_no, unnest(_unknown) AS name FROM taken WHERE _unknown IS NOT NULL AND _broken IS NULL)
            GROUP BY ALL
            """
        ).fetchall()
        for file_no, name, count in rows:
            known = sum(1 for other, _ in self._drift if other == file_no)
            shown = name if known < MAX_DRIFT_NAMES or (file_no, name) in self._drift else OTHER_COLUMNS
            self._drift[file_no, shown] = self._drift.get((file_no, shown), 0) + count

    def _all_drift(self) -> list[Drift]:
        return [
            Drift(self.feed.name, self.files[file_no].channel, name, self.files[file_no].batch_id, rows)
            for (file_no, name), rows in sorted(self._drift.items())
        ]


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[Any]:
    cursor = connection.execute(query)
    while rows := cursor.fetchmany(5_000):
        yield from rows
