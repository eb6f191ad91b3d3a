"""The state database: many writers, small rows. SQLite beneath the home folder, or PostgreSQL by URL.

Belongs here: the engine, its transaction rules, and the metadata that the tables of each domain register with.
The tables themselves are declared where they are used (feeds/ledger.py, activation/outbox.py, runs.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

metadata = sa.MetaData()

CONNECT_SECONDS = 10
"""How long PostgreSQL may take to answer before the state database counts as unreachable."""


def open_state(settings: Settings) -> sa.Engine:
    """The engine, with every registered table created. Raises ConfigurationError if the database can't be reached."""
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        url = _with_driver(settings.database_url)
        if url.drivername.startswith("postgresql"):
            engine = sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS})
        else:
            engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_immediate)
        metadata.create_all(engine)
        _add_new_columns(engine)
    except ImportError as error:
        raise ConfigurationError(
            f"OMNILAKE_STATE_URL needs a driver that is not installed ({error.name}); for PostgreSQL: "
            "uv sync --extra postgres."
        ) from error
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        where = "OMNILAKE_STATE_URL" if settings.state_url else str(settings.home / "state.db")
        raise ConfigurationError(
            f"Cannot open the state database ({where}): {type(error).__name__}. Check that it is there, reachable and "
            "ours to write."
        ) from error
    return engine


def _add_new_columns(engine: sa.Engine) -> None:
    """A database that an earlier version made gets the columns that its tables have had since, all nullable."""
    present = sa.inspect(engine)
    for table in metadata.sorted_tables:
        names = {column["name"] for column in present.get_columns(table.name)}
        missing = [column for column in table.columns if column.name not in names]
        for column in missing:
            kind = column.type.compile(engine.dialect)
            with engine.begin() as transaction:
                transaction.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")


@contextmanager
def state(settings: Settings) -> Iterator[sa.Engine]:
    """`open_state`, disposed at the end."""
    engine = open_state(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def _with_driver(url: str) -> sa.URL:
    """The URL as hosts give it out, postgres:// or postgresql://, with the driver of our extra."""
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN IMMEDIATE below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "secure_delete=ON", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    # A deferred transaction that upgrades to a writer fails with "database is locked" whatever the time-out is; one
    # that says that it only reads (execution option read_only) never waits for a writer.
    is_reader = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")
