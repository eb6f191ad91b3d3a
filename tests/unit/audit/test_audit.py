from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.audit import Head, anchor, audit_log, entries, parse_head, record, record_within, subject, verify
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.state import state


@pytest.fixture
def written(settings: Settings) -> Settings:
    """A log of seven entries."""
    for number in range(1, 8):
        record(settings, "ana", "export.finish", f"segment:{number}", {"rows": number})
    return settings


def tamper(settings: Settings, *statements: str) -> None:
    """What somebody does who can write the database: the triggers are no obstacle to them."""
    with state(settings) as engine, engine.begin() as transaction:
        for operation in ("update", "delete"):
            transaction.exec_driver_sql(f"DROP TRIGGER IF EXISTS audit_log_no_{operation}")
        for statement in statements:
            transaction.exec_driver_sql(statement)


def found(settings: Settings, expected: Head | None = None) -> list[tuple[int | None, str]]:
    return [(fault.seq, fault.kind) for fault in verify(settings, expected).faults]


def test_an_untouched_log_is_whole(written: Settings) -> None:
    verdict = verify(written)
    assert (verdict.entries, verdict.faults) == (7, ())
    assert verdict.head is not None
    assert verdict.head.seq == 7


def test_a_log_without_entries_is_whole(settings: Settings) -> None:
    assert verify(settings).entries == 0
    assert found(settings) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'bob'"),
        ("action", "'export.start'"),
        ("subject", "'segment:9'"),
        ("at", "'2020-01-01T00:00:00.000000Z'"),
        ("details", """'{"rows":4 }'"""),
        ("details", "x'00ff'"),
        ("previous", "'" + "0" * 64 + "'"),
        ("hash", "'ü'"),
    ],
)
def test_a_changed_entry_is_named(written: Settings, column: str, value: str) -> None:
    tamper(written, f"UPDATE audit_log SET {column} = {value} WHERE seq = 4")
    assert (4, "changed") in found(written)
    assert {seq for seq, _ in found(written)} == {4}


def test_entries_that_are_gone_are_named(written: Settings) -> None:
    tamper(written, "DELETE FROM audit_log WHERE seq IN (1, 4, 5)")
    assert found(written) == [(1, "removed"), (4, "removed")]
    assert "4 to 5" in verify(written).faults[1].words


def test_a_cut_off_end_is_named(written: Settings) -> None:
    tamper(written, "DELETE FROM audit_log WHERE seq > 5")
    assert found(written) == [(6, "removed")]
    assert "6 to 7" in verify(written).faults[0].words


def test_an_emptied_log_is_named(written: Settings) -> None:
    tamper(written, "DELETE FROM audit_log")
    assert found(written) == [(1, "removed")]


def test_an_entry_gone_whose_followers_moved_up_is_named(written: Settings) -> None:
    tamper(written, "DELETE FROM audit_log WHERE seq = 3", "UPDATE audit_log SET seq = seq - 1 WHERE seq > 3")
    assert {seq for seq, _ in found(written)} >= {3, 4, 5, 6, 7}


def test_two_entries_in_another_order_are_named_with_their_places(written: Settings) -> None:
    tamper(
        written,
        "UPDATE audit_log SET seq = 99 WHERE seq = 2",
        "UPDATE audit_log SET seq = 2 WHERE seq = 5",
        "UPDATE audit_log SET seq = 5 WHERE seq = 99",
    )
    assert found(written) == [(2, "moved"), (5, "moved")]


def test_an_entry_put_in_is_named(written: Settings) -> None:
    columns = "at, actor, action, subject, details, hash, previous"
    tamper(written, f"INSERT INTO audit_log SELECT 8, {columns} FROM audit_log WHERE seq = 7")
    assert found(written) == [(8, "changed")]


def test_after_a_cut_further_entries_never_heal_the_log(written: Settings) -> None:
    tamper(written, "DELETE FROM audit_log WHERE seq > 5")
    for number in range(4):
        record(written, "ana", "sign_in", f"account:{number}")
    assert found(written) == [(7, "replaced")]


def test_a_head_that_was_changed_is_not_written_over(written: Settings) -> None:
    (written.home / "audit" / "head.json").write_text("{}")
    record(written, "ana", "sign_in", "account:ana")
    assert found(written) == [(None, "head")]


def test_a_head_that_was_lost_goes_on_record(written: Settings) -> None:
    (written.home / "audit" / "head.json").unlink()
    record(written, "ana", "sign_in", "account:ana")
    with state(written) as engine:
        assert [entry["action"] for entry in entries(engine, limit=2)] == ["sign_in", "audit.head_lost"]
    assert found(written) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"seq": 3, "hash": "00", "signature": "ü"}'])
def test_a_head_that_was_changed_is_named(written: Settings, content: str) -> None:
    (written.home / "audit" / "head.json").write_text(content, encoding="utf-8")
    assert (None, "head") in found(written)


