"""The runs of the job: when each started, what it covered, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipelines.state import metadata

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("job", sa.String, nullable=False),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("rows_received", sa.BigInteger, nullable=False, default=0),
    sa.Column("rows_accepted", sa.BigInteger, nullable=False, default=0),
    sa.Column("rows_quarantined", sa.BigInteger, nullable=False, default=0),
    sa.Column("snapshot_id", sa.String),
    sa.Column("error", sa.String),
)

_ARROW = pa.schema(
    [
        ("run_id", pa.string()),
        ("job", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("finished_at", pa.timestamp("us")),
        ("as_of", pa.date32()),
        ("status", pa.string()),
        ("rows_received", pa.int64()),
        ("rows_accepted", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("snapshot_id", pa.string()),
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class RowCounts:
    """Rows a run took in; accepted + quarantined = received."""

    received: int = 0
    accepted: int = 0
    quarantined: int = 0


def now() -> datetime:
    """The present instant, UTC, naive as every stored instant is."""
    return datetime.now(UTC).replace(tzinfo=None)


def start_run(engine: sa.Engine, run_id: str, job: str, as_of: date) -> None:
    """Record the start. The caller holds the writer lock, so a run still marked running was killed: say so."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.status == "running", runs.c.run_id != run_id)
            .values(status="interrupted", finished_at=now())
        )
        known = connection.execute(sa.select(runs.c.run_id).where(runs.c.run_id == run_id)).first()
        if known is None:
            connection.execute(
                sa.insert(runs).values(run_id=run_id, job=job, started_at=now(), as_of=as_of, status="running")
            )


def record_rows(engine: sa.Engine, run_id: str, counts: RowCounts) -> None:
    """What the run's ingest took in."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.run_id == run_id)
            .values(rows_received=counts.received, rows_accepted=counts.accepted, rows_quarantined=counts.quarantined)
        )


def finish_run(engine: sa.Engine, run_id: str, snapshot_id: str | None) -> None:
    """Record the success; snapshot_id is None for a run that publishes none."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.run_id == run_id)
            .values(status="success", finished_at=now(), snapshot_id=snapshot_id)
        )


def fail_run(engine: sa.Engine, run_id: str, error: str) -> None:
    """Record the failure, in one line without personal data."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(runs).where(runs.c.run_id == run_id).values(status="failed", finished_at=now(), error=error)
        )


def runs_table(engine: sa.Engine, ending: str | None = None, snapshot_id: str | None = None) -> pa.Table:
    """All runs, oldest first; the columns of marts.runs and `job`, `error`.

    ending: the run whose last act is to publish this table in `snapshot_id`; it is shown as the success it then is.
    """
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.select(runs).order_by(runs.c.started_at)).mappings()]
    for row in rows:
        if row["run_id"] == ending:
            row |= {"status": "success", "finished_at": now(), "snapshot_id": snapshot_id}
    return pa.Table.from_pylist(rows, schema=_ARROW)


def load_runs(connection: duckdb.DuckDBPyConnection, engine: sa.Engine) -> None:
    """Put the runs into the warehouse as `ops.runs`."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ops")
    connection.register("recorded_runs", runs_table(engine))
    connection.execute("CREATE OR REPLACE TABLE ops.runs AS SELECT * FROM recorded_runs")
    connection.unregister("recorded_runs")
