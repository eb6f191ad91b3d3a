"""Rejected rows: where they stood, why, and (sealed) what they held, so that they can be replayed.

Belongs here: the quarantine files, writing, listing and opening them. Does not belong here: validation, and replaying.
A file has one row a rejected row. Values and raw text of up to BLOCK_ROWS rows are sealed together: the block lies in
`sealed` of its first row (slot 0), so that encryption costs a call a block and no plain value reaches the disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import sqlalchemy as sa

from pipelines.feeds import ledger
from pipelines.feeds.ladder import Fault
from pipelines.feeds.ledger import Batch
from pipelines.feeds.parts import part_path, sync
from pipelines.settings import Settings
from pipelines.vault import Vault

BLOCK_ROWS = 1_000

SCHEMA = pa.schema(
    [
        ("quarantine_id", pa.string()),
        ("channel", pa.string()),
        ("feed", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column_name", pa.string()),
        ("reason", pa.string()),
        ("received_at", pa.timestamp("us")),
        ("batch_id", pa.string()),
        ("format", pa.string()),
        ("load_id", pa.string()),
        ("block", pa.int64()),
        ("slot", pa.int64()),
        ("sealed", pa.binary()),
    ]
)

LISTED = ("quarantine_id", "channel", "feed", "file", "line", "column_name", "reason", "received_at")


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row, opened. `line` and `raw` are None where the file as a whole could not be read."""

    quarantine_id: str
    channel: str
    feed: str
    file: str
    line: int | None
    column_name: str | None
    reason: str
    batch_id: str
    format: str
    raw: str | None
    value: str | None
    header_text: str | None


class QuarantineWriter:
    """Writes one quarantine file under its `.part` name."""

    def __init__(self, folder: Path, name: str, load_id: str, vault: Vault) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._name, self._load_id, self._vault = name, load_id, vault
        self._part = part_path(folder, name)
        self._writer = pyarrow.parquet.ParquetWriter(self._part, SCHEMA)
        self._blocks = 0

    def add_rows(
        self,
        connection: duckdb.DuckDBPyConnection,
        file_format: str,
        header_text: str | None,
        files: Sequence[Batch],
        judged: pa.Table,
        faults: Sequence[Fault],
    ) -> None:
        """Add the rejected rows that were judged (validate.py)."""
        connection.register("judged", judged)
        connection.register("faults", _faults_table(faults))
        connection.register("received", _received_table(files))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE rejected AS {_REJECTED}")
        connection.unregister("faults")
        connection.unregister("received")
        connection.unregister("judged")
        blocks = connection.execute(
            """
            SELECT block, CAST(to_json(list({'raw': raw, 'value': value} ORDER BY slot)) AS VARCHAR)
            FROM rejected GROUP BY block ORDER BY block
            """
        )
        header = json.dumps(header_text)
        sealed = [
            self._vault.seal_block(self._person, f'{{"header":{header},"rows":{rows}}}'.encode())
            for _, rows in iter(blocks.fetchone, None)
        ]
        rows = connection.execute("SELECT * EXCLUDE (raw, value) FROM rejected ORDER BY block, slot").to_arrow_table()
        connection.execute("DROP TABLE rejected")
        first = pa.compute.equal(rows["slot"], 0)
        positions = pa.compute.if_else(first, rows["block"], None)
        columns = {
            "format": pa.repeat(file_format, len(rows)),
            "load_id": pa.repeat(self._load_id, len(rows)),
            "sealed": pa.array(sealed, pa.binary()).take(positions.combine_chunks()),
        }
        for name, column in columns.items():
            rows = rows.append_column(name, column)
        rows = rows.set_column(
            rows.schema.get_field_index("block"), "block", pa.compute.add(rows["block"], self._blocks)
        )
        self._blocks += len(sealed)
        self._writer.write_table(rows.select(SCHEMA.names).cast(SCHEMA))

    def add_file(self, batch: Batch, reason: str) -> None:
        """Add a file that could not be read as one row without a line."""
        row = {
            "quarantine_id": f"{batch.batch_id}-file",
            "channel": batch.channel,
            "feed": batch.feed,
            "file": batch.file,
            "line": None,
            "column_name": None,
            "reason": f"the file {reason}",
            "received_at": batch.taken_at,
            "batch_id": batch.batch_id,
            "format": "file",
            "load_id": self._load_id,
            "block": None,
            "slot": None,
            "sealed": None,
        }
        self._writer.write_table(pa.Table.from_pylist([row], schema=SCHEMA))

    def close(self) -> str:
        """Make the part durable; its final name."""
        self._writer.close()
        sync(self._part)
        return self._name

    def discard(self) -> None:
        """Remove the part."""
        self._writer.close()
        self._part.unlink(missing_ok=True)

    @property
    def _person(self) -> str:
        return quarantine_person(self._load_id)


