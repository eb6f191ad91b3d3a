"""The Dagster definitions: what is in them, and that they belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from pipelines.assets.connectors import PULLED
from pipelines.assets.jobs import INTRADAY_FEEDS, landing_fingerprint
from pipelines.assets.platform import MAX_RETRIES, Platform
from pipelines.dbt import ensure_manifest
from pipelines.definitions import build_defs
from pipelines.errors import PermanentError, TransientError
from pipelines.feeds.contract import FEEDS
from pipelines.settings import PACKAGED_REFERENCE, Settings

pytestmark = pytest.mark.xdist_group("nightly")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("defs"), channels_file=PACKAGED_REFERENCE / "channels.yml")


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_defs(settings)


def test_every_source_of_the_dbt_project_has_a_producer(settings: Settings, definitions: dg.Definitions) -> None:
    manifest = json.loads(ensure_manifest(settings).read_text())
    sources = {dg.AssetKey([source["source_name"], source["name"]]) for source in manifest["sources"].values()}
    produced = set(definitions.resolve_asset_graph().materializable_asset_keys)
    assert sources
    assert sources - produced == set()


def test_every_asset_has_a_readable_group(definitions: dg.Definitions) -> None:
    groups = {spec.group_name for spec in definitions.resolve_all_asset_specs()}
    assert groups == {
        "connectors", "landing", "reference", "operations", "identity", "staging", "intermediate", "marts", "models",
        "publishing", "activation",
    }  # fmt: skip


def test_intraday_takes_orders_and_events_only(definitions: dg.Definitions) -> None:
    selected = definitions.resolve_job_def("intraday").asset_layer.selected_asset_keys
    assert {key.path[-1] for key in selected if key.path[0] == "raw"} == set(INTRADAY_FEEDS)


def test_the_night_and_the_day_begin_with_the_pull(definitions: dg.Definitions) -> None:
    for name in ("nightly", "intraday"):
        job = definitions.resolve_job_def(name)
        assert PULLED in job.asset_layer.selected_asset_keys


def test_a_backfill_is_by_business_date_and_pushes_nothing(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("backfill")
    assert job.partitions_def is not None
    keys = job.asset_layer.selected_asset_keys
    assert not {key for key in keys if key.path[0] in ("landing", "raw", "activation", "snapshots")}
    assert dg.AssetKey(["marts", "customer_rfm"]) in keys


def test_every_feed_has_its_reconciliation_check(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    reconciled = {check.asset_key.path[-1] for check in checks if check.name.startswith("received_equals")}
    assert reconciled == set(FEEDS)


def test_a_permanent_fault_is_not_retried_and_a_transient_one_is(settings: Settings) -> None:
    platform = Platform(settings)
    with pytest.raises(dg.Failure) as permanent, platform.step():
        raise PermanentError("the file is not there")
    assert permanent.value.allow_retries is False
    assert permanent.value.description == "the file is not there"
    with pytest.raises(dg.RetryRequested) as transient, platform.step():
        raise TransientError("busy")
    assert transient.value.max_retries == MAX_RETRIES


def test_the_sensor_sees_a_complete_new_file_and_no_unfinished_one(tmp_path: Path) -> None:
    folder = tmp_path / "mall" / "orders"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}")
    before = landing_fingerprint(tmp_path)
    (folder / "b.jsonl.part").write_text("{}")
    assert landing_fingerprint(tmp_path) == before
    (folder / "b.jsonl").write_text("{}")
    assert landing_fingerprint(tmp_path) != before


def test_the_sensor_sees_a_webhook_in_the_inbox(tmp_path: Path) -> None:
    landing, inbox = tmp_path / "landing", tmp_path / "inbox"
    before = landing_fingerprint(landing, inbox)
    (inbox / "mall").mkdir(parents=True)
    (inbox / "mall" / "growing.jsonl").write_text("{}\n")
    first = landing_fingerprint(landing, inbox)
    assert first != before
    (inbox / "mall" / "growing.jsonl").write_text("{}\n{}\n")
    assert landing_fingerprint(landing, inbox) not in (first, before)


def _look(definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance) -> list[object]:
    sensor = definitions.resolve_sensor_def("new_landing_files")
    with dg.build_sensor_context(instance=instance, resources={"platform": Platform(settings)}) as context:
        return list(sensor(context))


def test_the_sensor_waits_for_the_run_under_way(
    settings: Settings, definitions: dg.Definitions, tmp_path: Path
) -> None:
    settings = replace(settings, home=tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(_look(definitions, settings, instance)[0], dg.SkipReason)
        (tmp_path / "inbox" / "mall").mkdir(parents=True)
        (tmp_path / "inbox" / "mall" / "growing.jsonl").write_text("{}\n")
        assert isinstance(_look(definitions, settings, instance)[0], dg.RunRequest)
        instance.create_run_for_job(definitions.resolve_job_def("intraday"), status=dg.DagsterRunStatus.STARTED)
        assert isinstance(_look(definitions, settings, instance)[0], dg.SkipReason)
