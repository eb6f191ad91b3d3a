"""What two homes say differently: marts, open Parquet, the state database, and what was delivered.

Belongs here: the comparison, and which columns tell one run from another. Does not belong here: killing (kill).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb

OF_A_RUN = {  # columns that tell one run from another and say nothing about the business
    "batches": {"run_id", "batch_id", "taken_at"},
    "quarantine": {"quarantine_id", "received_at", "replayed_at"},
    "drift": {"first_seen_at"},
    "waiting": {"since"},
    "activation_log": {"decided_at", "next_attempt_at", "settled_at"},
    "customer_merges": {"event_id", "at", "logged_at"},
}
RECORDS_OF_RUNS = {"runs"}

STATE = {
    "batches": "SELECT batch_seq, channel, feed, file, content_hash, rows_received, rows_accepted, rows_quarantined, "
    "identifiers_dropped, kind FROM batches",
    "feed_drift": "SELECT feed, channel, column_name, rows FROM feed_drift",
    "feed_loads": "SELECT published, count(*) FROM feed_loads GROUP BY published",
    "landing_files": "SELECT file, size, mtime_ns, content_hash FROM landing_files",
    "deliveries": "SELECT delivery_id, idempotency_key, destination, operation, customer_id, address, campaign_id, "
    "wave, version, fingerprint, subject, state, reason, attempts, decided_on, campaign_kind, liability_cents, "
    "valid_to FROM deliveries",
    "delivery_payloads": "SELECT delivery_id, payload, content FROM delivery_payloads",
    "destination_state": "SELECT * FROM destination_state",
    "campaign_plans": "SELECT campaign_id, wave, destinations, sum(decided), max(audience) FROM campaign_plans "
    "GROUP BY campaign_id, wave, destinations",
}
"""What the state database must say alike; instants and ids of runs, loads and snapshots are left out."""


def differences(one: Path, other: Path) -> list[str]:
    """What two homes say differently, in words; and what a home may not hold at all once a run has ended."""
    found = differences_of_marts(one, other) + _different_state(one, other)
    if received(one) != received(other):
        found.append("the destination received different records")
    keys = [key for key, _ in _keyed(other)]
    if len(keys) != len(set(keys)):
        found.append("a delivery stands in two files of the destination")
    found += [f"left over: {path.relative_to(other)}" for path in other.rglob("*.part*")]
    return found


def received(home: Path) -> list[tuple[str, str]]:
    """Every record in the files that were delivered, with its operation; sorted, so order of delivery is no matter."""
    outbound = home / "outbound"
    return sorted(
        (str(path.parent.relative_to(outbound)), line)
        for path in outbound.rglob("*")
        if path.is_file() and not path.name.endswith(".part")
        for line in path.read_text(encoding="utf-8-sig").splitlines()[1:]
    )


def _keyed(home: Path) -> set[tuple[str, str]]:
    """(delivery key, file) of every delivered record."""
    return {
        (line.split(",", 1)[0], str(path))
        for path in (home / "outbound").rglob("*.csv")
        for line in path.read_text(encoding="utf-8-sig").splitlines()[1:]
    }


def differences_of_marts(one: Path, other: Path) -> list[str]:
    """Differences between the published marts of two homes, and between the second's marts and its Parquet."""
    found = []
    with duckdb.connect() as connection:
        tables: dict[str, dict[str, list[str]]] = {"one": {}, "other": {}}
        for name, home in (("one", one), ("other", other)):
            connection.execute(f"ATTACH '{(home / 'lake/snapshots/current').resolve()}' AS {name} (READ_ONLY)")
        for database, table, column in connection.execute(
            "SELECT database_name, table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' "
            "AND database_name IN ('one', 'other') ORDER BY ALL"
        ).fetchall():
            tables[database].setdefault(table, []).append(column)
        if tables["one"] != tables["other"]:
            return ["the snapshots have different tables or columns"]
        for table in sorted(set(tables["one"]) - RECORDS_OF_RUNS):
            left_out = OF_A_RUN.get(table, set())
            columns = ", ".join(f'"{column}"' for column in tables["one"][table] if column not in left_out)
            parquet = f"'{other}/lake/marts/{table}/{table}.parquet'"
            for words, left, right in (
                (f"marts.{table}: {{}} rows missing", f"one.marts.{table}", f"other.marts.{table}"),
                (f"marts.{table}: {{}} rows too many", f"other.marts.{table}", f"one.marts.{table}"),
                (f"{table}.parquet: {{}} rows missing", f"other.marts.{table}", parquet),
                (f"{table}.parquet: {{}} rows too many", parquet, f"other.marts.{table}"),
            ):
                rows = connection.execute(
                    f"SELECT count(*) FROM (SELECT {columns} FROM {left} EXCEPT ALL SELECT {columns} FROM {right})"
                ).fetchall()[0][0]
                if rows:
                    found.append(words.format(rows))
    return found


def _different_state(one: Path, other: Path) -> list[str]:
    found = []
    for table, query in STATE.items():
        first, second = (_state_rows(home, query) for home in (one, other))
        if first != second:
            both = set(first) & set(second)
            sample = [row for row in [*first, *second] if row not in both][:2]
            found.append(f"state {table}: {len(first)} rows against {len(second)}, such as {sample}")
    return found


def _state_rows(home: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(home / "state.db")
    try:
        return sorted(database.execute(query).fetchall(), key=repr)
    finally:
        database.close()