def test_a_head_lowered_without_the_key_is_named(written: Settings) -> None:
    path = written.home / "audit" / "head.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seq": 3}))
    assert (None, "head") in found(written)


def test_a_head_that_is_gone_is_said(written: Settings) -> None:
    (written.home / "audit" / "head.json").unlink()
    assert found(written) == [(None, "unanchored")]


def test_a_whole_home_put_back_shows_against_a_head_noted_elsewhere(written: Settings) -> None:
    noted = parse_head("8:" + "ab" * 32)
    assert found(written, noted) == [(8, "removed")]
    with pytest.raises(ConfigurationError, match="head"):
        parse_head("seven")


def test_the_database_itself_refuses_a_change(written: Settings) -> None:
    with state(written) as engine:
        for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as transaction:
                transaction.exec_driver_sql(statement)


def test_an_entry_joins_the_transaction_it_belongs_to(settings: Settings) -> None:
    with state(settings) as engine:
        with engine.connect() as connection, connection.begin() as undone:
            record_within(connection, settings, "ana", "customer.split", "customer:1")
            undone.rollback()
        with engine.begin() as transaction:
            head = record_within(transaction, settings, "ana", "customer.split", "customer:1")
        anchor(settings, engine, head)
    assert json.loads((settings.home / "audit" / "head.json").read_text())["seq"] == head.seq == 1
    assert found(settings) == []


def test_many_writers_make_one_chain(settings: Settings) -> None:
    record(settings, "ana", "sign_in", "account:0")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: record(settings, "ana", "sign_in", f"account:{number}"), range(20)))
    verdict = verify(settings)
    assert (verdict.entries, verdict.faults) == (21, ())


def test_a_process_killed_before_the_head_is_written_leaves_a_log_that_goes_on(settings: Settings) -> None:
    record(settings, "ana", "sign_in", "account:ana")
    script = (
        "import os, pipelines.audit as audit, sys\n"
        "from pathlib import Path\n"
        "from pipelines.settings import Settings\n"
        "audit._anchor = lambda *_: os.kill(os.getpid(), 9)\n"
        "audit.record(Settings(home=Path(sys.argv[1])), 'bob', 'sign_in', 'account:bob')\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(settings.home)]).returncode == -9
    assert (verify(settings).entries, found(settings)) == (2, [])
    record(settings, "ana", "sign_out", "account:ana")
    assert (verify(settings).entries, found(settings)) == (3, [])


@pytest.mark.parametrize(
    "text",
    ["for anna.li@example.com", "call +86 138 0013 8000", "13800138000", "(415) 555-0100-22"],
)
def test_what_looks_like_a_person_is_masked(settings: Settings, text: str) -> None:
    record(settings, "ana", "export.start", "segment:x", {"purpose": text})
    with state(settings) as engine:
        stored = json.dumps(entries(engine)[0]["details"])
    assert not any(part in stored for part in ("anna", "8000", "0100"))
    assert found(settings) == []


@pytest.mark.parametrize(
    "text", ["spring 2026", "2026-11-22", "2026-11-22 10:20:30", "20261122T213000-1a2b3c4d", "0123456789abcdef" * 4]
)
def test_ids_and_days_stay_as_they_are(settings: Settings, text: str) -> None:
    record(settings, "ana", "export.start", "segment:x", {"what": text})
    with state(settings) as engine:
        assert entries(engine)[0]["details"] == {"what": text}


def test_a_customer_is_found_by_pseudonym_and_never_stands_in_the_log(settings: Settings) -> None:
    about = subject(settings, "customer", "c-0001")
    record(settings, "ana", "customer.forget", about)
    with state(settings) as engine:
        assert [entry["subject"] for entry in entries(engine, subject=about)] == [about]
        assert "c-0001" not in json.dumps(entries(engine))
    assert about == subject(settings, "customer", "c-0001") != subject(settings, "customer", "c-0002")


def test_entries_are_filtered_by_action_and_those_beneath(written: Settings) -> None:
    record(written, "bob", "export", "segment:x")
    record(written, "bob", "exports_listed", "segment:x")
    with state(written) as engine:
        assert len(entries(engine, action="export")) == 8
        assert len(entries(engine, action="export", actor="bob")) == 1
        assert [entry["seq"] for entry in entries(engine, limit=2)] == [9, 8]


@pytest.mark.parametrize("action", ["", "Sign in", "a..b", "sign-in"])
def test_an_action_without_form_is_a_programming_error(settings: Settings, action: str) -> None:
    with pytest.raises(ValueError, match="action"):
        record(settings, "ana", action, "x")


def test_the_columns_that_are_hashed_are_all_columns(settings: Settings) -> None:
    """A column that is added without a place in the hash could be changed unseen."""
    from pipelines.audit import _hash

    row: dict[str, Any] = {column.name: "1" for column in audit_log.c}
    for column in row:
        assert (_hash(b"key", row | {column: "2"}) == _hash(b"key", row)) == (column == "hash")
