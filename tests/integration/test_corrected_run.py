"""A correction and its undoing through the whole job: what was published before is published again, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipelines.simulation import simulate
from tests.integration.conftest import AS_OF, Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # three whole jobs

OF_RUNS = {"runs", "batches", "customer_merges", "activation_log", "quarantine", "drift", "waiting", "model_versions"}
"""Books of what ran and what was done: they rightly tell of the correction and its undoing."""


def published(home: Home) -> dict[str, list[tuple[object, ...]]]:
    path = Path(home.path / "lake" / "snapshots" / "current").resolve()
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        return {
            name: connection.execute(f"select * from marts.{name} order by all").fetchall()
            for (name,) in names
            if name not in OF_RUNS
        }


def rows(home: Home, sql: str) -> list[dict[str, object]]:
    done = home.omnilake("query", sql, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def own_home(make_home: Callable[[str], Home]) -> Home:
    made = make_home("corrected")
    simulate(made.landing, made.truth, 150, 40, 5, None, date.fromisoformat(AS_OF))
    done = made.run("--no-activate")
    assert done.returncode == 0, done.stderr
    return made


def test_merge_then_undo_restores_every_mart_bit_for_bit(own_home: Home) -> None:
    before = published(own_home)
    one, other = (
        row["customer_id"]
        for row in rows(own_home, "select customer_id from marts.customers where n_members > 0 order by 1 limit 2")
    )
    merged = own_home.omnilake("identity", "merge", one, other, "--why", "told us at the till")
    assert merged.returncode == 0, merged.stderr
    assert own_home.run("--no-activate").returncode == 0
    assert published(own_home)["customers"] != before["customers"]
    (event,) = rows(own_home, "select kind, cause from marts.customer_merges where cause like 'merge by%'")
    assert event["kind"] == "merge"

    assert own_home.omnilake("identity", "undo", "r1").returncode == 0
    assert own_home.run("--no-activate").returncode == 0
    after = published(own_home)
    assert {name for name in before if before[name] != after[name]} == set()
    assert "undone by" in str(rows(own_home, 'select cause from marts.customer_merges order by "at" desc limit 1'))


def test_wrong_usage_exits_2_and_what_cannot_be_exits_1_in_one_line(own_home: Home) -> None:
    (known,) = rows(own_home, "select customer_id from marts.customers order by 1 limit 1")
    customer = known["customer_id"]
    for arguments, code in (
        (("split", "no-slash", "--from", customer), 2),
        (("split", "app/nobody", "--from", customer), 1),
        (("merge", customer, customer), 2),
        (("merge", customer, "c0"), 1),
        (("block", "phone", "12"), 2),
        (("block", "wechat_openid", "o1"), 2),
        (("undo", "r99"), 1),
        (("split",), 2),
    ):
        done = own_home.omnilake("identity", *arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    listed = own_home.omnilake("identity", "rules", "--json")
    assert all(rule["made_by"] for rule in json.loads(listed.stdout))
