"""The whole job on the simulated retailer, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from pipelines.marts_contract import MARTS
from tests.chaos.compare import received
from tests.integration.conftest import Home

pytestmark = pytest.mark.xdist_group("nightly")


def snapshot(home: Home) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str((home.path / "lake/snapshots/current").resolve()), read_only=True)


def test_every_mart_of_the_contract_is_published_and_filled(home: Home) -> None:
    may_be_empty = {"customer_merges", "model_calibration"}  # a simple rule that won has nothing to calibrate
    with snapshot(home) as connection:
        counts = {name: connection.execute(f"select count(*) from marts.{name}").fetchall()[0][0] for name in MARTS}
    assert {name for name, rows in counts.items() if rows == 0} <= may_be_empty


def test_the_open_parquet_of_each_mart_equals_the_snapshot(home: Home) -> None:
    with snapshot(home) as connection:
        for name in MARTS:
            parquet = home.path / "lake/marts" / name / f"{name}.parquet"
            rows = connection.execute(
                f"select count(*) from (from marts.{name} except all from '{parquet}')"
            ).fetchall()[0][0]
            assert rows == 0, name


def test_everything_reconciles(home: Home) -> None:
    done = home.omnilake("reconcile", "--json")
    checks = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {check["name"].split("/")[0] for check in checks} >= {"marts"}
    assert [check for check in checks if not check["ok"]] == []


def test_exactly_the_rows_that_were_spoilt_are_quarantined(home: Home) -> None:
    with snapshot(home) as connection:
        spoilt = connection.execute(
            f"select file, sum(rows)::int from '{home.truth}/bad_rows.parquet' group by file order by file"
        ).fetchall()
        quarantined = connection.execute(  # of a file delivered twice, either copy may come first
            "select replace(file, '-again.', '.') as file, count(*)::int from marts.quarantine group by all order by 1"
        ).fetchall()
    assert quarantined == spoilt
    assert len(spoilt) > 5


def test_identity_finds_the_persons_of_the_truth(home: Home) -> None:
    """Members that share a value of their own are one customer, and strangers are not (test_identity_truth has the
    bounds of larger retailers)."""
    with snapshot(home) as connection:
        connection.execute(f"create temp table truth as from '{home.truth}/persons.parquet'")
        ((precision, recall),) = connection.execute(
            """
            with found as (
              select truth.person_id, truth.component, identities.customer_id, identities.channel, identities.identity
              from truth
              join marts.customer_identities as identities
                on identities.kind = 'member' and identities.channel = truth.channel
                and identities.identity = truth.member_id
            ), pairs as (
              select
                one.person_id = other.person_id as is_same,
                one.component = other.component as is_linkable,
                one.customer_id = other.customer_id as is_found
              from found as one
              join found as other on (one.channel, one.identity) < (other.channel, other.identity)
                and (one.component = other.component or one.customer_id = other.customer_id)
            )
            select
              count(*) filter (is_same and is_found) / count(*) filter (is_found),
              count(*) filter (is_linkable and is_found) / count(*) filter (is_linkable)
            from pairs
            """
        ).fetchall()
    assert precision > 0.99
    assert recall > 0.9


def test_nobody_is_merged_through_a_clerk_or_a_placeholder(home: Home) -> None:
    with snapshot(home) as connection:
        blocked = dict(
            connection.execute(
                "select reason, count(*) from marts.customer_identities where is_blocked group by reason"
            ).fetchall()
        )
        ((largest,),) = connection.execute("select max(n_members) from marts.customers").fetchall()
    assert any("staff" in reason for reason in blocked)
    assert any("placeholder" in reason for reason in blocked)
    assert largest <= 20


def test_no_plain_phone_of_the_landing_folder_is_anywhere_in_the_home(home: Home) -> None:
    phones: set[bytes] = set()
    for path in home.landing.rglob("members/*.jsonl"):
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines():
            try:
                member = json.loads(line)
            except json.JSONDecodeError:
                continue
            phone = "".join(filter(str.isdigit, str(member.get("phone") or "")))[-11:]
            if len(phone) == 11:
                phones.add(phone.encode())
    assert len(phones) > 20
    with duckdb.connect() as connection:
        for path in (file for file in home.path.rglob("*") if file.is_file()):
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(connection.execute(f"from '{path}'").fetchall()).encode()
            found = [phone for phone in phones if phone in content]
            assert not found, f"{len(found)} phones in {path.relative_to(home.path)}"


def test_a_second_run_takes_and_sends_nothing(home: Home) -> None:
    before = received(home.path)
    done = home.run()
    assert done.returncode == 0, done.stderr
    assert ": 0 rows received" in done.stdout
    assert received(home.path) == before
    assert before


def test_a_dry_run_shows_the_plan_and_writes_nothing(home: Home) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home.path / "outbound").rglob("*")}
    done = home.omnilake("push", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {"creates", "updates", "deletes"} <= set(plan[0])
    assert {path: path.stat().st_mtime_ns for path in (home.path / "outbound").rglob("*")} == before


def test_a_segment_is_listed_and_exported(home: Home, tmp_path: Path) -> None:
    listed = json.loads(home.omnilake("segments", "list", "--json").stdout)
    largest = max(listed, key=lambda segment: segment["customers"])
    out = tmp_path / "segment.csv"
    done = home.omnilake("segments", "export", largest["name"], "--format", "csv", "--out", out)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == largest["customers"] + 1


def test_personal_data_needs_a_purpose_and_comes_from_the_vault(home: Home, tmp_path: Path) -> None:
    listed = json.loads(home.omnilake("segments", "list", "--json").stdout)
    largest = max(listed, key=lambda segment: segment["customers"])["name"]
    out = tmp_path / "segment.csv"
    arguments = ("segments", "export", largest, "--format", "csv", "--out", out, "--fields", "customer_id,phone")
    refused = home.omnilake(*arguments)
    assert refused.returncode == 2
    assert "--purpose" in refused.stderr
    assert not out.exists()
    done = home.omnilake(*arguments, "--purpose", "recall by text message")
    assert done.returncode == 0, done.stderr
    assert "+86" in out.read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("query", "select * from marts.nothing"), 1, "nothing"),
        (("segments", "export", "nobody", "--format", "csv", "--out", "/dev/null"), 2, "nobody"),
        (("push", "--destination", "moon"), 2, "moon"),
        (("explain", "customer", "c0"), 1, "c0"),
        (("run", "--landing", "nowhere"), 2, "--landing"),
        (("run", "--as-of", "30.06.2026"), 2, "2026-06-30"),
        (("demo", "--no-serve"), 2, "--home"),
    ],
)
def test_a_wrong_use_is_answered_in_words(home: Home, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = home.omnilake(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
