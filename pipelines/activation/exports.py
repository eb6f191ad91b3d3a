"""Marketers' exports of segments: who is in, with which columns, for what purpose.

Belongs here: the list of segments, the checks of a request, and the export itself. Does not belong here: the catalogue
of columns (export_fields), contacts (export_contacts), file formats (export_files) and the record (export_log).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipelines.activation import export_log
from pipelines.activation.export_contacts import HASHES, Reveal, with_contacts
from pipelines.activation.export_fields import DEFAULT, PERSONAL, check_fields, make_query
from pipelines.activation.export_files import WRITERS, open_writer
from pipelines.activation.export_log import ExportReceipt
from pipelines.errors import ConfigurationError
from pipelines.published import Published, read_published
from pipelines.segments.compiler import Compiled
from pipelines.segments.published import compile_tree
from pipelines.segments.saved import SavedSegment, find, list_saved
from pipelines.settings import Settings
from pipelines.warehouse import connect, current_snapshot, open_snapshot

_BATCH = 20_000


def list_segments(
    connection: duckdb.DuckDBPyConnection, language: str = "en", saved: Sequence[SavedSegment] = ()
) -> list[dict[str, Any]]:
    """Every segment: name, customers (their number), definition (in `language`, zh or en; null if none is stored).

    Segments that are defined and have no members are listed with 0. saved: what people built, counted now, whether
    it is published already or not; customers is null where the definition no longer fits the marts.
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
    own = {segment.name: segment for segment in saved}
    listed = [
        {"name": name, "customers": customers, "definition": definition}
        for name, customers, definition in rows
        if name not in own
    ]
    return listed + [_counted(connection, segment) for segment in own.values()]


def _counted(connection: duckdb.DuckDBPyConnection, segment: SavedSegment) -> dict[str, Any]:
    published = read_published(connection, "")
    try:
        compiled = compile_tree(connection, segment.tree, published.as_of)
        counted = connection.execute(f"SELECT count(*) FROM ({compiled.sql})", compiled.parameters).fetchone()
    except (ConfigurationError, duckdb.Error):
        counted = None
    definition = f"v{segment.version} {segment.definition}"
    return {"name": segment.name, "customers": counted[0] if counted else None, "definition": definition}


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
    stores: tuple[str, ...] | None = None,
    schedule_key: str | None = None,
) -> ExportReceipt:
    """Write the customers of a segment, one row each by customer_id, to `out`; memory stays bounded.

    fields: see export_fields. name, phone and email need a purpose and `reveal`; of several memberships the one that
    the golden record names counts, and the value is written in its normal form. hash_algorithm: hashes that form, as
    ad platforms match it. stores: only customers at home there. The same request on the same snapshot gives the same
    bytes, whoever asks. A receipt lies beside the file.

    Raises ConfigurationError for a wrong segment, field, format or folder, naming the valid values.
    """
    chosen = DEFAULT if fields is None else fields
    with open_snapshot(settings) as connection:
        published = read_published(connection, current_snapshot(settings).stem)
        if fields is None:
            chosen = tuple(field for field in DEFAULT if field != "tags" or "customer_tags" in published.tables)
        personal = tuple(field for field in chosen if field in PERSONAL)
        check_fields(chosen, published.tables)
        saved = find(engine, name)
        version = _definition_version(connection, engine, name, saved)
        _check_request(form, out, personal, hash_algorithm, purpose, reveal)
        members = None if saved is None else compile_tree(connection, saved.tree, published.as_of)
        asked: dict[str, Any] = {
            "actor": actor, "segment": name, "format": form, "hash_algorithm": hash_algorithm, "purpose": purpose,
        }  # fmt: skip
        export_id, started_at = export_log.start(
            settings,
            engine,
            asked
            | {
                "fields": ",".join(chosen),
                "file": str(out),
                "snapshot_id": published.snapshot_id,
                "definition_version": version,
                "stores": None if stores is None else ",".join(stores),
                "schedule_key": schedule_key,
            },
        )
        rows = 0
        reader = _read(connection, published, name, chosen, members, stores)
        batches = _batches(settings, reader, chosen, personal, hash_algorithm, reveal)
        first = next(batches)
        with open_writer(form, out, first.schema, private=bool(personal)) as writer:
            while first is not None:
                writer.write(first)
                rows += first.num_rows
                first = next(batches, None)
    receipt = ExportReceipt(
        export_id=export_id, path=out, rows=rows, fields=chosen, snapshot_id=published.snapshot_id,
        definition_version=version, as_of=published.as_of, stores=stores, started_at=started_at,
        finished_at=export_log.utc_now(), sha256=export_log.digest(out), bytes=out.stat().st_size, **asked,
    )  # fmt: skip
    export_log.finish(settings, engine, receipt)
    return receipt


def _definition_version(
    connection: duckdb.DuckDBPyConnection, engine: sa.Engine, name: str, saved: SavedSegment | None
) -> str:
    """`v3` of a saved segment; of the others a digest of their definition's words."""
    if saved is not None:
        return f"v{saved.version}"
    listed = {segment["name"]: segment["definition"] for segment in list_segments(connection)}
    if name not in listed:
        valid = [*listed, *(segment.name for segment in list_saved(engine))]
        raise ConfigurationError(f"There is no segment {name!r}; choose one of: {', '.join(valid) or 'none yet'}.")
    return hashlib.sha256((listed[name] or "").encode()).hexdigest()[:12]


def _check_request(
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


def _read(
    connection: duckdb.DuckDBPyConnection,
    published: Published,
    name: str,
    fields: tuple[str, ...],
    members: Compiled | None,
    stores: tuple[str, ...] | None,
) -> pa.RecordBatchReader:
    query = make_query(fields, published.tables, None if members is None else members.sql, by_store=stores is not None)
    parameters: dict[str, Any] = {"segment": name} if members is None else dict(members.parameters)
    if stores is not None:
        parameters["stores"] = list(stores)
    if "$as_of" in query:
        parameters["as_of"] = published.as_of
    return connection.execute(query, parameters).to_arrow_reader(_BATCH)


def _batches(
    settings: Settings,
    reader: pa.RecordBatchReader,
    fields: tuple[str, ...],
    personal: tuple[str, ...],
    hash_algorithm: str | None,
    reveal: Reveal | None,
) -> Iterator[pa.Table]:
    """Tables of exactly `fields`; at least one, so that an empty segment has a header."""
    with connect(settings) as scratch:
        empty = True
        for batch in reader:
            if batch.num_rows:
                empty = False
                table = pa.Table.from_batches([batch])
                yield with_contacts(scratch, table, fields, personal, hash_algorithm, reveal)
        if empty:
            yield with_contacts(scratch, reader.schema.empty_table(), fields, personal, hash_algorithm, reveal)
