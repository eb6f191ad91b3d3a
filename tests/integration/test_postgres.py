"""PostgreSQL as the state database: the same marts, deliveries and reconciliation as with SQLite."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipelines.activation import tables
from pipelines.channels import load_channels
from pipelines.connectors.protocol import FeedCapability
from pipelines.errors import ConfigurationError
from pipelines.feeds import ledger
from pipelines.pulling import pull_all, pull_states
from pipelines.settings import load_settings
from pipelines.state import state
from tests.chaos.compare import differences_of_marts, received
from tests.integration.conftest import Home
from tests.unit.pulling.conftest import NOON, MemoryShop

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nightly"), pytest.mark.timeout(900)]


def _program(name: str) -> Path:
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed (Debian: apt-get install postgresql)")
    return Path(found).resolve()


def _unprivileged() -> dict[str, int]:
    """PostgreSQL refuses to run as root: the user to run it as instead."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid}
    pytest.skip("PostgreSQL does not run as root, and there is no other user to run it as")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a throwaway server on 127.0.0.1 that keeps its data beneath a folder of its own."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (uv sync --extra postgres)")
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp())  # not beneath pytest's own folder, which only its owner may enter
    if user:
        os.chown(folder, user["user"], user["group"])
    data, log = folder / "data", folder / "log"

    def call(*arguments: object) -> None:
        subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True, cwd=folder,
                       env=os.environ | {"LC_ALL": "C.UTF-8"}, **user)  # type: ignore[call-overload]  # fmt: skip

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call(initdb, "-D", data, "-U", "omnilake", "--auth", "trust", "--no-sync", "-E", "UTF8")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    call(pg_ctl, "-D", data, "-l", log, "-o", options, "-w", "start")
    try:
        yield f"postgresql://omnilake@127.0.0.1:{port}/postgres"
    finally:
        call(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def on_postgres(server: str, home: Home, make_home: Callable[[str], Home]) -> Iterator[Home]:
    """The retailer of `home`, with its keys, after one run with the state in PostgreSQL."""
    made = replace(make_home("postgres"), landing=home.landing, truth=home.truth)
    made.path.mkdir()
    shutil.copy(home.path / "keys.yml", made.path / "keys.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNILAKE_STATE_URL", server)
        done = made.run()
        assert done.returncode == 0, done.stderr
        yield made


def test_the_state_in_postgres_gives_the_same_marts_and_deliveries(home: Home, on_postgres: Home) -> None:
    assert differences_of_marts(home.path, on_postgres.path) == []
    assert received(on_postgres.path) == received(home.path)
    assert len(received(on_postgres.path)) > 100
    assert not (on_postgres.path / "state.db").exists()


def test_a_second_run_on_postgres_takes_and_sends_nothing(on_postgres: Home) -> None:
    before = received(on_postgres.path)
    done = on_postgres.run()
    assert done.returncode == 0, done.stderr
    assert ": 0 rows received" in done.stdout
    assert received(on_postgres.path) == before


def test_the_other_commands_work_on_postgres(on_postgres: Home) -> None:
    for command in ("reconcile", "status", "quarantine list", "push --dry-run", "quarantine replay"):
        done = on_postgres.omnilake(*command.split())
        assert done.returncode == 0, (command, done.stderr)
    found = on_postgres.omnilake("doctor").stdout
    assert "postgresql" in found


def test_texts_of_any_length_from_feeds_fit_into_the_state(server: str, tmp_path: Path) -> None:
    settings = replace(load_settings(tmp_path / "home", environ={}), state_url=server)
    long = "长" * 700  # many bytes, and more characters than any identifier that was foreseen
    place = {"destination": "files", "operation": "tags", "address": long, "customer_id": "c1"}
    with state(settings) as engine, engine.begin() as transaction:
        transaction.execute(sa.insert(tables.destination_state), {**place, "version": 1, "fingerprint": "f"})
        transaction.execute(
            sa.insert(ledger.landing_files), {"file": long, "size": 1, "mtime_ns": 2**62, "content_hash": "0"}
        )
        stored = transaction.execute(sa.select(tables.destination_state.c.address)).scalars().all()
        transaction.rollback()
    assert long in stored


def test_a_pull_is_remembered_in_postgres_as_in_sqlite(server: str, tmp_path: Path) -> None:
    settings = replace(load_settings(tmp_path / "home", environ={}), state_url=server)
    (tmp_path / "home" / "reference").mkdir(parents=True)
    (tmp_path / "home" / "reference" / "channels.yml").write_text("channels: [{id: mall, kind: h5, since: 2026-03-30}]")
    capability = FeedCapability(page_size=2, sweep_every=timedelta(hours=1), sweep_span=timedelta(days=1))
    shop = MemoryShop(capability=capability)
    for number in range(7):
        shop.put(f"o{number}", NOON - timedelta(minutes=number))
    landed = []
    with state(settings) as engine:
        for hours in (0, 1, 2):
            at = NOON + timedelta(hours=hours)
            landed.append(pull_all(settings, load_channels(settings), engine, at, connectors={"mall": shop}).landed)
        shop.put("o1", NOON - timedelta(minutes=1), note="changed without a timestamp")
        at = NOON + timedelta(hours=4)
        landed.append(pull_all(settings, load_channels(settings), engine, at, connectors={"mall": shop}).landed)
        (remembered,) = pull_states(engine)
    assert landed == [7, 0, 0, 1]
    assert (remembered["error"], remembered["rows_landed"]) == (None, 1)


def test_a_server_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    settings = replace(
        load_settings(tmp_path / "home", environ={}), state_url="postgresql://omnilake:secret@127.0.0.1:1/postgres"
    )
    with pytest.raises(ConfigurationError, match="OMNILAKE_STATE_URL") as told, state(settings):
        pass
    assert "secret" not in str(told.value)
