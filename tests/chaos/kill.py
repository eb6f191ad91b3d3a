"""Kill the nightly job at spread-out instants, run it again, and compare with an undisturbed run.

`python -m tests.chaos.kill [--kills 20]` prints a line a kill and exits 1 at the first difference.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

AS_OF = "2026-06-30"
OF_A_RUN = {  # columns that tell one run from another and say nothing about the business
    "batches": {"run_id", "batch_id", "taken_at"},
    "quarantine": {"quarantine_id", "received_at", "replayed_at"},
    "drift": {"first_seen_at"},
    "activation_log": {"decided_at", "attempts"},
    "customer_merges": {"event_id", "at"},
}
RECORDS_OF_RUNS = {"runs"}


@dataclass(frozen=True)
class Job:
    """The nightly job on one landing folder, with keys of its own."""

    landing: Path
    environment: dict[str, str]

    def start(self, home: Path) -> subprocess.Popen[bytes]:
        """A run in a process group of its own."""
        command = [Path(sys.executable).parent / "omnilake", "--home", home, "run", "--landing", self.landing,
                   "--as-of", AS_OF]  # fmt: skip
        log = (home.parent / f"{home.name}.log").open("ab")
        return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def finish(self, home: Path) -> float:
        """Run to the end; seconds taken. Raises RuntimeError with the run's own words if it fails."""
        began = time.monotonic()
        if self.start(home).wait() != 0:
            raise RuntimeError((home.parent / f"{home.name}.log").read_text()[-2000:])
        return time.monotonic() - began

    def kill_after(self, home: Path, seconds: float) -> bool:
        """SIGKILL the run and its children after that time; False if it had ended by itself."""
        process = self.start(home)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        return False


def make_job(folder: Path, customers: int, days: int) -> Job:
    """A small simulated retailer beneath `folder`."""
    from pipelines.simulation import simulate

    landing = folder / "landing"
    simulate(landing, None, customers, days, 11)
    keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("OMNILAKE_TOKEN_KEY", "OMNILAKE_VAULT_KEY")}
    return Job(landing, os.environ | keys)


def differences(one: Path, other: Path) -> list[str]:
    """What two homes say differently: marts row by row, and the records that the destination received."""
    found = []
    with duckdb.connect() as connection:
        for name, home in (("one", one), ("other", other)):
            connection.execute(f"ATTACH '{(home / 'lake/snapshots/current').resolve()}' AS {name} (READ_ONLY)")
        tables: dict[str, dict[str, list[str]]] = {"one": {}, "other": {}}
        for database, table, column in connection.execute(
            "SELECT database_name, table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' "
            "AND database_name IN ('one', 'other') ORDER BY ALL"
        ).fetchall():
            tables[database].setdefault(table, []).append(column)
        if tables["one"] != tables["other"]:
            found.append("the snapshots have different tables or columns")
        for table in sorted(set(tables["one"]) - RECORDS_OF_RUNS):
            left_out = OF_A_RUN.get(table, set())
            columns = ", ".join(f'"{column}"' for column in tables["one"][table] if column not in left_out)
            for left, right in (("one", "other"), ("other", "one")):
                rows = connection.execute(
                    f"SELECT count(*) FROM (SELECT {columns} FROM {left}.marts.{table} "
                    f"EXCEPT ALL SELECT {columns} FROM {right}.marts.{table})"
                ).fetchall()[0][0]
                if rows:
                    found.append(f"marts.{table}: {rows} rows only in {left}")
    if received(one) != received(other):
        found.append("the destination received different records")
    return found


def received(home: Path) -> list[tuple[str, str]]:
    """Every record in the files that were delivered, with its operation; sorted, so order of delivery is no matter."""
    outbound = home / "outbound"
    return sorted(
        (str(path.parent.relative_to(outbound)), line)
        for path in outbound.rglob("*")
        if path.is_file() and not path.name.endswith(".part")
        for line in path.read_text(encoding="utf-8-sig").splitlines()
    )


def kill_and_compare(folder: Path, kills: int, customers: int, days: int) -> list[str]:
    """The whole experiment; the differences found, each with its instant."""
    job = make_job(folder, customers, days)
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    seconds = job.finish(undisturbed)
    print(f"undisturbed: {seconds:.1f} s, {len(received(undisturbed))} records received", flush=True)
    found = []
    for kill in range(1, kills + 1):
        instant = seconds * kill / (kills + 1)
        home = folder / f"killed-{kill:02d}"
        home.mkdir()
        killed = job.kill_after(home, instant)
        job.finish(home)
        different = differences(undisturbed, home)
        words = "; ".join(different) or "equal"
        print(f"kill {kill:2d} at {instant:5.1f} s: {'killed' if killed else 'had ended'}, then {words}", flush=True)
        found += [f"at {instant:.1f} s: {difference}" for difference in different]
        shutil.rmtree(home)
    return found


def main() -> None:
    """The command of `make chaos`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--days", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_compare(Path(folder), arguments.kills, arguments.customers, arguments.days)
    print(f"{arguments.kills} kills, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
