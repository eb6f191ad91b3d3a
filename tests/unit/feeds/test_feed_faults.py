"""What must hold whatever happens: kills, replays, formats that agree, and no plain value on disk."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from feeds_lake import CHANNELS, MEMBER, ORDER, Lake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.chunks import Chunk, unreadable_chunk
from pipelines.feeds.intake import Intake
from pipelines.feeds.ledger import all_batches
from pipelines.feeds.ops import load_ops
from pipelines.feeds.quarantine import open_rejected, quarantine_files
from pipelines.feeds.reconcile import reconcile_batches
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.vault import Vault
from pipelines.warehouse import open_warehouse

META = ("_batch_id", "_arrival", "_file", "_line")

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
REVIEW = st.fixed_dictionaries(
    {
        "review_id": TEXT.filter(lambda text: text.strip() == text),
        "created_at": st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.isoformat() + "Z"),
        "rating": st.integers(1, 5).map(str),
    },
    optional={
        "sku": TEXT.filter(lambda text: text.strip() == text),
        "text": TEXT,
        "order_id": st.just('a "quoted", b'),
    },
)


def _csv(rows: list[dict[str, Any]], columns: list[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _fresh(folder: str) -> Lake:
    home = Path(folder)
    (home / "reference").mkdir()
    (home / "reference" / "channels.yml").write_text(CHANNELS, encoding="utf-8")
    (home / "landing").mkdir()
    settings_ = Settings(home=home, memory_limit="1GB", threads=1)
    return Lake(settings_, open_state(settings_))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REVIEW, min_size=1, max_size=20))
def test_valid_rows_survive_alike_in_every_format(rows: list[dict[str, Any]]) -> None:
    columns = ["review_id", "created_at", "rating", "sku", "text", "order_id"]
    with tempfile.TemporaryDirectory() as folder:
        lake = _fresh(folder)
        lake.write_rows("pos/reviews/a.jsonl", rows)
        lake.write("pos/reviews/b.csv", _csv(rows, columns))
        full = [{name: row.get(name) for name in columns} for row in rows]
        schema = pa.schema([(name, pa.string()) for name in columns])
        lake.write_parquet("pos/reviews/c.parquet", pa.Table.from_pylist(full, schema=schema))
        report = lake.load()
        assert report.rows_quarantined == 0, lake.reasons()
        found: dict[str, list[dict[str, Any]]] = {}
        for row in lake.raw("reviews"):
            found.setdefault(row["_file"][-1], []).append({name: row[name] for name in row if name not in META})
        assert found["l"] == found["v"] == found["t"]
        assert [row["review_id"] for row in found["l"]] == [row["review_id"] for row in rows]
        lake.engine.dispose()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.sampled_from(["jsonl", "csv"]))
def test_random_corruption_loses_no_row(chance: random.Random, ending: str) -> None:
    rows = [
        {"review_id": str(n), "created_at": "2024-05-01T10:00:00Z", "rating": 4, "text": 'a\n"b", c'} for n in range(8)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) if ending == "jsonl" else _csv(rows, list(rows[0]))
    start = text.index("\n") + 1
    for _ in range(chance.randint(1, 6)):
        position = chance.randrange(start, len(text))
        text = (
            text[:position]
            + chance.choice(['"', ",", "{", "]", "x", "\\", "\r", ""])
            + text[position + chance.randint(0, 1) :]
        )
    with tempfile.TemporaryDirectory() as folder:
        lake = _fresh(folder)
        lake.write(f"pos/reviews/a.{ending}", text)
        report = lake.load()
        assert report.rows_received == report.rows_accepted + report.rows_quarantined
        assert report.rows_received >= 1
        assert len(lake.quarantine()) == report.rows_quarantined
        lake.assert_reconciled()
        lake.engine.dispose()


PLANTED = {
    "phone": "13987654321", "email": "xqz@secret.cn", "wechat_unionid": "XQZUNION", "wechat_openid": "XQZOPEN",
    "alipay_uid": "XQZALIPAY", "qq_openid": "XQZQQ", "card_no": "XQZCARD", "name": "XQZNAME",
    "birthday": "1987-11-23", "address": "XQZADDRESS", "device_ids": ["XQZDEVICE"],
    "attributes": {"secret": "XQZATTRIBUTE"}, "surplus": "XQZEXTRA",
}  # fmt: skip


def _plant(lake: Lake) -> None:
    lake.write_rows("pos/members/a.jsonl", [
        MEMBER | PLANTED, MEMBER | {"member_id": "13987654321"}, MEMBER | PLANTED | {"updated_at": "XQZTIME"}
    ])  # fmt: skip
    lake.write("pos/members/b.csv", "member_id,updated_at,name\nM3,XQZTIME,XQZNAME\nM4,XQZCELL\n{XQZROW\n")
    lake.write_rows("pos/orders/a.jsonl", [
        ORDER | {"guest_phone": "13987654321", "guest_email": "xqz@secret.cn", "guest_openid": "XQZOPEN",
                 "device_id": "XQZDEVICE", "note": "XQZEXTRA"},
    ])  # fmt: skip
    lake.write_rows("pos/events/a.jsonl", [
        {"event_id": "1", "occurred_at": "2024-05-01T10:00:00Z", "type": "search", "query": "XQZQUERY",
         "properties": {"a": "XQZPROPERTY"}, "anonymous_id": "XQZANON"},
    ])  # fmt: skip
    lake.write_rows("pos/reviews/a.jsonl", [
        {"review_id": "1", "created_at": "2024-05-01T10:00:00Z", "rating": 5, "text": "XQZREVIEW"}
    ])  # fmt: skip
    lake.write_rows("pos/staff/a.jsonl", [
        {"staff_id": "1", "updated_at": "2024-05-01T10:00:00Z", "name": "XQZNAME", "phone": "13987654321"}
    ])  # fmt: skip
    lake.write("pos/products/broken.csv", "XQZHEADER,13987654321\n1,2\n")


def test_no_planted_value_reaches_the_disk(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    _plant(lake)
    lake.load()
    lake.replay()
    with open_warehouse(lake.settings) as connection:
        load_ops(connection, lake.settings, lake.engine)
    lake.raw("members")
    needles = (b"xqz", b"13987654321", b"1987-11-23")
    for path in lake.settings.home.rglob("*"):
        if path.is_file() and lake.settings.landing not in path.parents:
            content = path.read_bytes().lower()
            if path.suffix == ".parquet":
                content += str(pyarrow.parquet.read_table(path).to_pylist()).lower().encode()
            assert not [needle for needle in needles if needle in content], path
    assert "xqz" not in "".join(capfd.readouterr()).lower()


def test_the_vault_reveals_what_was_sealed_until_the_person_is_destroyed(lake: Lake) -> None:
    _plant(lake)
    lake.load()
    member, event = lake.raw("members")[0], lake.raw("events")[0]
    tokens = [member["phone_token"], member["email_token"], member["wechat_openid_token"], event["anonymous_token"]]
    with Vault.open(lake.settings) as vault:
        assert [vault.reveal_identities(tokens)[token] for token in tokens] == [
            "+8613987654321", "xqz@secret.cn", "XQZOPEN", "XQZANON",
        ]  # fmt: skip
        (profile,) = vault.reveal_members([("pos", "M1"), ("pos", "nobody")]).to_pylist()
        assert (profile["name"], profile["birthday"], profile["address"]) == ("XQZNAME", "1987-11-23", "XQZADDRESS")
        assert "XQZEXTRA" in str(vault.reveal_documents(["member:pos:M1"]))
        assert "XQZQUERY" in str(vault.reveal_documents([f"identity:{event['anonymous_token']}"]))
        assert vault.destroy_person(["member:pos:M1"], tokens) == 5
        assert vault.reveal_members([("pos", "M1")]).num_rows == 0
        assert vault.reveal_identities(tokens) == {}
        assert vault.reveal_documents(["member:pos:M1"]) == []


def test_an_older_profile_that_comes_late_changes_nothing(lake: Lake) -> None:
    for day, name in (("2024-05-02", "new"), ("2024-05-01", "old")):
        lake.write_rows(f"pos/members/{name}.jsonl", [MEMBER | {"updated_at": f"{day}T10:00:00Z", "name": name}])
        lake.load()
    with Vault.open(lake.settings) as vault:
        assert vault.reveal_members([("pos", "M1")])["name"].to_pylist() == ["new"]


def test_rejected_rows_keep_their_text_and_value_sealed(lake: Lake) -> None:
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"status": f"bad{n}"} for n in range(2500)])
    lake.load()
    with Vault.open(lake.settings) as vault:
        (path,) = quarantine_files(lake.settings)
        rows = [row for block in open_rejected(path, vault) for row in block]
        assert [row.value for row in rows] == [f"bad{n}" for n in range(2500)]
        assert json.loads(rows[1234].raw or "")["status"] == "bad1234"
        vault.destroy_person([f"quarantine:{path.stem}"])
        with pytest.raises(PermanentError, match="erased"):
            list(open_rejected(path, vault))


def test_replay_takes_what_passes_after_a_fix_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = "2024-05-01T10:00:00Z,2024-05-01T10:00:00Z,paid"
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"currency": "XXX"}, ORDER, ORDER | {"status": "bad"}])
    lake.write(
        "pos/orders/b.csv", f"order_id,updated_at,placed_at,status,currency,paid_amount\nc1,{cells},XXX,1\nc2,{cells}\n"
    )
    lake.write_parquet("pos/orders/c.parquet", pa.Table.from_pylist([ORDER | {"currency": "XXX"}]))
    lake.write(
        "pos/stores/gbk.csv", "store_id,updated_at,name\nS1,2024-05-01T10:00:00Z,巴黎\nS2,bad,巴黎\n".encode("gbk")
    )
    first = lake.load()
    assert lake.replay().batches == []
    monkeypatch.setattr("pipelines.feeds.values.CURRENCIES", frozenset({"CNY", "XXX"}))
    channels = lake.settings.home / "reference" / "channels.yml"
    channels.write_text(
        CHANNELS.replace("kind: pos, timezone: Asia/Shanghai", "kind: pos, encoding: gbk"), encoding="utf-8"
    )
    report = lake.replay()
    counts = {
        (entry.file, entry.rows_received, entry.rows_accepted, entry.rows_quarantined) for entry in report.batches
    }
    assert counts == {
        ("pos/orders/a.jsonl", 0, 1, -1), ("pos/orders/b.csv", 0, 1, -1), ("pos/orders/c.parquet", 0, 1, -1),
        ("pos/stores/gbk.csv", 1, 1, 0),
    }  # fmt: skip
    assert lake.replay().batches == []
    assert sorted((row["_file"][11:], row["_line"]) for row in lake.raw("orders")) == [
        ("a.jsonl", 1), ("a.jsonl", 2), ("b.csv", 2), ("c.parquet", 1),
    ]  # fmt: skip
    assert [row["name"] for row in lake.raw("stores")] == ["巴黎"]
    waiting = [row for row in lake.quarantine() if row["replayed_at"] is None]
    assert len(waiting) == first.rows_quarantined + report.rows_quarantined == 3
    lake.assert_reconciled()


def test_reconcile_notices_a_lost_file_and_a_lost_row(lake: Lake) -> None:
    lake.write_rows("pos/orders/a.jsonl", [ORDER, ORDER | {"status": "bad"}])
    lake.load()
    next(lake.settings.raw.rglob("*.parquet")).unlink()
    failed = [check for check in reconcile_batches(lake.settings, lake.engine) if not check.ok]
    assert {check.name for check in failed} == {
        "orders: accepted = rows in raw",
        "orders: pos/orders/a.jsonl: accepted = rows in raw",
    }


def test_a_lake_of_another_state_database_is_refused(lake: Lake) -> None:
    lake.write_rows("pos/orders/a.jsonl", [ORDER])
    lake.load()
    other = Lake(
        lake.settings, open_state(Settings(home=lake.settings.home, state_url=f"sqlite:///{lake.settings.home}/o.db"))
    )
    with pytest.raises(ConfigurationError, match="OMNILAKE_STATE_URL"):
        other.load()
    other.engine.dispose()


STEPS = (
    "pipelines.feeds.raw.RawWriter.add", "pipelines.feeds.sealing.Sealer.seal", "pipelines.feeds.raw.RawWriter.close",
    "pipelines.feeds.quarantine.QuarantineWriter.close", "pipelines.feeds.ledger.record_load",
    "pathlib.Path.replace", "pipelines.feeds.ledger.mark_published",
)  # fmt: skip

KILLER = """
import os, sys, pkgutil
from pathlib import Path
home, step, when = sys.argv[1:]
from pipelines.channels import load_channels
from pipelines.feeds.load import load_landing
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.keys import ensure_keys
settings = Settings(home=Path(home), memory_limit="1GB", threads=1)
ensure_keys(settings)
owner, name = pkgutil.resolve_name(step.rpartition(".")[0]), step.rpartition(".")[2]
original, calls = getattr(owner, name), []
def killed(*args, **kwargs):
    calls.append(1)
    if when == "before" and len(calls) == 2:
        os._exit(9)
    result = original(*args, **kwargs)
    if when == "after" and len(calls) == 2:
        os._exit(9)
    return result
