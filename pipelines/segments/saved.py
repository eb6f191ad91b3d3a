"""Saved segments and their versions, in the state database.

Belongs here: saving, listing and retiring. A version never changes; saving the same definition again is no new one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines import audit
from pipelines.errors import ConfigurationError
from pipelines.segments.definition import canonical, parse
from pipelines.settings import Settings
from pipelines.state import metadata

LONGEST_NAME = 64
_NAME = re.compile(r"[^\W_][\w-]*")

saved_segments = sa.Table(
    "saved_segments",
    metadata,
    sa.Column("name", sa.String(LONGEST_NAME), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("definition", sa.Text, comment="canonical JSON; null: retired with this version"),
    sa.Column("saved_by", sa.String(128), nullable=False),
    sa.Column("saved_at", sa.DateTime, nullable=False),
    comment="Append-only: the newest version of a name counts.",
)


@dataclass(frozen=True)
class SavedSegment:
    """One version of a segment. definition: canonical JSON."""

    name: str
    version: int
    definition: str
    saved_by: str
    saved_at: datetime

    @property
    def tree(self) -> Any:
        return parse(self.definition)


def save(
    settings: Settings, engine: sa.Engine, name: str, tree: Any, by: str, taken: Collection[str] = ()
) -> SavedSegment:
    """Save a definition that was checked; the newest version if it is the same already.

    taken: names that are segments of another kind. Raises ConfigurationError for a name that can't be one.
    """
    plain = name.strip()
    if not _NAME.fullmatch(plain) or len(plain) > LONGEST_NAME:
        raise ConfigurationError(
            f"A segment's name has letters, digits, _ and - (at most {LONGEST_NAME}, a letter or digit first); "
            f"{name[:40]!r} has others."
        )
    if plain in taken:
        raise ConfigurationError(f"{plain} is a segment of segments.yml or a lifecycle stage; choose another name.")
    definition = canonical(tree)
    with engine.begin() as transaction:
        if transaction.dialect.name == "postgresql":  # SQLite's transactions are writers from their beginning
            transaction.exec_driver_sql("LOCK TABLE saved_segments IN EXCLUSIVE MODE")
        newest = _newest(transaction, plain)
        if newest is not None and newest.definition == definition:
            return _segment(newest)
        version = 1 if newest is None else newest.version + 1
        saved = SavedSegment(plain, version, definition, by, datetime.now(UTC).replace(tzinfo=None))
        transaction.execute(saved_segments.insert().values(vars(saved)))
        head = audit.record_within(transaction, settings, by, "segment.save", f"segment:{plain}", {"version": version})
    audit.anchor(settings, engine, head)
    return saved


def retire(settings: Settings, engine: sa.Engine, name: str, by: str) -> None:
    """Take a segment out of every list; its versions stay on record. Raises ConfigurationError if there is none."""
    with engine.begin() as transaction:
        newest = _newest(transaction, name)
        if newest is None or newest.definition is None:
            raise ConfigurationError(f"There is no saved segment {name!r}; see `omnilake segments list`.")
        values = {
            "name": name, "version": newest.version + 1, "definition": None, "saved_by": by,
            "saved_at": datetime.now(UTC).replace(tzinfo=None),
        }  # fmt: skip
        transaction.execute(saved_segments.insert().values(values))
        head = audit.record_within(transaction, settings, by, "segment.retire", f"segment:{name}")
    audit.anchor(settings, engine, head)


def find(engine: sa.Engine, name: str, version: int | None = None) -> SavedSegment | None:
    """The newest version of a segment, or a certain one; None if there is none or it is retired."""
    with engine.connect().execution_options(read_only=True) as connection:
        row = _newest(connection, name, version)
    return None if row is None or row.definition is None else _segment(row)


def list_saved(engine: sa.Engine) -> list[SavedSegment]:
    """The newest version of every segment that is not retired, by name."""
    newest = sa.select(saved_segments.c.name, sa.func.max(saved_segments.c.version).label("version")).group_by(
        saved_segments.c.name
    )
    chosen = newest.subquery()
    query = (
        sa.select(saved_segments)
        .join(
            chosen,
            sa.and_(chosen.c.name == saved_segments.c.name, chosen.c.version == saved_segments.c.version),
        )
        .where(saved_segments.c.definition.is_not(None))
        .order_by(saved_segments.c.name)
    )
    with engine.connect().execution_options(read_only=True) as connection:
        return [_segment(row) for row in connection.execute(query)]


def versions(engine: sa.Engine, name: str) -> list[dict[str, Any]]:
    """Every version of a name, newest first: version, definition (null: retired), saved_by, saved_at."""
    query = sa.select(saved_segments).where(saved_segments.c.name == name).order_by(saved_segments.c.version.desc())
    with engine.connect().execution_options(read_only=True) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _segment(row: sa.Row[Any]) -> SavedSegment:
    return SavedSegment(row.name, row.version, row.definition, row.saved_by, row.saved_at)


def _newest(connection: sa.Connection, name: str, version: int | None = None) -> sa.Row[Any] | None:
    query = sa.select(saved_segments).where(saved_segments.c.name == name)
    if version is not None:
        query = query.where(saved_segments.c.version == version)
    return connection.execute(query.order_by(saved_segments.c.version.desc()).limit(1)).first()
