"""What the state database remembers of a person, made nobody's.

Belongs here: every table but those of deliveries (activation/withdrawals.py). Tables are looked at as the database has
them, so that a table of tomorrow is not forgotten. Does not belong here: the vault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from pipelines.activation.tables import deliveries, destination_state, payloads, withdrawals
from pipelines.audit import audit_log
from pipelines.erasure.traces import Traces
from pipelines.pulling.state import pulled_rows

_CARED_FOR = {table.name for table in (deliveries, destination_state, payloads, withdrawals, audit_log, pulled_rows)}
"""Tables of deliveries have their own rules; the audit log and what pulls remember name nobody but by keyed digests."""

_TEXTS = (sa.String, sa.Text, sa.JSON)
_ROWS = 1_000


def scrub_state(engine: sa.Engine, traces: Traces) -> int:
    """Put names that lead nowhere in the person's place wherever a text names them; the number of rows.

    A row that may not be changed so, since another has that key, is deleted.
    """
    pattern = re.compile(traces.pattern)
    changed = 0
    for table in _tables(engine):
        texts = [column for column in table.columns if isinstance(column.type, _TEXTS)]
        key = list(table.primary_key.columns)
        for row in list(_rows_with(engine, table, texts, key, pattern)):
            values = {
                column: _scrubbed(traces, row[column.name])
                for column in texts
                if row[column.name] is not None and pattern.search(_text(row[column.name]))
            }
            where = [column == row[column.name] for column in key]
            changed += 1
            try:
                with engine.begin() as transaction:
                    transaction.execute(table.update().where(*where).values(values))
            except sa.exc.IntegrityError:
                with engine.begin() as transaction:
                    transaction.execute(table.delete().where(*where))
    return changed


def compact_state(engine: sa.Engine) -> None:
    """Leave no free page or log with what was deleted. PostgreSQL's own log and backups are its administrator's."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        raw = connection.connection.driver_connection
        if engine.dialect.name == "sqlite" and raw is not None:
            if connection.in_transaction():
                connection.rollback()
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.exec_driver_sql("VACUUM")


def _tables(engine: sa.Engine) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name not in _CARED_FOR and table.primary_key.columns]


def _rows_with(
    engine: sa.Engine, table: sa.Table, texts: list[Any], key: list[Any], pattern: re.Pattern[str]
) -> Iterator[dict[str, Any]]:
    if not texts:
        return
    with engine.connect() as connection:
        columns = list(dict.fromkeys([*key, *texts]))
        for some in connection.execute(sa.select(*columns)).yield_per(_ROWS).mappings().partitions(_ROWS):
            for row in some:
                if any(row[one.name] is not None and pattern.search(_text(row[one.name])) for one in texts):
                    yield dict(row)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scrubbed(traces: Traces, value: Any) -> Any:
    return traces.scrubbed(value) if isinstance(value, str) else json.loads(traces.scrubbed(_text(value)))