setattr(owner, name, killed)
load_landing(settings, load_channels(settings), open_state(settings), "run")
"""


def _loaded_state(lake: Lake) -> dict[str, Any]:
    counts = [
        (batch.file, batch.rows_received, batch.rows_accepted, batch.rows_quarantined, batch.batch_id)
        for batch in all_batches(lake.engine)
    ]
    rows = {feed: [_without_tokens(row) for row in lake.raw(feed)] for feed in ("orders", "members")}
    quarantine = [(row["quarantine_id"], row["reason"]) for row in lake.quarantine()]
    return {"counts": counts, "rows": rows, "quarantine": quarantine}


def _without_tokens(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "token" not in name and name != "member_id"}


def _bring(lake: Lake) -> None:
    lake.write_rows("pos/members/a.jsonl", [MEMBER | PLANTED, MEMBER | {"updated_at": "bad"}])
    lake.write_rows("pos/orders/a.jsonl", [ORDER, ORDER | {"status": "bad"}])
    lake.write("pos/orders/b.csv", "not,an,order\n1,2,3\n")


@pytest.mark.slow
def test_a_kill_at_any_step_changes_nothing_after_the_next_run(lake: Lake) -> None:
    _bring(lake)
    lake.load()
    expected = _loaded_state(lake)
    # Before a step is after the one ahead of it, so the last step alone is killed on both sides.
    for step, when in (*((step, "before") for step in STEPS), (STEPS[-1], "after")):
        with tempfile.TemporaryDirectory() as folder:
            other = _fresh(folder)
            _bring(other)
            environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
            command = [sys.executable, "-c", KILLER, folder, step, when]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 9, f"{step}: {done.stderr[-500:]}"
            other.load()
            assert other.load().batches == []
            assert _loaded_state(other) == expected, step
            assert not list(other.settings.lake.rglob("*.part"))
            other.assert_reconciled()
            other.engine.dispose()


@pytest.mark.parametrize("poisoned", [[3], [0, 1, 6]])
def test_a_row_that_the_database_cannot_take_costs_only_itself(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, poisoned: list[int]
) -> None:
    judged_rows, part_plain = Intake._judged_rows, Intake._part_plain

    def is_poisoned(chunk: Chunk) -> bool:
        return chunk.format == "jsonl" and any("POISON" in text for text in chunk.table["raw"].to_pylist())

    def refuse_poison(intake: Intake, chunk: Chunk, sql: str, *, exact: bool) -> pa.Table:
        if is_poisoned(chunk):
            raise duckdb.InvalidInputException("a value that no one foresaw")
        return judged_rows(intake, chunk, sql, exact=exact)

    def leave_poison(intake: Intake, chunk: Chunk) -> tuple[pa.Table, Chunk]:
        return part_plain(intake, chunk) if not is_poisoned(chunk) else (chunk.table.slice(0, 0), chunk)

    lake.write_rows(
        "pos/orders/a.jsonl",
        [ORDER | {"order_id": f"{'POISON' if number in poisoned else 'o'}{number}"} for number in range(7)],
    )
    with monkeypatch.context() as patched:
        patched.setattr(Intake, "_judged_rows", refuse_poison)
        patched.setattr(Intake, "_part_plain", leave_poison)
        assert lake.load().rows_received == 7
        assert [line for line, _, _ in lake.reasons()] == [number + 1 for number in poisoned]
        assert {reason for _, _, reason in lake.reasons()} == {"can't be read (InvalidInputException)"}
        assert lake.replay().batches == []
        lake.assert_reconciled()
        patched.setattr("pipelines.feeds.intake.MAX_UNTAKABLE_ROWS", 0)
        lake.write_rows("pos/orders/b.jsonl", [ORDER, ORDER | {"order_id": "POISON"}])
        assert lake.load().rows_quarantined == 1
        assert lake.reasons()[-1][0] is None
    assert lake.replay().rows_accepted == len(poisoned) + 2
    lake.assert_reconciled()


def test_an_unreadable_parquet_row_keeps_its_values_as_text() -> None:
    names = pa.schema([("sku", pa.string()), ("cost", pa.decimal128(6, 2))])
    table = pa.table({"file_no": [0], "line": [7], "cell_sku": ["S"], "cell_cost": [Decimal("1.50")]})
    broken = unreadable_chunk(Chunk("parquet", names, table), "can't be read")
    assert broken.table.to_pylist() == [
        {"file_no": 0, "line": 7, "raw": '{"sku": "S", "cost": "1.50"}', "broken": "can't be read"}
    ]
