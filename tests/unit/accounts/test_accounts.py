from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from pipelines.accounts import passwords, store
from pipelines.accounts import sessions as signing
from pipelines.accounts.store import Account, accounts, add_account, list_accounts, sessions
from pipelines.audit import entries, verify
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.state import open_state

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys_hash.cache_clear()


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    opened = open_state(settings)
    add_account(settings, opened, "Ana", "analyst", (), PASSWORD, "cli")
    yield opened
    opened.dispose()


def sign_in(settings: Settings, engine: sa.Engine, password: str = PASSWORD, name: str = "ana") -> str | None:
    return signing.sign_in(settings, engine, name, password)


def age(engine: sa.Engine, column: sa.Column[object], by: timedelta) -> None:
    with engine.begin() as transaction:
        transaction.execute(column.table.update().values({column.name: store.utc_now() - by}))


def test_the_right_password_gives_a_session_that_knows_its_account(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine, name=" ANA ")
    assert token
    assert signing.find_account(engine, token) == Account("ana", "analyst")
    assert signing.find_account(engine, token + "x") is None
    assert signing.find_account(engine, None) is None


@pytest.mark.parametrize(
    ("name", "password"), [("ana", "wrong"), ("bob", PASSWORD), ("ana", "x" * 5000), ("", ""), ("a'; --", "ü\ud800")]
)
def test_anything_else_gives_none(settings: Settings, engine: sa.Engine, name: str, password: str) -> None:
    assert sign_in(settings, engine, password, name) is None


def test_an_unknown_name_costs_a_hash_like_a_known_one(
    settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []
    hasher = passwords._hasher
    spy = type("Spy", (), {"verify": lambda _, stored, text: checked.append(text) or hasher.verify(stored, text)})()
    passwords._nobodys_hash()
    monkeypatch.setattr(passwords, "_hasher", spy)
    sign_in(settings, engine, "wrong", "ana")
    sign_in(settings, engine, "wrong", "nobody")
    assert checked == [b"wrong", b"wrong"]


def test_five_failures_lock_the_account_and_time_unlocks_it(settings: Settings, engine: sa.Engine) -> None:
    for _ in range(5):
        assert sign_in(settings, engine, "wrong") is None
    assert sign_in(settings, engine) is None
    assert list_accounts(engine)[0]["state"] == "locked"
    age(engine, accounts.c.locked_until, timedelta(seconds=1))
    assert sign_in(settings, engine)


def test_attempts_at_once_are_each_counted(settings: Settings, engine: sa.Engine) -> None:
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: sign_in(settings, engine, "wrong"), range(5)))
    assert sign_in(settings, engine) is None


def test_a_success_forgets_earlier_failures(settings: Settings, engine: sa.Engine) -> None:
    for _ in range(3):
        for _ in range(4):
            sign_in(settings, engine, "wrong")
        assert sign_in(settings, engine)


def test_an_administrator_unlocks_at_once(settings: Settings, engine: sa.Engine) -> None:
    for _ in range(5):
        sign_in(settings, engine, "wrong")
    store.unlock(settings, engine, "ana", "cli")
    assert sign_in(settings, engine)


@pytest.mark.parametrize(("column", "by"), [(sessions.c.started_at, signing.LASTS), (sessions.c.seen_at, signing.IDLE)])
def test_a_session_ends_by_itself(
    settings: Settings, engine: sa.Engine, column: sa.Column[object], by: timedelta
) -> None:
    token = sign_in(settings, engine)
    age(engine, column, by - timedelta(minutes=1))
    assert signing.find_account(engine, token)
    age(engine, column, by)
    assert signing.find_account(engine, token) is None


def test_use_keeps_a_session_awake(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine)
    age(engine, sessions.c.seen_at, signing.IDLE - timedelta(minutes=1))
    assert signing.find_account(engine, token)
    with engine.connect() as connection:
        assert store.utc_now() - connection.scalar(sa.select(sessions.c.seen_at)) < timedelta(minutes=1)


