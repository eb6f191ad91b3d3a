"""Marketers' exports of segments: who is in, with which columns, for what purpose.

Belongs here: the list of segments, the export itself, the hashing of contacts, and the log of exports. Does not belong
here: the catalogue of columns (export_fields) and the file formats (export_files).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipelines.activation.export_fields import DEFAULT, PERSONAL, check_fields, make_query
from pipelines.activation.export_files import WRITERS, XLSX_ROWS, open_writer
from pipelines.errors import ConfigurationError
from pipelines.feeds.identifiers import issue_of, normalise
from pipelines.published import Published, read_published
from pipelines.settings import Settings
from pipelines.state import metadata
from pipelines.warehouse import connect, current_snapshot, open_snapshot

Reveal = Callable[[list[tuple[str, str]]], pa.Table]
"""From (channel, member_id) pairs to their name, phone and email, columns channel, member_id, name, phone, email."""

HASHES = ("sha256",)
_BATCH = 20_000

export_log = sa.Table(
    "export_log",
    metadata,
    sa.Column("export_id", sa.String(32), primary_key=True),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("segment", sa.String(128), nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("format", sa.String(16), nullable=False),
    sa.Column("hash_algorithm", sa.String(16)),
    sa.Column("purpose", sa.Text),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("rows_written", sa.Integer),
    sa.Column("snapshot_id", sa.String(128), nullable=False),
    comment="Who exported what and why; written before the first value is revealed, completed at the end.",
)


@dataclass(frozen=True)
class ExportReceipt:
    """What was written."""

    export_id: str
    path: Path
    rows: int
    fields: tuple[str, ...]
    snapshot_id: str

    def words(self) -> str:
        """One line for the person who asked."""
        return f"{self.rows} customers of snapshot {self.snapshot_id} written to {self.path}"


def list_segments(connection: duckdb.DuckDBPyConnection, language: str = "en") -> list[dict[str, Any]]:
    """Every segment: name, customers (their number), definition (in `language`, zh or en; null if none is stored).

    Segments that are defined and have no members are listed with 0.
    """
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts'"
        ).fetchall()
    }
    if language not in ("zh", "en"):
        raise ConfigurationError(f"There are no definitions in {language!r}; choose zh or en.")
    counted = (
        "SELECT segment, count(DISTINCT customer_id) AS customers FROM marts.segment_members GROUP BY segment"
        if "segment_members" in tables
        else "SELECT NULL::VARCHAR AS segment, 0 AS customers WHERE false"
    )
    defined = (
        f"SELECT segment, position, definition_{language} AS definition FROM marts.segments"
        if "segments" in tables
        else "SELECT NULL::VARCHAR AS segment, 0 AS position, NULL::VARCHAR AS definition WHERE false"
    )
    rows = connection.execute(
        f"""
        WITH counted AS ({counted}),

        defined AS ({defined})

        SELECT
            coalesce(defined.segment, counted.segment) AS name,
            coalesce(counted.customers, 0) AS customers,
            defined.definition
        FROM defined
        FULL JOIN counted ON defined.segment = counted.segment
        ORDER BY defined.position NULLS LAST, name
        """
    ).fetchall()
    return [{"name": name, "customers": customers, "definition": definition} for name, customers, definition in rows]


def export_segment(
    settings: Settings,
    engine: sa.Engine,
    name: str,
    form: str,
    out: Path,
    fields: tuple[str, ...] | None = None,
    hash_algorithm: str | None = None,
    purpose: str | None = None,
    reveal: Reveal | None = None,
    actor: str = "cli",
) -> ExportReceipt:
    """Write the customers of a segment, one row each by customer_id, to `out`; memory stays bounded.

    fields: see export_fields. name, phone and email need a purpose and `reveal`; of several memberships the last seen
    that has a usable value counts, and it is written in its normal form. hash_algorithm: hashes that form, as ad
    platforms match it.

    Raises ConfigurationError for a wrong segment, field, format or folder, naming the valid values.
    """
    chosen = DEFAULT if fields is None else fields
    with open_snapshot(settings) as connection:
        published = read_published(connection, current_snapshot(settings).stem)
        if fields is None:
            chosen = tuple(field for field in DEFAULT if field != "tags" or "customer_tags" in published.tables)
        personal = tuple(field for field in chosen if field in PERSONAL)
        check_fields(chosen, published.tables)
        _check_request(connection, name, form, out, personal, hash_algorithm, purpose, reveal)
        export_id = _start_log(
            engine, published, actor=actor, segment=name, fields=",".join(chosen), format=form,
            hash_algorithm=hash_algorithm, purpose=purpose, file=str(out),
        )  # fmt: skip
        rows = 0
        batches = _batches(settings, connection, published, name, chosen, personal, hash_algorithm, reveal)
        first = next(batches)
        with open_writer(form, out, first.schema, private=bool(personal)) as writer:
            while first is not None:
                writer.write(first)
                rows += first.num_rows
                first = next(batches, None)
    with engine.begin() as transaction:
        transaction.execute(
            export_log.update()
            .where(export_log.c.export_id == export_id)
            .values(finished_at=_utc_now(), rows_written=rows)
        )
    return ExportReceipt(export_id, out, rows, chosen, published.snapshot_id)


def _check_request(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    form: str,
    out: Path,
    personal: tuple[str, ...],
    hash_algorithm: str | None,
    purpose: str | None,
    reveal: Reveal | None,
) -> None:
    if form not in WRITERS:
        raise ConfigurationError(f"--format is {form!r}; choose one of: {', '.join(WRITERS)}.")
    if out.is_dir():
        raise ConfigurationError(f"--out {out} is a folder; name a file.")
    customers = {segment["name"]: segment["customers"] for segment in list_segments(connection)}
    if name not in customers:
        raise ConfigurationError(f"There is no segment {name!r}; choose one of: {', '.join(customers) or 'none yet'}.")
    if form == "xlsx" and customers[name] >= XLSX_ROWS:
        raise ConfigurationError(
            f"Segment {name!r} has {customers[name]} customers, more than the {XLSX_ROWS - 1} of an XLSX sheet; "
            "choose --format csv or parquet."
        )
    if hash_algorithm is not None and hash_algorithm not in HASHES:
        raise ConfigurationError(f"--hash is {hash_algorithm!r}; choose one of: {', '.join(HASHES)}.")
    if hash_algorithm is not None and not personal:
        raise ConfigurationError(
            f"--hash hashes {', '.join(PERSONAL)}, and --fields asks for none of them; add one or leave --hash out."
        )
    if personal and not (purpose or "").strip():
        raise ConfigurationError(
            f"--fields asks for personal data ({', '.join(personal)}); say why with --purpose, it is logged."
        )
    if personal and reveal is None:
        raise ConfigurationError(f"{', '.join(personal)} can't be exported: the vault of this home can't be opened.")


def _start_log(engine: sa.Engine, published: Published, **values: Any) -> str:
    export_id = uuid.uuid4().hex
    with engine.begin() as transaction:
        transaction.execute(
            export_log.insert().values(
                export_id=export_id, started_at=_utc_now(), snapshot_id=published.snapshot_id, **values
            )
        )
    return export_id


def _batches(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    published: Published,
    name: str,
    fields: tuple[str, ...],
    personal: tuple[str, ...],
    hash_algorithm: str | None,
    reveal: Reveal | None,
) -> Iterator[pa.Table]:
    """Tables of exactly `fields`; at least one, so that an empty segment has a header."""
    query = make_query(fields)
    parameters: dict[str, Any] = {"segment": name}
    if "$as_of" in query:
        parameters["as_of"] = published.as_of
    reader = connection.execute(query, parameters).to_arrow_reader(_BATCH)
    with connect(settings) as scratch:
        empty = True
        for batch in reader:
            if batch.num_rows:
                empty = False
                table = pa.Table.from_batches([batch])
                yield _complete(scratch, table, fields, personal, hash_algorithm, reveal)
        if empty:
            yield _complete(scratch, reader.schema.empty_table(), fields, personal, hash_algorithm, reveal)


def _complete(
    scratch: duckdb.DuckDBPyConnection,
    batch: pa.Table,
    fields: tuple[str, ...],
    personal: tuple[str, ...],
    hash_algorithm: str | None,
    reveal: Reveal | None,
) -> pa.Table:
    if not personal or reveal is None:
        return batch.select(list(fields))
    scratch.register("batch", batch)
    scratch.execute(
        """
        CREATE OR REPLACE TEMP TABLE memberships AS
        WITH numbered AS (
            SELECT _customer_id, members, unnest(range(1, len(members) + 1)) AS place FROM batch
        )

        SELECT
            _customer_id AS customer_id,
            place,
            members[place].channel AS channel,
            members[place].member_id AS member_id
        FROM numbered
        """
    )
    pairs = scratch.execute("SELECT channel, member_id FROM memberships ORDER BY ALL").fetchall()
    form = normal_contact if hash_algorithm is None else hash_contact
    revealed = reveal(pairs).select(["channel", "member_id", *PERSONAL])
    for kind in PERSONAL:
        values = pa.array([form(kind, value) for value in revealed[kind].to_pylist()], pa.string())
        revealed = revealed.set_column(revealed.schema.get_field_index(kind), kind, values)
    scratch.register("revealed", revealed)
    contacts = scratch.execute(
        """
        SELECT
            memberships.customer_id,
            arg_min(revealed.name, memberships.place) FILTER (WHERE revealed.name IS NOT NULL) AS name,
            arg_min(revealed.phone, memberships.place) FILTER (WHERE revealed.phone IS NOT NULL) AS phone,
            arg_min(revealed.email, memberships.place) FILTER (WHERE revealed.email IS NOT NULL) AS email
        FROM memberships
        INNER JOIN revealed
            ON memberships.channel = revealed.channel AND memberships.member_id = revealed.member_id
        GROUP BY memberships.customer_id
        """
    ).to_arrow_table()
    scratch.register("contacts", contacts)
    columns = ", ".join(f"contacts.{field}" if field in PERSONAL else f'batch."{field}"' for field in fields)
    completed = scratch.execute(
        f"""
        SELECT {columns}
        FROM batch
        LEFT JOIN contacts ON batch._customer_id = contacts.customer_id
        ORDER BY batch._customer_id
        """
    ).to_arrow_table()
    for view in ("batch", "revealed", "contacts"):
        scratch.unregister(view)
    return completed


def normal_contact(kind: str, value: str | None) -> str | None:
    """What can be used of a phone (E.164), an e-mail (lower case) or a name: None for what is masked, invalid or a
    placeholder. Names stay as they were written.
    """
    if value is None or issue_of(kind, value) is not None:
        return None
    return value if kind == "name" else normalise(kind, value)


def hash_contact(kind: str, value: str | None) -> str | None:
    """SHA-256 (hex) of the normal form that identity works with too; None where there is none."""
    usable = normal_contact(kind, value)
    normal = None if usable is None else normalise(kind, usable)
    return None if normal is None else hashlib.sha256(normal.encode("utf-8")).hexdigest()


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
