"""From a misbehaving platform over HTTP to the raw lake through Dagster, with no secret and no person left behind."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from pipelines.assets.connectors import PULLED, platforms_answered, pulled, pulls_are_fresh
from pipelines.assets.ingest import ingest
from pipelines.assets.platform import Platform, RunOptions
from pipelines.channels import load_channels
from pipelines.connectors import registry
from pipelines.doctor import examine
from pipelines.errors import ConfigurationError
from pipelines.feeds.ledger import drift
from pipelines.http import waiting
from pipelines.nightly import prepare_dagster_home, run_nightly
from pipelines.pulling import pull_all
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.status import last_pulls, last_runs
from tests.examples import corner_connector
from tests.support.corner_server import KEY, WEBHOOK_SECRET, CornerServer
from tests.support.platform_server import Fault


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CornerServer]:
    monkeypatch.setattr(registry, "KINDS", {"corner": corner_connector.connect})
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    monkeypatch.setenv("CORNER_KEY", KEY)
    monkeypatch.setenv("CORNER_HOOK", WEBHOOK_SECRET)
    with CornerServer() as running:
        yield running


@pytest.fixture
def channels(settings: Settings, server: CornerServer) -> Path:
    path = settings.home / "reference" / "channels.yml"
    path.parent.mkdir(parents=True)
    corner = {"id": "mall", "kind": "pc_web", "connector": "corner", "url": server.url, "api_key_env": "CORNER_KEY"}
    corner |= {"webhook_secret_env": "CORNER_HOOK", "since": "2026-03-01"}
    path.write_text(yaml.safe_dump({"channels": [corner]}))
    return path


class Run:
    """The pull and the ingest as Dagster runs them. keep: in a Dagster home on disk rather than in memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lines: list[str] = []

    def __call__(self, keep: bool = False) -> dg.ExecuteInProcessResult:
        platform = Platform(self.settings, self.lines.append)
        on_disk = functools.partial(dg.DagsterInstance.from_config, str(prepare_dagster_home(self.settings)))
        with on_disk() if keep else dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [pulled, ingest, platforms_answered, pulls_are_fresh],
                resources={"platform": platform, "options": RunOptions()},
                instance=instance,
                raise_on_error=False,
            )
        platform.engine.dispose()
        return result


def passed(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node("landing__pulled")
    return {name: value.value for name, value in event.metadata.items()}


def test_what_a_platform_has_is_in_the_raw_lake_once(settings, server, channels):
    server.seed(120, datetime.now(UTC))
    run = Run(settings)
    first, second = run(), run()

    assert metadata(first) == {"rows_received": 120, "rows_landed": 120, "feeds_failed": 0, "mall/orders": 120}
    assert metadata(second)["rows_landed"] == 0
    with state(settings) as engine, engine.connect() as connection:
        assert connection.execute(sa.select(drift.c.column_name).distinct()).scalars().all() == ["gift_wrap"]
    assert last_runs(settings)[0]["rows_received"] == 0
    assert last_runs(settings)[1]["rows_accepted"] == 120
    assert passed(second) == {"platforms_answered": True, "pulls_are_fresh": True}


def test_a_platform_that_is_down_is_a_warning_and_the_run_goes_on(settings, server, channels):
    server.seed(3, datetime.now(UTC))
    server.fail_next(Fault.BROKEN, times=1000)
    run = Run(settings)
    failed = run()
    (pull,) = last_pulls(settings)
    server.heal()
    mended = run()

    assert failed.success
    assert passed(failed)["platforms_answered"] is False
    assert pull["error_kind"] == "no answer"
    assert any("WARNING" in line for line in run.lines)
    assert (passed(mended)["platforms_answered"], metadata(mended)["rows_landed"]) == (True, 3)


def test_a_missing_secret_stops_a_run_before_it_starts(settings, server, channels, monkeypatch):
    monkeypatch.delenv("CORNER_KEY")

    with pytest.raises(ConfigurationError, match=r"'mall' has api_key_env: CORNER_KEY"):
        run_nightly(settings, None, False, False, lambda _line: None)
    assert server.calls == []
    assert not settings.dagster_home.exists()


def test_doctor_says_whether_the_credentials_are_taken(settings, server, channels, monkeypatch):
    def finding() -> list[tuple[bool, str]]:
        return [(found.ok, found.remedy) for found in examine(settings) if found.check.startswith("connector")]

    assert finding() == [(True, "")]
    server.fail_next(Fault.EXPIRED, times=3)
    ((refused_ok, refused_remedy),) = finding()
    server.heal()
    calls = len(server.calls)
    server.fail_next(Fault.RESET, times=10)
    ((down_ok, _),) = finding()
    assert len(server.calls) == calls + 1
    monkeypatch.delenv("CORNER_KEY")
    ((missing_ok, missing_remedy),) = finding()

    assert (refused_ok, down_ok, missing_ok) == (False, False, False)
    assert "credentials" in refused_remedy
    assert "CORNER_KEY" in missing_remedy


def test_no_secret_and_no_person_is_left_anywhere(settings, server, channels, capfd, caplog):
    """Every way to fail, then everything that is on disk: state, logs, Dagster's storage, names of files."""
    caplog.set_level(logging.DEBUG)
    run = Run(settings)
    server.seed(120, datetime.now(UTC))
    for fault in Fault:
        server.heal()
        server.fail_next(fault, times=50)
        with state(settings) as engine:
            pull_all(settings, load_channels(settings), engine, progress=run.lines.append)
    run(keep=True)
    shown = "".join([*capfd.readouterr(), caplog.text, *run.lines, repr(last_pulls(settings)), repr(examine(settings))])
    kept = {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}

    assert any(path.name == "state.db" for path in kept)
    assert any(settings.dagster_home in path.parents for path in kept)
    for secret in (KEY, WEBHOOK_SECRET):
        assert secret not in shown
        assert [path for path, content in kept.items() if secret.encode() in content or secret in str(path)] == []
    for person in (b"13900000000", b"13912345678"):
        assert person.decode() not in shown
        holders = [path for path, content in kept.items() if person in content]
        assert [path for path in holders if settings.landing not in path.parents] == []


def test_every_raw_feed_stands_downstream_of_the_pull():
    assert [spec.key for spec in ingest.specs if [dep.asset_key for dep in spec.deps] != [PULLED]] == []
