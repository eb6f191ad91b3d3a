"""The record of exports: who took what, why, and the receipt that lies beside each file.

Belongs here: the table, its entries, the receipt. Every export is in the audit log as well. Does not belong here:
writing the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines import audit
from pipelines.settings import Settings
from pipelines.state import metadata

_CHUNK = 1 << 20

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
    sa.Column("definition_version", sa.String(64)),
    sa.Column("stores", sa.Text, comment="the store manager's, whose customers alone are in the file"),
    sa.Column("schedule_key", sa.String(200), comment="schedule and period; a period is exported once"),
    sa.Column("sha256", sa.String(64)),
    sa.Column("bytes", sa.BigInteger),
    comment="Who exported what and why; written before the first value is revealed, completed at the end.",
)


@dataclass(frozen=True)
class ExportReceipt:
    """What was written, and for whom. sha256: of the file's bytes."""

    export_id: str
    path: Path
    rows: int
    fields: tuple[str, ...]
    snapshot_id: str
    segment: str
    definition_version: str
    as_of: date
    format: str
    hash_algorithm: str | None
    purpose: str | None
    actor: str
    stores: tuple[str, ...] | None
    started_at: datetime
    finished_at: datetime
    sha256: str
    bytes: int

    def words(self) -> str:
        """One line for the person who asked."""
        return f"{self.rows} customers of snapshot {self.snapshot_id} written to {self.path}"

    @property
    def receipt_path(self) -> Path:
        return receipt_path(self.path)


def receipt_path(path: Path) -> Path:
    """Where the receipt of an exported file lies: beside it."""
    return path.with_name(f"{path.name}.receipt.json")


def start(settings: Settings, engine: sa.Engine, values: dict[str, Any]) -> tuple[str, datetime]:
    """Note an export before its first value is revealed; its id and the start."""
    export_id, started_at = uuid.uuid4().hex, utc_now()
    values = values | {"purpose": None if values["purpose"] is None else audit.masked(values["purpose"])}
    with engine.begin() as transaction:
        transaction.execute(export_log.insert().values(export_id=export_id, started_at=started_at, **values))
        details = {name: values[name] for name in ("fields", "format", "hash_algorithm", "purpose", "stores")}
        head = audit.record_within(
            transaction, settings, values["actor"], "export.start", f"segment:{values['segment']}",
            details | {"export": export_id},
        )  # fmt: skip
    audit.anchor(settings, engine, head)
    return export_id, started_at


def finish(settings: Settings, engine: sa.Engine, receipt: ExportReceipt) -> None:
    """Write the receipt beside the file, then complete the entry."""
    _write(receipt)
    with engine.begin() as transaction:
        transaction.execute(
            export_log.update()
            .where(export_log.c.export_id == receipt.export_id)
            .values(
                finished_at=receipt.finished_at, rows_written=receipt.rows, sha256=receipt.sha256, bytes=receipt.bytes
            )
        )
        head = audit.record_within(
            transaction, settings, receipt.actor, "export.finish", f"segment:{receipt.segment}",
            {"export": receipt.export_id, "rows": receipt.rows, "sha256": receipt.sha256},
        )  # fmt: skip
    audit.anchor(settings, engine, head)


def list_exports(engine: sa.Engine, actor: str | None = None, limit: int = 200) -> list[dict[str, Any]]:
    """The newest exports first, as the table has them; actor: only theirs."""
    query = sa.select(export_log).order_by(export_log.c.started_at.desc(), export_log.c.export_id).limit(limit)
    if actor is not None:
        query = query.where(export_log.c.actor == actor)
    with engine.connect().execution_options(read_only=True) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def find_export(engine: sa.Engine, export_id: str) -> dict[str, Any] | None:
    """A finished export by its id."""
    query = sa.select(export_log).where(export_log.c.export_id == export_id, export_log.c.finished_at.is_not(None))
    with engine.connect().execution_options(read_only=True) as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def is_done(engine: sa.Engine, schedule_key: str) -> bool:
    """Whether a schedule's export of a period was finished."""
    query = sa.select(export_log.c.export_id).where(
        export_log.c.schedule_key == schedule_key, export_log.c.finished_at.is_not(None)
    )
    with engine.connect().execution_options(read_only=True) as connection:
        return connection.execute(query.limit(1)).first() is not None


def digest(path: Path) -> str:
    """SHA-256 of a file, in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()


def _write(receipt: ExportReceipt) -> None:
    content = {
        "export_id": receipt.export_id,
        "file": receipt.path.name,
        "sha256": receipt.sha256,
        "bytes": receipt.bytes,
        "customers": receipt.rows,
        "segment": receipt.segment,
        "definition_version": receipt.definition_version,
        "snapshot_id": receipt.snapshot_id,
        "as_of": receipt.as_of.isoformat(),
        "fields": list(receipt.fields),
        "format": receipt.format,
        "hash": receipt.hash_algorithm,
        "stores": None if receipt.stores is None else list(receipt.stores),
        "exported_by": receipt.actor,
        "purpose": None if receipt.purpose is None else audit.masked(receipt.purpose),
        "started_at": f"{receipt.started_at.isoformat()}Z",
        "finished_at": f"{receipt.finished_at.isoformat()}Z",
    }
    final = receipt.receipt_path
    part = final.with_name(f"{final.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(final)


def utc_now() -> datetime:
    """Now, as the state database keeps instants: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