def quarantine_person(load_id: str) -> str:
    """Whose key seals a load's rejected rows."""
    return f"quarantine:{load_id}"


_REJECTED = f"""
SELECT
    judged._batch_id || '-' || judged._line AS quarantine_id,
    received.channel,
    received.feed,
    judged._file AS file,
    judged._line AS line,
    CASE
        WHEN judged._element IS NULL THEN faults.column_name
        ELSE faults.column_name || '[' || judged._element || ']' || coalesce('.' || faults.child, '')
    END AS column_name,
    coalesce(judged._broken, faults.reason) AS reason,
    received.received_at,
    judged._batch_id AS batch_id,
    (row_number() OVER (ORDER BY judged._arrival) - 1) // {BLOCK_ROWS} AS block,
    (row_number() OVER (ORDER BY judged._arrival) - 1) % {BLOCK_ROWS} AS slot,
    judged._raw AS raw,
    judged._value AS value
FROM judged
INNER JOIN faults ON judged._fault = faults.code
INNER JOIN received ON judged._file_no = received.file_no
"""


def list_quarantine(settings: Settings, engine: sa.Engine) -> pa.Table:
    """Every rejected row, columns of marts.quarantine: LISTED and replayed_at (null: not accepted yet); by arrival."""
    tables = [pyarrow.parquet.read_table(path, columns=list(LISTED)) for path in quarantine_files(settings)]
    schema = pa.schema([SCHEMA.field(name) for name in LISTED])
    rows = pa.concat_tables([schema.empty_table(), *tables])
    replayed = ledger.all_replays(engine)
    times = [replayed.get(row) for row in rows["quarantine_id"].to_pylist()] if replayed else [None] * len(rows)
    return rows.append_column("replayed_at", pa.array(times, pa.timestamp("us")))


def quarantine_files(settings: Settings, feed: str = "*") -> list[Path]:
    """Quarantine files of a feed (or all), oldest first."""
    return sorted(settings.quarantine.glob(f"{feed}/*.parquet"), key=lambda path: (path.parent.name, path.name))


def open_rejected(path: Path, vault: Vault) -> Iterator[list[RejectedRow]]:
    """The rows of a quarantine file with what they held, block by block. Raises PermanentError if it was erased."""
    with pyarrow.parquet.ParquetFile(path) as parquet:
        opened: dict[str, Any] = {}
        for batch in parquet.iter_batches(batch_size=BLOCK_ROWS):
            found = []
            for row in batch.to_pylist():
                if row["sealed"] is not None:
                    opened = json.loads(vault.open_block(quarantine_person(row["load_id"]), row["sealed"]))
                held = opened["rows"][row["slot"]] if row["slot"] is not None else {}
                found.append(
                    RejectedRow(
                        **{name: row[name] for name in (*LISTED[:-1], "batch_id", "format")},
                        raw=held.get("raw"),
                        value=held.get("value"),
                        header_text=opened.get("header") if held else None,
                    )
                )
            yield found


def _faults_table(faults: Sequence[Fault]) -> pa.Table:
    return pa.table(
        {
            "code": pa.array([fault.code for fault in faults], pa.int32()),
            "column_name": pa.array([fault.column for fault in faults], pa.string()),
            "child": pa.array([fault.child for fault in faults], pa.string()),
            "reason": pa.array([fault.reason for fault in faults], pa.string()),
        }
    )


def _received_table(files: Sequence[Batch]) -> pa.Table:
    return pa.table(
        {
            "file_no": pa.array(range(len(files)), pa.int32()),
            "channel": pa.array([batch.channel for batch in files], pa.string()),
            "feed": pa.array([batch.feed for batch in files], pa.string()),
            "received_at": pa.array([batch.taken_at for batch in files], pa.timestamp("us")),
        }
    )
