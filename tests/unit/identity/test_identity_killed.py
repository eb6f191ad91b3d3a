"""A run that is killed at any statement leaves the old state, and the next run does the whole work."""

import subprocess
import sys

import duckdb
import pytest

KILLED = """
import os, signal, sys
import duckdb
from pathlib import Path
from pipelines.identity import resolve
from pipelines.settings import Settings

class Doomed:
    def __init__(self, connection, statements):
        self.connection, self.left = connection, statements

    def execute(self, *arguments):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.connection.execute(*arguments)

    def __getattr__(self, name):
        return getattr(self.connection, name)

home, database, statements = sys.argv[1:]
resolve(Doomed(duckdb.connect(database), int(statements)), Settings(home=Path(home)))
"""
TABLES = ("identities", "order_customers", "merges", "value_owners")


def everything(connection):
    """Without the instants at which events were logged: they tell one run from another."""
    left_out = {"merges": "exclude (logged_at)"}
    return {
        table: connection.execute(f"select * {left_out.get(table, '')} from identity.{table} order by all").fetchall()
        for table in TABLES
    }


@pytest.mark.parametrize("statements", [8, 45, 75])
def test_a_killed_run_leaves_the_old_state_and_the_next_run_completes_it(new_lake, tmp_path, statements):
    database = tmp_path / "warehouse.duckdb"
    lake = new_lake(tmp_path, database)
    lake.member("a", phone="1")
    lake.member("b", phone="2")
    lake.order("o", guest_phone="2")
    lake.resolve()
    before = everything(lake.connection)
    lake.member("b", at=3, phone="1")
    lake.staff("s", "2")
    lake.connection.close()
    undisturbed = tmp_path / "undisturbed.duckdb"
    undisturbed.write_bytes(database.read_bytes())

    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, database, str(statements)], check=False)
    assert done.returncode == -9
    with duckdb.connect(str(database)) as connection:
        assert everything(connection) == before

    states = []
    for path in (database, undisturbed):
        lake.connection = duckdb.connect(str(path))
        assert lake.resolve().merges == 1
        states.append(everything(lake.connection))
        lake.connection.close()
    assert states[0] == states[1] != before