def test_signing_out_disabling_and_a_new_password_end_sessions(settings: Settings, engine: sa.Engine) -> None:
    first, second = sign_in(settings, engine), sign_in(settings, engine)
    signing.sign_out(settings, engine, first)
    assert signing.find_account(engine, first) is None
    assert signing.find_account(engine, second)
    store.set_password(settings, engine, "ana", "another long password", "cli")
    assert signing.find_account(engine, second) is None
    third = sign_in(settings, engine, "another long password")
    store.disable(settings, engine, "ana", "cli")
    assert signing.find_account(engine, third) is None
    assert sign_in(settings, engine, "another long password") is None
    store.enable(settings, engine, "ana", "cli")
    assert signing.find_account(engine, third) is None
    assert sign_in(settings, engine, "another long password")


def test_another_role_holds_for_sessions_that_are_open(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine)
    store.set_role(settings, engine, "ana", "store_manager", ("S2", "S1"), "cli")
    assert signing.find_account(engine, token) == Account("ana", "store_manager", ("S1", "S2"))


def test_neither_passwords_nor_tokens_are_stored(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine)
    sign_in(settings, engine, PASSWORD, PASSWORD.replace(" ", ""))
    assert token
    engine.dispose()
    stored = b"".join(path.read_bytes() for path in settings.home.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in stored
    assert PASSWORD.replace(" ", "").encode() not in stored
    assert token.encode() not in stored


def test_a_hash_of_weaker_parameters_is_made_anew(settings: Settings, engine: sa.Engine) -> None:
    passwords._hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    assert sign_in(settings, engine)
    with engine.connect() as connection:
        assert "m=16,t=2" in connection.scalar(sa.select(accounts.c.password_hash))
    assert sign_in(settings, engine)


def test_every_step_is_on_record(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine)
    sign_in(settings, engine, "wrong")
    sign_in(settings, engine, name="13800138000")
    signing.sign_out(settings, engine, token)
    found = [(entry["actor"], entry["action"]) for entry in entries(engine)]
    assert found == [
        ("ana", "sign_out"), ("nobody", "sign_in.refuse"), ("ana", "sign_in.refuse"), ("ana", "sign_in"),
        ("cli", "account.add"),
    ]  # fmt: skip
    assert "13800138000" not in json.dumps(entries(engine))
    assert verify(settings).faults == ()


@pytest.mark.parametrize(
    ("name", "role", "stores", "password", "named"),
    [
        ("bob", "boss", (), PASSWORD, "analyst"),
        ("bob", "store_manager", (), PASSWORD, "--store"),
        ("bob", "analyst", ("S1",), PASSWORD, "store managers"),
        ("bob", "analyst", (), "short", "12"),
        ("ANA", "analyst", (), PASSWORD, "already"),
        ("a b", "analyst", (), PASSWORD, "letters"),
        ("b" * 129, "analyst", (), PASSWORD, "128"),
    ],
)
def test_a_wrong_account_is_refused_with_the_remedy(
    settings: Settings, engine: sa.Engine, name: str, role: str, stores: tuple[str, ...], password: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        add_account(settings, engine, name, role, stores, password, "cli")
    assert [row["name"] for row in list_accounts(engine)] == ["ana"]


def test_a_name_at_the_provider_never_opens_a_local_account(settings: Settings, engine: sa.Engine) -> None:
    add_account(settings, engine, "eva@corp.example", "auditor", (), None, "cli")
    assert signing.account_named(engine, "EVA@corp.example") == Account("eva@corp.example", "auditor")
    assert signing.account_named(engine, "ana") is None
    assert sign_in(settings, engine, "", "eva@corp.example") is None


def test_reading_a_session_never_waits_for_a_writer(settings: Settings, engine: sa.Engine) -> None:
    token = sign_in(settings, engine)
    with engine.begin() as transaction:
        transaction.execute(accounts.update().values(failures=1))
        assert signing.find_account(engine, token)


@pytest.mark.slow
def test_the_commands_make_and_change_an_account(settings: Settings) -> None:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("omnilake")), "--home", str(settings.home), *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=stdin)

    made = run("users", "add", "mia", "--role", "store_manager", "--store", "S1")
    assert made.returncode == 0
    assert len(made.stdout.strip()) == 16
    assert run("users", "add", "mia", "--role", "admin").returncode == 2
    assert run("users", "password", "mia", "--password-stdin", stdin="too short\n").returncode == 2
    listed = json.loads(run("users", "list", "--json").stdout)
    assert [(row["name"], row["stores"], row["state"]) for row in listed] == [("mia", ["S1"], "active")]
